"""What happens inside a network: sums against their bounds, values, saturation, sparsity."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.network.graph import MaxPool
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim import kernels, reference
from sqhw.sim.arenas import Runner
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.simulator import Simulator, check_range


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """The values of a layer over some images.

    Parameters
    ----------
    name : str
    lowest_sum, highest_sum : int or None
        Range of the accumulators at the end of their sums; none for a pooling maximum.
    bound : int or None
        Static bound of their magnitude.
    lowest : int
        Smallest value of the output's format.
    histogram : ndarray of int64, shape (values of the format,)
        Number of activations of each value, from `lowest` on.
    """

    name: str
    lowest_sum: int | None
    highest_sum: int | None
    bound: int | None
    lowest: int
    histogram: npt.NDArray[np.int64]

    @property
    def zeros(self) -> float:
        """Share of activations that are 0."""
        return float(self.histogram[-self.lowest] / self.histogram.sum())

    @property
    def saturated(self) -> tuple[int, int]:
        """Number of activations at the lowest and at the highest value of the format."""
        return int(self.histogram[0]), int(self.histogram[-1])


@dataclass(frozen=True)
class Mismatch:
    """The first value that differs between the simulator and the reference, in layer order."""

    layer: str
    channel: int
    row: int
    column: int
    simulator: int
    reference: int

    def __str__(self) -> str:
        return (
            f"layer {self.layer!r}, channel {self.channel}, row {self.row}, column {self.column}: "
            f"simulator {self.simulator}, reference {self.reference}"
        )


def trace(network: QuantizedNetwork, images: npt.NDArray[Any]) -> list[LayerTrace]:
    """Run images and return what each layer's values were.

    Parameters
    ----------
    network : QuantizedNetwork
    images : ndarray of int, shape (images, channels, height, width)
        At least one image of raw pixels within the network's input format.

    Raises
    ------
    SqhwError
        If an accumulator could leave int32.
    """
    check_range(network)
    outputs, sums = (
        Runner(prepare(network, Choice(kernels.SHAPE, keep=True, raw=raw))) for raw in (False, True)
    )
    shapes, formats, bounds = network.shapes(), network.formats(), network.acc_bounds()
    histograms = {
        layer.name: np.zeros(formats[layer.name].hi - formats[layer.name].lo + 1, np.int64)
        for layer in network.layers
    }
    ranges = dict[str, tuple[int, int]]()
    with sums.arena() as arena:
        for start in range(0, len(images), kernels.LANES):
            part = np.ascontiguousarray(images[start : start + kernels.LANES], np.int32)
            outputs.load(arena, part)
            for layer in network.layers:
                name = layer.name
                maps = np.empty((len(part), *shapes[name]), np.int32)
                if not isinstance(layer, MaxPool):
                    sums.step(arena, name)
                    sums.read_sums(arena, name, maps)
                    low, high = ranges.get(name, (int(maps.flat[0]), int(maps.flat[0])))
                    ranges[name] = min(low, int(maps.min())), max(high, int(maps.max()))
                outputs.step(arena, name)
                outputs.read(arena, name, maps)
                counts = np.bincount(
                    (maps - formats[name].lo).reshape(-1), minlength=len(histograms[name])
                )
                histograms[name] += counts
    found = []
    for name, histogram in histograms.items():
        low_sum, high_sum = ranges.get(name, (None, None))
        found.append(
            LayerTrace(name, low_sum, high_sum, bounds.get(name), formats[name].lo, histogram)
        )
    return found


def first_mismatch(network: QuantizedNetwork, image: npt.NDArray[Any]) -> Mismatch | None:
    """Return the first value of an image in which simulator and reference differ, if any does.

    Parameters
    ----------
    network : QuantizedNetwork
    image : ndarray of int, shape (channels, height, width)
    """
    tensors = Simulator(network).run(image[None])
    for name, expected in reference.run(network, image).items():
        found = tensors[name][0]
        places = np.argwhere(found != expected)
        if len(places):
            channel, row, column = map(int, places[0])
            values = found[channel, row, column], expected[channel, row, column]
            return Mismatch(name, channel, row, column, int(values[0]), int(values[1]))
    return None
