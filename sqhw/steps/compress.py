"""`sqhw compress`: a float network to a quantized one that meets a budget, by training."""

from sqhw.atomic import make_folder
from sqhw.compiler.program import compile_network
from sqhw.compiler.width_note import with_width_note
from sqhw.cost_models.rom import rom_cost
from sqhw.network.float_file import load_float
from sqhw.network.quantized_file import save_network
from sqhw.report.results import CompressResult
from sqhw.steps.data_defaults import augmentation
from sqhw.steps.images import load_data
from sqhw.steps.network_size import network_size
from sqhw.steps.options import CompressOptions
from sqhw.steps.program import labelled
from sqhw.steps.progress import Progress, silent
from sqhw.steps.target import target


def compress(options: CompressOptions, progress: Progress = silent) -> CompressResult:
    """Compress a float network for a device and write the quantized network to a file.

    Raises
    ------
    SqhwError
        If the budget cannot be met, the device is too small, or an option is out of range.
    """
    from sqhw.compress import CompressSettings, Job
    from sqhw.compress import compress as compress_network
    from sqhw.compress.choice.target import Target

    network = load_float(options.source)
    data = load_data(options.data, network, image_size=options.image_size, progress=progress)
    shift, flip = augmentation(data.name)
    settings = CompressSettings(
        seed=options.seed,
        epochs=options.epochs,
        rate=options.rate,
        batch=options.batch,
        threads=options.threads,
        shift=shift,
        flip=flip,
        precision=options.precision,
    )
    device, engine, budget = target(
        network,
        options.device,
        options.budget,
        max_batch=options.max_batch,
        acc_bits=options.acc_bits,
        bank_ram=options.bank_ram,
        quotient_ones=options.quotient_ones,
    )
    if options.resume is not None:
        make_folder(options.resume.parent)
    job = Job(
        network,
        data,
        engine,
        device,
        progress=progress,
        resume=options.resume,
        accelerator=options.accelerator,
    )
    result = compress_network(job, budget, settings=settings)
    result = labelled(result, engine, device, {"budget": str(budget)})
    result = with_width_note(result, engine, device)
    # A network that would not run is refused before anything is written.
    program = compile_network(result, engine)
    exported = sum(image.depth * image.width for image in program.images)
    if exported != rom_cost(result, engine).rom:
        raise AssertionError(f"exported {exported} bit, the cost model has another number")
    make_folder(options.out.parent)
    save_network(result, options.out)
    reached = Target(budget, engine, device)
    return {
        "file": str(options.out),
        "budget": str(budget),
        "limits": dict(reached.limits),
        "reached": reached.costs(result),
        "validation_images": len(data.validation),
        "validation_accuracy": result.facts.accuracies["validation_accuracy"],
        "float_validation_accuracy": result.facts.accuracies["float_validation_accuracy"],
        "notes": result.facts.notes,
        **network_size(result, engine, device),
    }
