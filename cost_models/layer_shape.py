"""What a layer is before its weights are known: its tiles, its maps and its widths."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.schedule import overhead_cycles
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import signed_width
from sqhw.machine.timing import Timing
from sqhw.network.quantized import Conv, Layer, QuantizedNetwork, Shape
from sqhw.planner.placement import Tiling, place

#: Width of a residual's weight, 1 to 127, as an operand of a signed multiplier (unit: bit).
SKIP_WEIGHT_BITS = 8


@dataclass(frozen=True, eq=False)
class LayerShape:
    """A layer on an engine, without its weights.

    Parameters
    ----------
    layer : Conv or MaxPool
        Its weights do not count, unless it is `constant`.
    tiles : int
        Tiles of `lanes` elements.
    serial : bool
        Whether it writes one byte a cycle.
    overhead : int
        Cycles of descriptor, preparation and drain.
    outputs, inputs : int
        Output channels; input channels that each of them reads.
    elements : int
        Positions of the output map times images of the run.
    written : int
        Bytes that an output channel writes to the activation banks.
    skip_channels : int
        Output channels that get something from a skip connection.
    inside : ndarray of int64, shape (kernel_h, kernel_w)
        Elements for which each kernel position lies inside of the input map.
    activation_bits, skip_bits : int
        Widths of the input map and of the map that is added (unit: bit).
    """

    layer: Layer
    tiles: int
    serial: bool
    overhead: int
    outputs: int
    inputs: int
    elements: int
    written: int
    skip_channels: int
    inside: npt.NDArray[np.int64]
    activation_bits: int
    skip_bits: int

    @classmethod
    def of(
        cls, tiling: Tiling, network: QuantizedNetwork, engine: EngineConfig, first: bool
    ) -> Self:
        """Return the shape of a layer of a network.

        Parameters
        ----------
        tiling : Tiling
        network : QuantizedNetwork
        engine : EngineConfig
        first : bool
            Whether it is the first layer.
        """
        layer, formats = tiling.layer, network.formats()
        outputs, height, width = tiling.target.shape
        skip = layer.residual if isinstance(layer, Conv) else None
        return cls(
            layer=layer,
            tiles=tiling.tiles,
            serial=tiling.serial,
            overhead=overhead_cycles(Timing.of(engine), tiling.serial, first),
            outputs=outputs,
            inputs=int(layer.weight.shape[1]) if isinstance(layer, Conv) else 1,
            elements=height * width * tiling.target.batch,
            written=tiling.written,
            skip_channels=tiling.skip.shape[0] if tiling.skip else 0,
            inside=_inside(layer, tiling.source.shape, tiling.target.shape) * tiling.target.batch,
            activation_bits=formats[layer.source].bits,
            skip_bits=formats[skip.source].bits if skip else 0,
        )

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def pools(self) -> bool:
        """Whether it takes maxima."""
        return not isinstance(self.layer, Conv)

    @property
    def constant(self) -> bool:
        """Whether its weights are all the same and no bits of the stream, as in averages."""
        return isinstance(self.layer, Conv) and self.layer.stream.entry_bits == 0

    @property
    def taps(self) -> int:
        """Positions of the kernel."""
        return int(self.inside.size)

    @property
    def length(self) -> int:
        """Weights of an output channel."""
        return self.inputs * self.taps

    @property
    def weights(self) -> int:
        """Weights of the layer."""
        return self.outputs * self.length

    @property
    def skips(self) -> bool:
        """Whether each channel begins with an entry for a skip connection."""
        return isinstance(self.layer, Conv) and self.layer.residual is not None


def layer_shapes(
    network: QuantizedNetwork, engine: EngineConfig, batch: int = 1
) -> tuple[LayerShape, ...]:
    """Return the shapes of a network's layers on an engine, in execution order.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
    batch : int, power of two, 1 to engine.max_batch
        Images of a run.

    Raises
    ------
    SqhwError
        If the network does not fit the engine's activation memory.
    """
    return tuple(
        LayerShape.of(tiling, network, engine, first=index == 0)
        for index, tiling in enumerate(place(network, engine, batch))
    )


def operand_bits(layer: Conv) -> int:
    """Return the width of a layer's widest weight as a signed number (unit: bit)."""
    return max(1, *(signed_width(value) for value in (layer.codebook[0], layer.codebook[-1])))


def _inside(layer: Layer, source: Shape, target: Shape) -> npt.NDArray[np.int64]:
    """Return how many output positions read inside of the map, by kernel position."""
    top, _, left, _ = layer.padding if isinstance(layer, Conv) else (0, 0, 0, 0)
    kernel = layer.kernel if isinstance(layer, Conv) else (layer.kernel, layer.kernel)
    counts = []
    for axis, before in ((0, top), (1, left)):
        at = np.arange(kernel[axis])[:, None] - before
        at = at + layer.stride * np.arange(target[1 + axis])
        counts.append(((at >= 0) & (at < source[1 + axis])).sum(axis=1))
    inside: npt.NDArray[np.int64] = counts[0][:, None] * counts[1]
    return inside
