"""The command `sqhw size` as a function: from a network's name or file to figures as plain data."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqhw.atomic import is_file, is_folder
from sqhw.compiler.accumulator import check_acc_bits, proposed_acc_bits
from sqhw.compiler.device_engine import propose_engine
from sqhw.cost_models.choice import Limits
from sqhw.cost_models.device import Device, find_device, load_devices
from sqhw.cost_models.technology import Technology, load_technology
from sqhw.errors import SqhwError, unknown_name
from sqhw.frontends.zoo import zoo_topology
from sqhw.names import WORTHS
from sqhw.network.facts import facts_of
from sqhw.network.float_file import load_float
from sqhw.network.floats import FloatNetwork
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import is_quantized, load_network
from sqhw.size.explore import explore
from sqhw.size.sizing import Sizing, size_on
from sqhw.size.workload import Workload, assumed_workload, known_workload, parse_layers

Result = dict[str, Any]

ALL = "all"
DENSITY, BITS = 1.0, 8


def size_network(
    source: str,
    *,
    density: float | None = None,
    bits: int | None = None,
    layers: Sequence[str] = (),
    device: str = ALL,
    batch: int = 1,
    budget: str | None = None,
    worth: str = "rom",
    technology: str = "horowitz45",
    exploring: bool = False,
    acc_bits: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Return what a network takes of one device, or of every one.

    Parameters
    ----------
    source : str
        A quantized network's file, whose weights count; a float network's file or a name of the
        zoo, whose weights are assumed.
    density : float, above 0, at most 1, optional
        Share of non-zero weights that is assumed; by default 1.
    bits : int, 1 to 8, optional
        Of a code, assumed; by default 8.
    layers : sequence of str
        ``name=density:bits`` of single layers.
    device : str
        A device or board, a device file, or ``all``.
    batch : int, power of two
        Images of a run.
    budget : str, optional
        Limits that the choice of formats meets, see `sqhw.cost_models.choice.Limits`.
    worth : {"rom", "cycles", "energy"}
        What the formats are chosen for.
    technology : str
        A name or a file, see `sqhw.cost_models.technology`.
    exploring : bool
        Whether to search engines and give their Pareto front instead.
    acc_bits : int, 16 to 32, optional
        Width of the accumulators; by default what the weights of a file need, 24 at least.
    progress : callable
        Of the search: called with the configurations done, and all of them.

    Returns
    -------
    dict
        As docs/size.md describes it.

    Raises
    ------
    SqhwError
        If the network, the device or an option is unknown or out of range, or, for one device,
        the network cannot run on it at all or no formats meet the budget.
    """
    if worth not in WORTHS:
        raise unknown_name("objective", worth, WORTHS)
    limits = None if budget is None else Limits.parse(budget)
    table = load_technology(technology)
    devices = list(load_devices().values()) if device == ALL else [find_device(device)]
    if exploring and device == ALL:
        raise SqhwError("a search is for one device; name it with --device")
    if exploring and batch != 1:
        raise SqhwError(f"a search tries several images a run by itself; leave out batch {batch}")
    workload = load_workload(source, density, bits, layers, acc_bits)
    result: Result = {
        "network": workload.network.name,
        "known_weights": workload.known,
        "assumed": None if workload.known else _assumed(workload, density, bits, layers),
        "input": list(workload.network.input_shape),
        "weights": sum(w.channels * w.length for w in workload.weights.values()),
        "nonzeros": sum(int(w.nonzeros[0]) for w in workload.weights.values()),
        "budget": str(limits) if limits else None,
        "objective": worth,
        "technology": {"name": table.name, "process": table.process, "source": list(table.source)},
    }
    if exploring:
        front, fitting = explore(workload, devices[0], table, limits, worth, progress)
        return result | {
            "device": devices[0].name,
            "configurations": fitting,
            "front": [_figures(size) for size in front],
        }
    found = []
    for one in devices:
        try:
            found.append(_figures(_size(workload, one, table, batch, limits, worth, acc_bits)))
        except SqhwError as error:
            if device != ALL:
                raise
            failed = {"device": one.name, "boards": list(one.boards), "fits": False}
            found.append(failed | {"error": str(error)})
    fits = [one.name for one, figures in zip(devices, found, strict=True) if figures["fits"]]
    capacities = {one.name: one.brams * one.bram.bits for one in devices}
    near = [figures for figures in found if not figures["fits"] and not figures["error"]]
    return result | {
        "smallest": min(fits, key=lambda name: capacities[name], default=None),
        "nearest": None if fits or not near else min(near, key=_shortfall)["device"],
        "devices": found,
    }


def load_workload(
    source: str,
    density: float | None,
    bits: int | None,
    layers: Sequence[str],
    acc_bits: int | None = None,
) -> Workload:
    """Return the network with its weights, or with assumed ones.

    The options are those of `size_network`.

    Raises
    ------
    SqhwError
        If there is no such file or name, weights are assumed of a network that has its own, or
        its integers do not fit accumulators of `acc_bits`.
    """
    check_acc_bits(acc_bits)
    path = Path(source)
    if is_file(path) and is_quantized(path):
        if density is not None or bits is not None or layers:
            raise SqhwError(
                f"{source} has weights of its own; density, bits and layers are assumed of float "
                "networks and names of the zoo only"
            )
        network = load_network(path)
        check_acc_bits(acc_bits, network)
        return _with_acc_bits(known_workload(network), acc_bits)
    parsed = parse_layers(layers)
    density, bits = DENSITY if density is None else density, BITS if bits is None else bits
    at_file = names_file(path)
    floats = _float_network(source, at_file)
    found = assumed_workload(with_input_stage(floats), density, bits, parsed)
    if acc_bits is None and at_file:  # weights of the zoo are random
        acc_bits = proposed_acc_bits(floats, density, bits=bits)
    return _with_acc_bits(found, acc_bits)


def names_file(path: Path) -> bool:
    """Return whether a text is meant as a path, whatever is there; others are names of the zoo."""
    return len(path.parts) != 1 or path.suffix == ".safetensors" or is_file(path) or is_folder(path)


def _with_acc_bits(workload: Workload, acc_bits: int | None) -> Workload:
    return workload if acc_bits is None else replace(workload, acc_bits=acc_bits)


def _float_network(source: str, is_file: bool) -> FloatNetwork:
    return load_float(source) if is_file else zoo_topology(source)


def _assumed(
    workload: Workload, density: float | None, bits: int | None, layers: Sequence[str]
) -> Result:
    return {
        "density": DENSITY if density is None else density,
        "bits": BITS if bits is None else bits,
        "layers": {name: list(chosen) for name, chosen in parse_layers(layers).items()},
    }


def _size(
    workload: Workload,
    device: Device,
    technology: Technology,
    batch: int,
    limits: Limits | None,
    worth: str,
    acc_bits: int | None,
) -> Sizing:
    network = workload.network
    engine = propose_engine(device, network, workload.levels, batch, workload.acc_bits)
    formats = None
    # On the device that it was made for, a network is taken as it is exported.
    here = network.metadata.get("device") == device.name
    if isinstance(network, QuantizedNetwork) and here and limits is None:
        engine = facts_of(network.metadata).engine
        engine = engine if acc_bits is None else replace(engine, acc_bits=acc_bits)
        formats = {layer.name: layer.stream.gap_bits for layer in network.convs}
    return size_on(
        workload,
        device,
        engine,
        technology,
        batch=batch,
        limits=limits,
        worth=worth,
        formats=formats,
    )


def _figures(size: Sizing) -> Result:
    """Return a sizing as plain data."""
    device, engine, logic = size.device, size.engine, size.logic
    bits, blocks = size.memory_bits, size.memory_blocks
    energy = size.energy
    layers = [size.layer(index) for index in range(len(size.shapes))]
    return {
        "device": device.name,
        "boards": list(device.boards),
        "fits": size.fits,
        "missing": size.missing,
        "error": None,
        "engine": engine.to_dict(),
        "batch": size.batch,
        "cores": size.cores,
        "memory": {use: {"bits": bits[use] * size.cores, "blocks": blocks[use]} for use in bits},
        "block": device.bram.name,
        "blocks": size.blocks,
        "available_blocks": device.brams,
        "dsps": size.dsps,
        "available_dsps": device.dsps,
        "luts": size.luts,
        "available_luts": device.luts,
        "ffs": size.ffs,
        "available_ffs": device.ffs,
        "fmax_mhz": size.fmax_mhz,
        "errors": {
            "luts": logic.luts_error,
            "ffs": logic.ffs_error,
            "fmax": logic.fmax_error,
        }
        if logic
        else None,
        "calibrated": logic.calibrated if logic else False,
        "run_cycles": size.run_cycles,
        "image_cycles": size.image_cycles,
        "images_per_second": size.images_per_second,
        "macs": size.activity.total("macs") / size.batch,
        "busy_lanes": _busy(size),
        "energy_uj": energy.total * 1e-6,
        "energy_split_uj": {use: part * 1e-6 for use, part in energy.to_dict().items()},
        "notes": size.notes,
        "energy_notes": list(size.prices.notes),
        "layers": layers,
    }


def _shortfall(figures: Result) -> float:
    """Return how many times what a device has a network takes, of what it lacks most."""
    pairs = [
        (figures[kind] or 0, figures[f"available_{kind}"])
        for kind in ("blocks", "dsps", "luts", "ffs")
    ]
    return max(used / there if there else math.inf for used, there in pairs if used > there)


def _busy(size: Sizing) -> float:
    """Return the share of the lanes' cycles of a run in which they compute."""
    useful = sum(float(layer.useful.item()) for layer in size.activity.layers)
    return useful / (size.run_cycles * size.engine.lanes)
