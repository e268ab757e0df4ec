"""The steps from a trained network to verified RTL, as the command line and the demo take them.

Each step reads and writes files and returns what it measured as plain data.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.atomic import make_folder
from sqhw.compiler.accumulator import check_acc_bits, proposed_acc_bits
from sqhw.compiler.device_engine import activation_blocks, engine_for, weight_blocks
from sqhw.compiler.program import Program, compile_network
from sqhw.compiler.width_note import with_width_note
from sqhw.cost_models.budget import BASES, Budget, Budgets
from sqhw.cost_models.dense import dense_sizes
from sqhw.cost_models.device import Device, find_device, load_devices
from sqhw.cost_models.rom import rom_cost, rom_pieces
from sqhw.cost_models.schedule import schedule
from sqhw.data import Dataset
from sqhw.environment.extras import need_torch
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom, write_rtl
from sqhw.export.file_set import check_set, unchanged
from sqhw.export.manifest import (
    FILES,
    check_manifest,
    check_plain,
    check_roms,
    check_same_pieces,
    name_of,
    pieces_of,
)
from sqhw.export.readmemh import read_image
from sqhw.files.plain import located
from sqhw.frontends.zoo import zoo_topology
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import rom_widths
from sqhw.machine.naming import DEFAULT_NAME, check_name
from sqhw.machine.rom_pieces import Piece, depth_of
from sqhw.network.facts import FLOAT_BITS, facts_of
from sqhw.network.float_file import load_float, save_float
from sqhw.network.floats import FloatNetwork
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import load_network, save_network
from sqhw.seeds import check_seed
from sqhw.size.account import account_network
from sqhw.size.account_file import read_account

Progress = Callable[[str, int, int, str], None]
Result = dict[str, Any]

#: The network that is trained for a data set unless another is named.
DEFAULT_NETWORKS = {"digits": "digits-cnn", "mnist": "lenet5-caffe", "cifar10": "resnet8"}
#: Augmentation for compressing: pixels of shift, and whether mirrored images mean the same.
AUGMENTATION = {"cifar10": (4, True)}
#: Images that a one-shot network is calibrated on, and validation images that it is tried on.
CALIBRATION_IMAGES, TRIED_IMAGES = 128, 1000
#: Of a code at most, in what the compressor chooses from.
COMPRESSED_BITS = 5


def train(
    data: Dataset, network: str | None, out: Path, epochs: int | None, seed: int, progress: Progress
) -> Result:
    """Train a float network and write it to `out`."""
    from sqhw.compress import TrainSettings, evaluate
    from sqhw.compress import train as train_network

    name = DEFAULT_NETWORKS[data.name] if network is None else network
    _, flip = AUGMENTATION.get(data.name, (0, False))
    settings = TrainSettings(epochs=epochs, seed=seed, flip=flip)
    trained = train_network(name, data, settings, progress)
    make_folder(out.parent)
    save_float(trained, out)
    return {
        "network": name,
        "file": str(out),
        "weights": trained.weights,
        "validation_accuracy": evaluate(trained, data.validation.images, data.validation.labels),
        "test_accuracy": evaluate(trained, data.test.images, data.test.labels),
    }


def check_target(data: Dataset, network: str | None, device: str, budget: str | None) -> None:
    """Check, before anything is trained, that device and budget suit a network of the zoo.

    Raises
    ------
    SqhwError
    """
    name = DEFAULT_NETWORKS[data.name] if network is None else network
    target(zoo_topology(name), device, budget, acc_bits=EngineConfig.acc_bits)


def target(
    network: FloatNetwork,
    device_name: str,
    budget_text: str | None,
    max_batch: int = 1,
    acc_bits: int | None = None,
) -> tuple[Device, EngineConfig, Budgets]:
    """Return the device, the engine for a network on it, and the budget.

    Without `acc_bits` the accumulators are as wide as codes of 5 bits need, 24 bits at least.

    Raises
    ------
    SqhwError
        If the device is unknown or too small, the budget exceeds it, or no engine has accumulators
        of `acc_bits`.
    """
    device = find_device(device_name)
    check_acc_bits(acc_bits)
    engine = engine_for(
        device,
        with_input_stage(network),
        max_batch=max_batch,
        acc_bits=acc_bits or proposed_acc_bits(network, bits=COMPRESSED_BITS),
    )
    available = weight_blocks(engine, device)
    given = () if budget_text is None else Budgets.parse(budget_text).items
    blocks = [item for item in given if item.basis == "blocks"]
    # Whatever the budget, the weights must fit the block RAM.
    budget = Budgets(given if blocks else (*given, Budget("blocks", available)))
    if any(item.limit > available for item in blocks):
        raise SqhwError(
            f"budget {budget} exceeds the {available} block RAMs of {device.name} that its "
            f"{activation_blocks(engine, device)} activation banks leave of {device.brams}"
        )
    return device, engine, budget


def compress(
    source: Path,
    data: Dataset,
    device_name: str,
    budget_text: str | None,
    out: Path,
    seed: int,
    progress: Progress,
    epochs: tuple[int | None, int | None] = (None, None),
    threads: int = 1,
    max_batch: int = 1,
    precision: str = "float32",
    resume: Path | None = None,
    rate: float = 5e-3,
    batch: int | None = None,
    pruning: str = "auto",
    accelerator: str = "cpu",
    acc_bits: int | None = None,
) -> Result:
    """Compress a float network for a device and write the quantized network to `out`.

    Without a budget it is every block RAM that the activation banks leave. `epochs` are those of
    pruning and of fine-tuning. `resume` is a checkpoint that is gone on from, and kept up to date.
    """
    from sqhw.compress import CompressSettings
    from sqhw.compress import compress as compress_network
    from sqhw.compress.choice.target import Target

    shift, flip = AUGMENTATION.get(data.name, (0, False))
    settings = CompressSettings(
        seed=seed,
        prune_epochs=epochs[0],
        tune_epochs=epochs[1],
        rate=rate,
        batch=batch,
        pruning=pruning,
        threads=threads,
        shift=shift,
        flip=flip,
        precision=precision,
    )
    network = load_float(source)
    device, engine, budget = target(network, device_name, budget_text, max_batch)
    if resume is not None:
        make_folder(resume.parent)
    result = compress_network(
        network,
        data,
        engine=engine,
        device=device,
        budget=budget,
        settings=settings,
        progress=progress,
        resume=resume,
        accelerator=accelerator,
    )
    result = _labelled(result, engine, device, {"budget": str(budget)})
    result = with_width_note(result, engine, device)
    program = compile_network(result, engine)  # refuses what would not run, ahead of writing
    exported = sum(image.depth * image.width for image in program.images)
    if exported != rom_cost(result, engine).rom:
        raise AssertionError(f"exported {exported} bit, the cost model has another number")
    make_folder(out.parent)
    save_network(result, out)
    return {
        "file": str(out),
        "budget": str(budget),
        "limits": dict(Target(budget, engine, device).limits),
        "reached": Target(budget, engine, device).costs(result),
        "validation_images": len(data.validation),
        "validation_accuracy": float(result.metadata["validation_accuracy"]),
        "float_validation_accuracy": float(result.metadata["float_validation_accuracy"]),
        "pruning": result.metadata["pruning"],
        "notes": result.metadata.get("notes", ""),
    } | size(result, engine, device)


def _labelled(
    network: QuantizedNetwork, engine: EngineConfig, device: Device, more: dict[str, str]
) -> QuantizedNetwork:
    """Return the network with the engine and the device in its metadata."""
    label = {"engine": json.dumps(engine.to_dict()), "device": device.name}
    return replace(network, metadata=network.metadata | label | more)


def import_network(name: str, checkpoint: Path | None, out: Path, seed: int) -> Result:
    """Write a network of the zoo with the weights of a checkpoint, or random ones, to `out`."""
    from sqhw.compress import float_network

    network = float_network(name, checkpoint, seed)
    make_folder(out.parent)
    save_float(network, out)
    return {"network": name, "file": str(out), "weights": network.weights}


def quantize(
    source: Path,
    data: Dataset,
    device_name: str,
    density: float,
    ends_density: float | None,
    bits: int,
    objective: str,
    out: Path,
    max_batch: int = 1,
    acc_bits: int | None = None,
) -> Result:
    """Quantize a float network for a device without training and write it to `out`.

    Raises
    ------
    SqhwError
        If the result exceeds the device's block RAM, or a setting is out of range.
    """
    from sqhw.compress import evaluate, torch_logits
    from sqhw.compress import quantize as quantize_network

    network = load_float(source)
    device = find_device(device_name)
    _check_images(network, data)
    check_acc_bits(acc_bits)
    engine = engine_for(
        device,
        with_input_stage(network),
        levels=1 << max(bits, 0),
        max_batch=max_batch,
        acc_bits=acc_bits or proposed_acc_bits(network, density, ends_density, bits),
    )
    result = quantize_network(
        network,
        data.train.images[:CALIBRATION_IMAGES],
        engine,
        density=density,
        ends_density=ends_density,
        bits=bits,
        objective=objective,
    )
    blocks, available = rom_cost(result, engine).blocks(device), weight_blocks(engine, device)
    if blocks > available:
        raise SqhwError(
            f"network {network.name!r} at density {density} with {bits} bits needs {blocks} block "
            f"RAMs, {device.name} has {available} left for weights; lower density or bits, or "
            "take a larger device"
        )
    tried = data.validation.images[:TRIED_IMAGES], data.validation.labels[:TRIED_IMAGES]
    accuracies = {
        "validation_accuracy": _accuracy(torch_logits(result, tried[0]), tried[1]),
        "float_validation_accuracy": evaluate(network, *tried),
    }
    facts = {name: f"{value:.6f}" for name, value in accuracies.items()}
    result = with_width_note(result, engine, device)
    result = _labelled(result, engine, device, facts | {"data": data.name})
    compile_network(result, engine)
    make_folder(out.parent)
    save_network(result, out)
    files = {
        "file": str(out),
        "validation_images": len(tried[1]),
        "notes": result.metadata.get("notes", ""),
    }
    return files | accuracies | size(result, engine, device)


def size(network: QuantizedNetwork, engine: EngineConfig, device: Device) -> Result:
    """Return the network's size on the four bases, before and after compression.

    Before, there are 32-bit floats, or dense 8-bit weights with 32-bit biases: the weights alone
    in payload and stream, with the biases in rom and blocks.
    """
    cost = rom_cost(network, engine)
    facts = facts_of(network.metadata)
    values = facts.values_before or 0
    weights = values if facts.weights_before is None else facts.weights_before
    return {
        "device": device.name,
        "after": {basis: cost.size(basis, device) for basis in BASES},
        "float32": dense_sizes(weights, values - weights, FLOAT_BITS, device),
        "int8": dense_sizes(weights, values - weights, 8, device),
        "weights_before": weights,
        # Entries of no bits are constants, as average pooling has, and no weights.
        "nonzeros": sum(layer.nonzeros for layer in network.convs if layer.stream.entry_bits),
        "activation_blocks": activation_blocks(engine, device),
        "available_blocks": weight_blocks(engine, device),
        "device_blocks": device.brams,
        "layers": [
            {
                "name": layer.name,
                "weights": int(layer.weight.size),
                "nonzeros": layer.nonzeros,
                "stream": str(layer.stream),
                "rom_bits": rom.weight_words * engine.word_bits
                + rom.param_words * engine.word_bits
                + rom.codebook,
            }
            for rom in cost.layers
            for layer in network.convs
            if layer.name == rom.name
        ],
    }


def engine_of(network: QuantizedNetwork) -> EngineConfig:
    """Return the engine that a network was compressed for; it travels with the file."""
    with located(f"network {network.name!r}"):
        return facts_of(network.metadata).engine


def simulate(source: Path, data: Dataset, float_source: Path | None, progress: Progress) -> Result:
    """Run the test set through the simulator and compare logits with a second computation.

    That is PyTorch's, of all images; without PyTorch that of the reference, of the first images.
    """
    from sqhw.sim.simulator import Simulator
    from sqhw.verify.cross_check import PYTORCH, cross_check

    if float_source:
        need_torch("the accuracy of a float network")
    network = load_network(source)
    test = data.test
    _check_images(network, data)
    simulator = Simulator(network)
    logits = simulator.logits(
        test.images, progress=lambda done: progress("simulate", done, len(test), "")
    )
    other = cross_check(network, test.images)
    compared = len(other.logits)
    differ = int((logits[:compared].astype(np.int64) != other.logits).any(axis=1).sum())
    result: Result = {
        "images": len(test),
        "simulator_accuracy": _accuracy(logits, test.labels),
        "compared_with": other.by,
        "images_compared": compared,
        "images_that_differ": differ,
        "logits_compared": int(other.logits.size),
    }
    if other.by == PYTORCH:
        result["torch_accuracy"] = _accuracy(other.logits, test.labels)
    if float_source:
        from sqhw.compress import evaluate

        result["float_accuracy"] = evaluate(load_float(float_source), test.images, test.labels)
    if differ:
        raise SqhwError(
            f"simulator and {other.by} differ on {differ} of {compared} images; this is a bug"
        )
    return result


def rom(
    source: Path,
    folder: Path,
    batch: int = 1,
    device: str | None = None,
    rtl_folder: Path | None = None,
    name: str | None = None,
) -> Result:
    """Write the ROM images, for runs of `batch` images.

    Their pieces and their name are those of the Verilog in `rtl_folder`. Without it the pieces
    suit the device, by default that of the network.

    Raises
    ------
    SqhwError
        If another name is given than the Verilog has, or an image cannot be written.
    """
    program = _program(source, batch)
    if rtl_folder is None:
        pieces = _pieces(program, device)
        name = check_name(DEFAULT_NAME if name is None else name)
    else:
        pieces = pieces_of(rtl_folder, "rtl", program.engine)
        check_roms(pieces, rom_widths(program.engine), rtl_folder / FILES["rtl"])
        check_set(rtl_folder, "rtl", check_manifest(rtl_folder, "rtl", program.engine))
        verilog = name_of(rtl_folder)
        if name not in (None, verilog):
            raise SqhwError(
                f"the Verilog in {rtl_folder} has the name {verilog}, not {name}; leave --name out"
            )
        name = verilog
    paths = write_rom(program, folder, pieces, name)
    predicted = rom_cost(program.network, program.engine).rom
    return {
        "files": [str(path) for path in paths],
        "images": [
            {"name": image.name, "words": image.depth, "width": image.width}
            for image in program.images
        ],
        "rom_bits_exported": sum(
            read_image(image, parts, folder, name).bits for image, parts in pieces.items()
        ),
        "rom_bits_predicted": predicted,
    }


def rtl(
    source: Path,
    folder: Path,
    interface: str = "plain",
    device: str | None = None,
    name: str = DEFAULT_NAME,
) -> Result:
    """Write the Verilog of the engine, its ROMs in pieces that suit the device."""
    check_name(name)
    program = _program(source)
    pieces = _pieces(program, device)
    paths = write_rtl(program.engine, program.depths, folder, interface, pieces, name)
    return {"files": [str(path) for path in paths], "engine": program.engine.to_dict()}


def cycles(source: Path, batch: int = 1) -> Result:
    """Return the predicted cycles of a run of `batch` images, layer by layer."""
    network = load_network(source)
    plan = schedule(network, engine_of(network), batch)
    return {
        "cycles": plan.cycles,
        "batch": batch,
        "layers": [asdict(layer) | {"cycles": layer.cycles} for layer in plan.layers],
    }


def verify(
    source: Path,
    data: Dataset,
    folder: Path,
    work: Path,
    simulator: str,
    images: int,
    seed: int,
    jobs: int = 1,
) -> Result:
    """Run test images through the RTL in `folder` and compare everything with the simulator.

    White images are added if the ROM images are for runs of several. `jobs` are the processes of
    ``cxxrtl``; the other simulators have one.
    """
    from sqhw.verify.cxxrtl import VolumeBench
    from sqhw.verify.runner import RtlBench
    from sqhw.verify.work_folder import check_work_path, work_folder

    check_seed(seed)
    check_work_path(work, simulator)
    with unchanged(folder):
        program = _program_in(source, folder)
        _check_images(program.network, data)
        check_count(images, data)
        made_up = _made_up_images(program.network, seed, images, program.batch)
        batch = np.concatenate([data.test.images[:images], made_up])
        found: Result
        with work_folder(work):
            if simulator == "cxxrtl":
                volume = VolumeBench(folder, work)
                found = asdict(volume.run(program, batch, folder, seed, jobs=jobs))
            else:
                bench = RtlBench(folder, work, simulator, program.engine.requantizers)
                found = asdict(bench.run(program, batch, folder, seed))
    plan = schedule(program.network, program.engine, program.batch)
    return found | {
        "images": images,
        "batch": program.batch,
        "made_up_images": len(made_up),
        "cycles_predicted": plan.cycles,
    }


def _program_in(source: Path, folder: Path) -> Program:
    """Return the program of a network, whose ROM images and Verilog must be those in a folder."""
    engine = engine_of(load_network(source))
    images_of, verilog_of = (check_manifest(folder, kind, engine) for kind in ("rom", "rtl"))
    program = _program(source, images_of.get("batch", 1))
    check_plain(folder, verilog_of)
    check_set(folder, "rom", images_of)
    check_set(folder, "rtl", verilog_of)
    pieces = check_same_pieces(folder, folder, engine)
    check_roms(pieces, rom_widths(engine), folder / FILES["rom"])
    depths = {name: depth_of(parts) for name, parts in pieces.items()}
    for image in program.padded(depths).images:
        if read_image(image.name, pieces[image.name], folder, name_of(folder)) != image:
            raise SqhwError(
                f"the {image.name} ROM image in {folder} is not that of {source}; "
                "write it anew with `sqhw rom` and the Verilog with `sqhw rtl`"
            )
    return program


def _made_up_images(
    network: QuantizedNetwork, seed: int, images: int, batch: int
) -> npt.NDArray[np.uint8]:
    """Return an all-white and a noise image: they excite weights that few real images do.

    As many white ones more fill the last run of `batch` behind so many real `images`.
    """
    fmt = network.input_format
    noise = np.random.default_rng(seed).integers(fmt.lo, fmt.hi + 1, network.input_shape)
    white = np.full(network.input_shape, fmt.hi)
    more = -(images + 2) % batch
    return np.stack([white, noise, *[white] * more]).astype(np.uint8)


def _program(source: Path, batch: int = 1) -> Program:
    network = load_network(source)
    return compile_network(network, engine_of(network), batch)


def _pieces(program: Program, device: str | None) -> dict[str, tuple[Piece, ...]]:
    """Return the pieces of the ROMs on a device, by default that of the network, if it has one."""
    name = device or program.network.metadata.get("device")
    return rom_pieces(program.engine, program.depths, find_device(name) if name else None)


def _check_images(network: QuantizedNetwork | FloatNetwork, data: Dataset) -> None:
    if data.image_shape != network.input_shape:
        raise SqhwError(
            f"network {network.name!r} takes images of shape {network.input_shape}, data set "
            f"{data.name!r} has {data.image_shape}"
        )


def check_count(images: int, data: Dataset) -> None:
    """Check that a data set has so many test images.

    Raises
    ------
    SqhwError
    """
    if not 1 <= images <= len(data.test):
        raise SqhwError(f"images must be 1 to {len(data.test)}, not {images}")


def _accuracy(logits: Any, labels: Any) -> float:
    return float((np.argmax(logits, axis=1) == labels).mean())


def devices() -> list[Result]:
    """Return the devices that sqhw knows."""
    return [
        {
            "name": device.name,
            "family": device.family,
            "luts": device.luts,
            "lut_inputs": device.lut_inputs,
            "brams": device.brams,
            "bram": device.bram.name,
            "dsps": device.dsps,
            "boards": list(device.boards),
        }
        for device in load_devices().values()
    ]


def report(
    sources: Sequence[Path], device_name: str | None, out: Path | None, progress: Progress
) -> Result:
    """Return the accounts of quantized networks and of account files, and plot them to `out`.

    Parameters
    ----------
    sources : sequence of Path
        Network files (``.safetensors``), or accounts (``.json``) as benchmarks write them.
    device_name : str, optional
        For the block RAMs of network files; by default the device that each was compressed for.
    out : Path, optional
        ``.html`` for a page with all plots and tables, ``.png`` or ``.svg`` for the plots.

    Raises
    ------
    SqhwError
        If a file is missing, damaged or of no such kind.
    """
    if out is not None:
        from sqhw.report.plots import check_report

        check_report(out)
    accounts = []
    for done, source in enumerate(sources):
        if source.suffix == ".json":
            accounts.append(read_account(source))
        else:
            network = load_network(source)
            name = device_name or network.metadata.get("device")
            if not name:
                raise SqhwError(f"{source} names no device; say which with --device")
            device = find_device(name)
            found = account_network(network, engine_of(network), device, source.stem)
            accounts.append(found.to_dict())
        progress("report", done + 1, len(sources), source.name)
    result: Result = {"accounts": accounts}
    if out is not None:
        from sqhw.report.plots import write_report

        make_folder(out.parent)
        write_report(accounts, out)
        result["file"] = str(out)
    return result
