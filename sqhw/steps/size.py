"""`sqhw size`: the resources that a network needs of one device, or of every one."""

import math
from collections.abc import Iterable
from dataclasses import replace

from sqhw.compiler.device_engine import propose_engine
from sqhw.cost_models.budget import Budgets
from sqhw.cost_models.device import Device, find_device, load_devices
from sqhw.cost_models.technology import load_technology
from sqhw.errors import SqhwError, unknown_name
from sqhw.names import SIZE_OBJECTIVES
from sqhw.network.quantized import QuantizedNetwork
from sqhw.report.size_figures import device_figures
from sqhw.report.size_results import (
    Assumed,
    DeviceFailure,
    DeviceFigures,
    SizeResult,
    that_can_run,
)
from sqhw.size.engine_sizing import size_on
from sqhw.size.explore import explore
from sqhw.size.sizing import Sizing
from sqhw.size.terms import Terms
from sqhw.size.workload import Workload, parse_layers
from sqhw.steps.options import ALL, SizeOptions
from sqhw.steps.program import check_cores, with_cores
from sqhw.steps.progress import Progress, silent
from sqhw.steps.workload import BITS, DENSITY, load_workload


def size_network(options: SizeOptions, progress: Progress = silent) -> SizeResult:
    """Return the resources that a network needs of one device, or of every one.

    A search reports its progress in configurations.

    Raises
    ------
    SqhwError
        If the network, the device or an option is unknown or out of range, or, for one device,
        the network cannot run on it at all or no formats meet the budget.
    """
    if options.objective not in SIZE_OBJECTIVES:
        raise unknown_name("objective", options.objective, SIZE_OBJECTIVES)
    terms = Terms(
        budgets=None if options.budget is None else Budgets.parse(options.budget),
        technology=load_technology(options.technology),
        batch=options.batch,
        quotient_ones=options.quotient_ones,
        objective=options.objective,
        bank_ram=options.bank_ram,
    )
    every = options.device == ALL
    devices = list(load_devices().values()) if every else [find_device(options.device)]
    if options.explore and every:
        raise SqhwError("a search is for one device; name it with --device")
    if options.explore and options.batch != 1:
        raise SqhwError(
            f"a search tries several images a run by itself; leave out batch {options.batch}"
        )
    if options.explore and options.cores is not None:
        raise SqhwError("a search tries several numbers of cores by itself; leave out cores")
    check_cores(options.cores)
    workload = load_workload(
        options.network,
        density=options.density,
        bits=options.bits,
        layers=options.layer or (),
        acc_bits=options.acc_bits,
    )
    result = _heading(workload, terms, options)
    if options.explore:
        (device,) = devices
        front, fitting = explore(
            workload, device, terms, lambda done, total: progress("search", done, total, "")
        )
        result["device"] = device.name
        result["configurations"] = fitting
        result["front"] = [device_figures(size) for size in front]
        return result
    found: list[DeviceFigures | DeviceFailure] = []
    for one in devices:
        try:
            found.append(device_figures(_size(workload, one, terms, options)))
        except SqhwError as error:
            if not every:
                raise
            found.append(
                {"device": one.name, "boards": list(one.boards), "fits": False, "error": str(error)}
            )
    fitting_devices = [one for one, figures in zip(devices, found, strict=True) if figures["fits"]]
    smallest = _smallest(fitting_devices)
    with_flow = _smallest(one for one in fitting_devices if one.placement is not None)
    near = [figures for figures in that_can_run(found) if not figures["fits"]]
    nearest = min(near, key=_shortfall, default=None) if smallest is None else None
    result["smallest"] = None if smallest is None else smallest.name
    result["smallest_with_flow"] = None if with_flow is None else with_flow.name
    result["nearest"] = None if nearest is None else nearest["device"]
    result["devices"] = found
    return result


def _smallest(devices: Iterable[Device]) -> Device | None:
    """Return the device with the least block RAM."""
    return min(devices, key=lambda one: one.brams * one.bram.bits, default=None)


def _heading(workload: Workload, terms: Terms, options: SizeOptions) -> SizeResult:
    """Return the part of the result that is the same for every device."""
    technology = terms.technology
    return {
        "network": workload.network.name,
        "known_weights": workload.known,
        "assumed": None if workload.known else _assumed(options),
        "input": list(workload.network.input_shape),
        "weights": sum(w.channels * w.length for w in workload.weights.values()),
        "nonzeros": sum(int(w.nonzeros[0]) for w in workload.weights.values()),
        "budget": str(terms.budgets) if terms.budgets else None,
        "objective": terms.objective,
        "technology": {
            "name": technology.name,
            "process": technology.process,
            "source": list(technology.source),
        },
    }


def _assumed(options: SizeOptions) -> Assumed:
    return {
        "density": DENSITY if options.density is None else options.density,
        "bits": BITS if options.bits is None else options.bits,
        "layers": {
            name: list(chosen) for name, chosen in parse_layers(options.layer or ()).items()
        },
    }


def _size(workload: Workload, device: Device, terms: Terms, options: SizeOptions) -> Sizing:
    """Return the sizing of a network on a device, with the engine that suits it."""
    network = workload.network
    engine = propose_engine(
        device,
        network,
        workload.levels,
        terms.batch,
        workload.acc_bits,
        terms.bank_ram,
        terms.quotient_ones or 0,
    )
    # A network is sized as it is exported on the device, or with the engine, that it was made for.
    facts = network.facts
    here = facts.device == device.name or (facts.device is None and facts.engine == engine)
    here = here and terms.bank_ram in (None, facts.engine.bank_ram)
    here = here and terms.quotient_ones in (None, facts.engine.quotient_ones)
    if isinstance(network, QuantizedNetwork) and here and terms.budgets is None:
        engine = facts.engine
        if options.acc_bits is not None:
            engine = replace(engine, acc_bits=options.acc_bits)
        terms = replace(terms, formats={layer.name: layer.stream for layer in network.convs})
    return size_on(workload, device, with_cores(engine, options.cores), terms)


def _shortfall(figures: DeviceFigures) -> float:
    """Return the largest ratio of need to capacity over the resources that the device lacks."""
    pairs = (
        (figures["blocks"], figures["available_blocks"]),
        (figures["dsps"], figures["available_dsps"]),
        (figures["luts"] or 0, figures["available_luts"]),
        (figures["ffs"] or 0, figures["available_ffs"]),
    )
    return max(used / there if there else math.inf for used, there in pairs if used > there)
