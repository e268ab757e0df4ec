"""The trace of a network, with the cycles that its engine takes for each layer."""

import math
from typing import Any

import numpy.typing as npt

from sqhw.cost_models.schedule import LayerCycles, schedule
from sqhw.errors import SqhwError
from sqhw.network.quantized import QuantizedNetwork
from sqhw.report.results import Trace, TracedLayer
from sqhw.verify.cross_check import REFERENCE_ACTIVATIONS

#: Largest number of images that are traced.
MAX_TRACED_IMAGES = 256


def trace_of(network: QuantizedNetwork, images: npt.NDArray[Any]) -> Trace:
    """Return the trace of the first images, and where the first differs from the reference.

    Parameters
    ----------
    network : QuantizedNetwork
    images : ndarray of int, shape (images, channels, height, width)
        At least one.
    """
    from sqhw.sim.trace import first_mismatch, trace

    images = images[:MAX_TRACED_IMAGES]
    cycles = _cycles(network)
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
        layers.append(row)
    result: Trace = {"images": len(images), "layers": layers}
    if sum(map(math.prod, network.shapes().values())) <= REFERENCE_ACTIVATIONS:
        mismatch = first_mismatch(network, images[0])
        result["mismatch"] = None if mismatch is None else str(mismatch)
    return result


def _cycles(network: QuantizedNetwork) -> dict[str, LayerCycles]:
    """Return the cycles of each layer, of none if the network's engine cannot run it."""
    try:
        plan = schedule(network, network.facts.engine)
    except SqhwError:
        return {}
    return {layer.name: layer for layer in plan.layers}
