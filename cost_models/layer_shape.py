"""The shape of a layer before its weights are known: its tiles, its maps and its widths."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.schedule import has_table, overhead_cycles
from sqhw.machine import layout
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing
from sqhw.network.graph import Graph, GraphConv, MaxPool, Shape
from sqhw.planner.placement import Tiling, place

#: Width of a residual's weight, 1 to 127, as an operand of a signed multiplier (unit: bit).
SKIP_WEIGHT_BITS = 8


@dataclass(frozen=True, eq=False)
class LayerShape:
    """A layer on an engine, without its weights.

    Parameters
    ----------
    layer : GraphConv or MaxPool
    tiles : int
        Tiles of `lanes` elements.
    serial : bool
        Whether it writes one byte a cycle.
    overhead : int
        Cycles of descriptor, table, preparation and drain.
    outputs, inputs : int
        Output channels; input channels that each of them reads.
    elements : int
        Positions of the output map times images of the run.
    written : int
        Bytes that an output channel writes to the activation banks.
    skip_channels : int
        Output channels with an addend from a skip connection.
    inside : ndarray of int64, shape (kernel_h, kernel_w)
        Elements for which each kernel position lies inside of the input map.
    activation_bits, skip_bits : int
        Widths of the input map and of the map that is added (unit: bit).
    """

    layer: GraphConv | MaxPool
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
        cls, tiling: Tiling[GraphConv], network: Graph[GraphConv], engine: EngineConfig, first: bool
    ) -> Self:
        """Return the shape of a layer of a network.

        Parameters
        ----------
        tiling : Tiling
        network : Graph
        engine : EngineConfig
        first : bool
            Whether it is the first layer.
        """
        layer, formats = tiling.layer, network.formats()
        outputs, height, width = tiling.target.shape
        skip = None if isinstance(layer, MaxPool) else layer.residual
        return cls(
            layer=layer,
            tiles=tiling.tiles,
            serial=tiling.serial,
            overhead=overhead_cycles(Timing.of(engine), tiling.serial, first, has_table(layer)),
            outputs=outputs,
            inputs=1 if isinstance(layer, MaxPool) else int(layer.weight.shape[1]),
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
        return isinstance(self.layer, MaxPool)

    @property
    def constant(self) -> bool:
        """Whether its weights are all equal and take no bits of the stream, as in averages."""
        return not (isinstance(self.layer, MaxPool) or self.layer.has_stream)

    @property
    def value_bits(self) -> int:
        """Width of the widest weight as a signed number; 0 where maxima are taken (unit: bit)."""
        return 0 if isinstance(self.layer, MaxPool) else self.layer.value_bits

    def table_words(self, engine: EngineConfig) -> int:
        """Return the words of the parameter ROM that its table takes, 0 if it has none."""
        return has_table(self.layer) * layout.table_words(engine)

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
        return not isinstance(self.layer, MaxPool) and self.layer.residual is not None


def layer_shapes(
    network: Graph[GraphConv], engine: EngineConfig, batch: int = 1
) -> tuple[LayerShape, ...]:
    """Return the shapes of a network's layers on an engine, in execution order.

    Parameters
    ----------
    network : Graph
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


def _inside(layer: GraphConv | MaxPool, source: Shape, target: Shape) -> npt.NDArray[np.int64]:
    """Return the number of output positions that read inside of the map, by kernel position."""
    top, _, left, _ = layer.padding
    kernel = layer.window if isinstance(layer, MaxPool) else layer.kernel
    counts = []
    for axis, before in ((0, top), (1, left)):
        at = np.arange(kernel[axis])[:, None] - before
        at = at + layer.strides[axis] * np.arange(target[1 + axis])
        counts.append(((at >= 0) & (at < source[1 + axis])).sum(axis=1))
    inside: npt.NDArray[np.int64] = counts[0][:, None] * counts[1]
    return inside
