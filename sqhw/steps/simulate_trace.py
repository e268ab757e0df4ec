"""The trace of a network, with the cycles that its engine takes for each layer."""

import math
from typing import Any

import numpy.typing as npt

from sqhw.cost_models.schedule import Schedule, schedule
from sqhw.errors import SqhwError
from sqhw.network.quantized import QuantizedNetwork
from sqhw.report.results import Trace, TracedLayer
from sqhw.verify.cross_check import REFERENCE_ACTIVATIONS

#: Largest number of images that are traced.
MAX_TRACED_IMAGES = 256


def trace_of(network: QuantizedNetwork, images: npt.NDArray[Any], clock_mhz: float) -> Trace:
    """Return the trace of the first images, and where the first differs from the reference.

    Parameters
    ----------
    network : QuantizedNetwork
    images : ndarray of int, shape (images, channels, height, width)
        At least one.
    clock_mhz : float
        Clock of the engine, for its speed (unit: MHz).
    """
    from sqhw.sim.trace import first_mismatch, trace

    images = images[:MAX_TRACED_IMAGES]
    plan = _schedule(network)
    cycles = {layer.name: layer for layer in plan.layers} if plan else {}
    layers = list[TracedLayer]()
    for layer in trace(network, images):
        counts = {layer.lowest + at: int(count) for at, count in enumerate(layer.histogram)}
        row: TracedLayer = {
            "name": layer.name,
            "histogram": {str(value): count for value, count in counts.items() if count},
            "saturated": layer.saturated,
            "zeros": layer.zeros,
        }
        if layer.lowest_sum is not None and layer.highest_sum is not None:
            row["sums"] = layer.lowest_sum, layer.highest_sum
        if layer.bound is not None:
            row["bound"] = layer.bound
        if layer.name in cycles:
            row["cycles"] = cycles[layer.name].cycles
            row["utilisation"] = cycles[layer.name].bound / cycles[layer.name].cycles
            row["images_per_second"] = clock_mhz * 1e6 / cycles[layer.name].cycles
        layers.append(row)
    result: Trace = {"images": len(images), "clock_mhz": clock_mhz, "layers": layers}
    if plan is not None:
        result["cycles"] = plan.cycles
        result["images_per_second"] = clock_mhz * 1e6 / plan.cycles
    if sum(map(math.prod, network.shapes().values())) <= REFERENCE_ACTIVATIONS:
        mismatch = first_mismatch(network, images[0])
        result["mismatch"] = None if mismatch is None else str(mismatch)
    return result


def _schedule(network: QuantizedNetwork) -> Schedule | None:
    """Return the cycles of the layers, none if the network's engine cannot run it."""
    try:
        return schedule(network, network.facts.engine)
    except SqhwError:
        return None
