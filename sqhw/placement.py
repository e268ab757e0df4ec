"""Where feature maps lie in the activation banks, and the tiles that a layer is computed in.

Element (position p, channel c) of a map lies in bank ``p % lanes``, row
``base + (p // lanes) * channels + c``. Positions are numbered row by row of the map with a pitch;
a map that a stride-2 layer reads is stored as its four phases (even/odd rows, even/odd columns),
each numbered by itself, so that the layer reads vectors of consecutive positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.network import INPUT, Layer, QuantizedNetwork, Shape


@dataclass(frozen=True)
class Placement:
    """A feature map in the activation banks.

    Parameters
    ----------
    shape : tuple of int (channels, height, width)
    split : int, 1 or 2
        Phases in each direction: the stride of the layer that reads the map.
    pitch : int
        Positions from one row of a phase to the next.
    lanes : int
        Banks.
    base : int
        First row.
    """

    shape: Shape
    split: int
    pitch: int
    lanes: int
    base: int

    @property
    def phase_rows(self) -> int:
        """Bank rows of one phase."""
        channels, height, width = self.shape
        plane_h, plane_w = -(-height // self.split), -(-width // self.split)
        return -(-((plane_h - 1) * self.pitch + plane_w) // self.lanes) * channels

    @property
    def rows(self) -> int:
        """Bank rows of the whole map."""
        return self.phase_rows * self.split**2


@dataclass(frozen=True)
class Tiling:
    """The tiles of a layer: `lanes` consecutive positions, numbered with the input's pitch.

    Parameters
    ----------
    layer : Conv or MaxPool
    source, target : Placement
        Input and output map.
    tiles : int
        Number of tiles.
    """

    layer: Layer
    source: Placement
    target: Placement
    tiles: int


def chain_maps(
    shapes: Sequence[Shape], strides: Sequence[int], lanes: int
) -> tuple[Placement, ...]:
    """Return how the maps of a chain of layers are stored, all at row 0.

    Parameters
    ----------
    shapes : sequence of tuple (channels, height, width)
        The input and the output of every layer.
    strides : sequence of int
        Of every layer; one fewer.
    lanes : int
        Banks.
    """
    maps = []
    for index, shape in enumerate(shapes):
        split = strides[index] if index < len(strides) else 1
        pitch = -(-shape[2] // split)
        if index < len(strides):
            pitch = max(pitch, shapes[index + 1][2])
        maps.append(Placement(shape, split, pitch, lanes, 0))
    return tuple(maps)


def rows_needed(shapes: Sequence[Shape], strides: Sequence[int], lanes: int) -> int:
    """Return the bank rows that the input and output map of the largest layer take together."""
    maps = chain_maps(shapes, strides, lanes)
    return max(a.rows + b.rows for a, b in pairwise(maps))


def place(network: QuantizedNetwork, engine: EngineConfig) -> tuple[Tiling, ...]:
    """Assign feature maps to the activation banks and cut the layers into tiles.

    Maps alternate between the bottom and the top of the banks; the network's input lies at row 0.

    Returns
    -------
    tuple of Tiling
        One a layer, in execution order.

    Raises
    ------
    SqhwError
        If the network is not a chain, or a map is larger than the engine's dimensions or banks;
        the message names the layer and says how much is missing.
    """
    shapes = network.shapes()
    previous = INPUT
    for layer in network.layers:
        if layer.source != previous:
            raise SqhwError(
                f"layer {layer.name!r}: reads {layer.source!r}, but this engine runs chains only "
                f"and the layer before it makes {previous!r}"
            )
        previous = layer.name
    _check_dimensions(network, engine)

    tensors = [INPUT, *(layer.name for layer in network.layers)]
    maps = chain_maps(
        [shapes[tensor] for tensor in tensors],
        [layer.stride for layer in network.layers],
        engine.lanes,
    )
    placements = {
        tensor: replace(plan, base=0 if index % 2 == 0 else max(0, engine.bank_depth - plan.rows))
        for index, (tensor, plan) in enumerate(zip(tensors, maps, strict=True))
    }

    tilings = []
    for layer in network.layers:
        source, target = placements[layer.source], placements[layer.name]
        missing = source.rows + target.rows - engine.bank_depth
        if missing > 0:
            depth = 1 << (source.rows + target.rows - 1).bit_length()
            raise SqhwError(
                f"layer {layer.name!r}: its input and output map take {source.rows} + "
                f"{target.rows} rows of the {engine.lanes} activation banks, {missing} more than "
                f"the bank depth of {engine.bank_depth}; a depth of {depth} would do"
            )
        _, height, width = target.shape
        positions = (height - 1) * source.pitch + width
        tilings.append(Tiling(layer, source, target, -(-positions // engine.lanes)))
    return tuple(tilings)


def _check_dimensions(network: QuantizedNetwork, engine: EngineConfig) -> None:
    limit = (1 << engine.dim_bits) - 1
    for tensor, (channels, height, width) in network.shapes().items():
        where = "the network's input" if tensor == INPUT else f"layer {tensor!r}: its output"
        if max(height, width) > limit:
            raise SqhwError(
                f"{where} is {height}x{width}, this engine's maps are at most {limit}x{limit}; "
                "raise dim_bits"
            )
        if channels >= engine.bank_depth:
            raise SqhwError(
                f"{where} has {channels} channels, this engine holds at most "
                f"{engine.bank_depth - 1}; raise bank_depth"
            )
    for layer in network.convs:
        if max(*layer.padding, *layer.kernel) > limit:
            raise SqhwError(
                f"layer {layer.name!r}: kernel {layer.kernel} and padding {layer.padding} must "
                f"not exceed {limit}; raise dim_bits"
            )
