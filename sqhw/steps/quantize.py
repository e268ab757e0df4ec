"""`sqhw quantize`: a float network to a quantized one, without training."""

from sqhw.atomic import make_folder
from sqhw.compiler.accumulator import check_acc_bits, proposed_acc_bits
from sqhw.compiler.device_engine import engine_for, weight_blocks
from sqhw.compiler.program import compile_network
from sqhw.compiler.width_note import with_width_note
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.network.float_file import load_float
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized_file import save_network
from sqhw.report.results import QuantizeResult
from sqhw.steps.images import accuracy, check_classes, load_data
from sqhw.steps.network_size import network_size
from sqhw.steps.options import QuantizeOptions
from sqhw.steps.program import labelled

#: Number of images for the calibration, and of validation images for the accuracy.
CALIBRATION_IMAGES, TRIED_IMAGES = 128, 1000


def quantize(options: QuantizeOptions) -> QuantizeResult:
    """Quantize a float network for a device without training and write it to a file.

    Raises
    ------
    SqhwError
        If the result exceeds the device's block RAM, or a setting is out of range.
    """
    from sqhw.compress import QuantizeSettings, evaluate, torch_logits
    from sqhw.compress import quantize as quantize_network

    density, bits, acc_bits = options.density, options.bits, options.acc_bits
    network = load_float(options.source)
    data = load_data(options.data, network, image_size=options.image_size)
    device = find_device(options.device)
    check_classes(network, data)
    check_acc_bits(acc_bits)
    engine = engine_for(
        device,
        with_input_stage(network),
        levels=1 << max(bits, 0),
        max_batch=options.max_batch,
        acc_bits=acc_bits or proposed_acc_bits(network, density, options.ends_density, bits),
        bank_ram=options.bank_ram,
        quotient_ones=options.quotient_ones,
    )
    result = quantize_network(
        network,
        data.train.images[:CALIBRATION_IMAGES],
        engine,
        settings=QuantizeSettings(
            density=density,
            ends_density=options.ends_density,
            bits=bits,
            objective=options.objective,
        ),
    )
    blocks, available = rom_cost(result, engine).blocks(device), weight_blocks(engine, device)
    if blocks > available:
        raise SqhwError(
            f"network {network.name!r} at density {density} with {bits} bits needs {blocks} block "
            f"RAMs, {device.name} has {available} left for weights; lower density or bits, or "
            "take a larger device"
        )
    images, labels = data.validation.images[:TRIED_IMAGES], data.validation.labels[:TRIED_IMAGES]
    accuracies = {
        "validation_accuracy": accuracy(torch_logits(result, images), labels),
        "float_validation_accuracy": evaluate(network, images, labels),
    }
    facts = {name: f"{value:.6f}" for name, value in accuracies.items()}
    result = with_width_note(result, engine, device)
    result = labelled(result, engine, device, facts | {"data": data.name})
    compile_network(result, engine)
    make_folder(options.out.parent)
    save_network(result, options.out)
    return {
        "file": str(options.out),
        "validation_images": len(labels),
        "notes": result.facts.notes,
        "validation_accuracy": accuracies["validation_accuracy"],
        "float_validation_accuracy": accuracies["float_validation_accuracy"],
        **network_size(result, engine, device),
    }
