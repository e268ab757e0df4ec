"""The places of feature maps in the activation banks, and the tiles of layers.

Channel c of element e of a map lies in bank ``e % lanes``, row
``base + (e // lanes) * channels + c``. Elements are numbered position by position, the images of
a run together: ``e = (y * pitch + x) * batch + image``. A map that a stride-2 layer reads is stored
as its four phases (even/odd rows, even/odd columns). Each phase is numbered by itself, so that the
layer reads vectors of consecutive elements.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic

from sqhw.errors import SqhwError, shown
from sqhw.machine.config import EngineConfig
from sqhw.network.graph import INPUT, C, Graph, GraphConv, MaxPool, Shape
from sqhw.planner.bank_plan import assign_rows


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
    batch : int, power of two
        Images of a run.
    """

    shape: Shape
    split: int
    pitch: int
    lanes: int
    base: int
    batch: int = 1

    @property
    def phase_rows(self) -> int:
        """Bank rows of one phase."""
        channels, height, width = self.shape
        plane_h, plane_w = -(-height // self.split), -(-width // self.split)
        elements = ((plane_h - 1) * self.pitch + plane_w) * self.batch
        return -(-elements // self.lanes) * channels

    @property
    def rows(self) -> int:
        """Bank rows of the whole map."""
        return self.phase_rows * self.split**2

    def alike(self, other: "Placement") -> bool:
        """Return whether both maps are unsplit and lie alike, apart from their bases."""
        return self.split == 1 and replace(self, base=0) == replace(other, base=0)


class Write(Enum):
    """The way in which the output of a layer is written."""

    #: Write at full width and lane by lane: the layout in memory is the order of computation.
    AS_COMPUTED = "as computed"
    #: Write at full width, each group of bytes to a place of its own.
    WALKED = "walked"
    #: Write of one byte a cycle, each to a place of its own.
    SERIAL = "serial"


@dataclass(frozen=True)
class Tiling(Generic[C]):
    """The tiles of a layer: `lanes` consecutive elements, numbered with the input's pitch.

    Parameters
    ----------
    layer : GraphConv or MaxPool
        Layer of the graph that was placed.
    source, target : Placement
        Input and output map.
    skip : Placement or None
        Map that the layer's residual adds.
    tiles : int
        Number of tiles.
    requantizers : int
        Bytes that the engine can write back a cycle.
    phased : bool
        Whether the layer computes the phases of its input one after another, as its output has the
        same phases.
    """

    layer: C | MaxPool
    source: Placement
    target: Placement
    skip: Placement | None
    tiles: int
    requantizers: int
    phased: bool = False

    @property
    def pitch(self) -> int:
        """Positions from one line of the output to the next, as tiles number them.

        It is the pitch of the input, or a multiple of it if the stride down is larger than that to
        the right: one line of the tiles is several lines of the input.
        """
        down, right = self.layer.strides
        return self.source.pitch * (down // right)

    @property
    def write(self) -> Write:
        """The way in which the output is written."""
        target, requantizers = self.target, self.requantizers
        one_line = target.shape[1] == 1  # its pitch is never used
        if requantizers == 1:
            return Write.SERIAL
        if self.phased:
            return Write.AS_COMPUTED
        if target.split == 1 and (one_line or target.pitch == self.pitch):
            return Write.AS_COMPUTED
        if target.batch >= requantizers:  # the images of a position fill a group
            return Write.WALKED
        # Else a group holds neighbours of one line, and two groups hold those of two phases.
        # Neighbours lie together in both maps if lines and tiles are made of whole groups.
        unit = requantizers * target.split
        whole = target.batch == 1 and not (
            self.pitch % unit or target.pitch % requantizers or target.lanes % unit
        )
        return Write.WALKED if whole else Write.SERIAL

    @property
    def transposes(self) -> bool:
        """True if the even elements of two groups are written first, then the odd ones."""
        return self.write is Write.WALKED and self.target.batch == 1 and self.target.split == 2

    @property
    def serial(self) -> bool:
        """True if the output is written one byte a cycle."""
        return self.write is Write.SERIAL

    @property
    def written(self) -> int:
        """Bytes that an output channel writes, those of tiles or groups beyond the map included."""
        target = self.target
        _, height, width = target.shape
        if self.phased or self.write is Write.AS_COMPUTED:
            return self.tiles * target.lanes
        if self.write is Write.WALKED and target.batch == 1:
            unit = self.requantizers * target.split
            return height * -(-width // unit) * unit
        return height * width * target.batch


def network_maps(network: Graph[GraphConv], lanes: int, batch: int = 1) -> dict[str, Placement]:
    """Return the placement of every map of a network by name, all at row 0.

    Parameters
    ----------
    network : Graph
    lanes : int
        Banks.
    batch : int, power of two
        Images of a run.

    Raises
    ------
    SqhwError
        If layers of different strides read the same map, and `phased_layers` has not those of
        stride 1.
    """
    shapes = network.shapes()
    splits: dict[str, int] = {}
    pitches = dict.fromkeys(shapes, 1)
    phased = phased_layers(network)
    for layer in network.layers:
        for tensor, stride in _readings(layer):
            stride = 2 if layer.name in phased else stride
            if splits.setdefault(tensor, stride) != stride:
                raise SqhwError(
                    f"layer {layer.name!r}: reads {tensor!r} with stride {stride}, an earlier "
                    f"layer with stride {splits[tensor]}; this engine stores a map for one stride, "
                    "so let one of them read a copy, made by a 1x1 convolution"
                )
    for tensor, shape in shapes.items():
        pitches[tensor] = -(-shape[2] // splits.get(tensor, 1))
    changed = True
    while changed:  # a residual is read with the pitch of the layer's input
        before = dict(pitches)
        for layer in network.layers:
            alike = layer.sources
            if layer.name in phased:
                alike = (layer.source, layer.name)
                pitch = 1
            else:
                pitch = shapes[layer.name][2]
            pitch = max(pitch, *(pitches[tensor] for tensor in alike), 1)
            for tensor in alike:
                pitches[tensor] = pitch
        changed = pitches != before
    return {
        tensor: Placement(shape, splits.get(tensor, 1), pitches[tensor], lanes, 0, batch)
        for tensor, shape in shapes.items()
    }


def phased_layers(network: Graph[GraphConv]) -> set[str]:
    """Return the layers of stride 1 that compute a map in four phases, phase by phase.

    They are 1x1 convolutions without skip connection, whose input other layers read with stride 2.
    Their output has the same phases, as layers of stride 2 or others of this kind read it.
    """
    readers: dict[str, list[GraphConv | MaxPool]] = {}
    strides: dict[str, set[int]] = {}
    for layer in network.layers:
        for tensor, stride in _readings(layer):
            readers.setdefault(tensor, []).append(layer)
            strides.setdefault(tensor, set()).add(stride)
    found: set[str] = set()
    for layer in reversed(network.layers[1:]):
        own = readers.get(layer.name, [])
        if (
            not isinstance(layer, MaxPool)
            and layer.kernel == (1, 1)
            and layer.strides == (1, 1)
            and not any(layer.padding)
            and layer.residual is None
            and own
            and all(
                reader.name in found or (layer.name, 1) not in _readings(reader) for reader in own
            )
        ):
            found.add(layer.name)
    # Only those whose input is in phases, for a layer of stride 2 or from another layer like them.
    phases = {tensor for tensor, own_strides in strides.items() if 2 in own_strides}
    kept: set[str] = set()
    for layer in network.layers:
        if layer.name in found and layer.source in phases:
            kept.add(layer.name)
            phases.add(layer.name)
    return kept


def _readings(layer: GraphConv | MaxPool) -> list[tuple[str, int]]:
    """Return the tensors that a layer reads, each with its stride."""
    readings = [(layer.source, layer.strides[1])]
    if not isinstance(layer, MaxPool) and layer.residual:
        readings.append((layer.residual.source, layer.residual.stride))
    return readings


def place(network: Graph[C], engine: EngineConfig, batch: int = 1) -> tuple[Tiling[C], ...]:
    """Assign feature maps to the activation banks and cut the layers into tiles.

    A map is kept until the last layer that reads it; the network's input lies at row 0.

    Parameters
    ----------
    network : Graph
    engine : EngineConfig
    batch : int, power of two, 1 to engine.max_batch
        Images of a run.

    Returns
    -------
    tuple of Tiling
        Tiling of each layer, in execution order.

    Raises
    ------
    SqhwError
        If the engine lacks a kind of layer, or a map is larger than the engine's dimensions or
        banks; the message names the layer and the missing amount.
    """
    whole = isinstance(batch, int) and not isinstance(batch, bool)
    if not whole or batch < 1 or batch & (batch - 1):
        raise SqhwError(
            f"network {network.name!r}: the images of a run must be a power of two, "
            f"not {shown(batch)}"
        )
    if batch > engine.max_batch:
        raise SqhwError(
            f"network {network.name!r}: {batch} images a run are more than the engine's "
            f"{engine.max_batch}; take an engine with --max-batch {batch}"
        )
    _check_dimensions(network, engine)
    _check_kinds(network, engine)
    _check_strides(network)
    phased = phased_layers(network)
    maps = network_maps(network, engine.lanes, batch)
    placements = assign_rows(network, maps, engine.bank_depth)
    tilings = []
    for layer in network.layers:
        source, target = placements[layer.source], placements[layer.name]
        skip = None
        if not isinstance(layer, MaxPool) and layer.residual:
            skip = placements[layer.residual.source]
        _, height, width = target.shape
        pitch = source.pitch * (layer.strides[0] // layer.strides[1])
        elements = ((height - 1) * pitch + width) * batch
        tiles = -(-elements // engine.lanes)
        by_phase = layer.name in phased
        if pitch > 1 << engine.dim_bits:
            raise SqhwError(
                f"layer {layer.name!r}: with stride {layer.strides} its tiles have lines of "
                f"{pitch} positions, this engine's at most {1 << engine.dim_bits}; raise dim_bits"
            )
        if by_phase:
            tiles = source.rows // source.shape[0]
            _check_phases(layer.name, tiles, engine, batch)
        if tiles > engine.bank_depth:
            raise SqhwError(
                f"layer {layer.name!r}: has {tiles} tiles, this engine counts at most "
                f"{engine.bank_depth}; raise bank_depth or lanes"
            )
        tilings.append(Tiling(layer, source, target, skip, tiles, engine.requantizers, by_phase))
    return tuple(tilings)


def _check_phases(name: str, tiles: int, engine: EngineConfig, batch: int) -> None:
    """Refuse a map whose four phases together have more positions than coordinates can tell."""
    positions, limit = tiles * engine.lanes // batch, 1 << 2 * engine.dim_bits
    if positions > limit:
        raise SqhwError(
            f"layer {name!r}: reads four phases of {positions} positions one after another, this "
            f"engine counts at most {limit}; raise dim_bits"
        )


def _check_kinds(network: Graph[GraphConv], engine: EngineConfig) -> None:
    for layer in network.layers:
        if isinstance(layer, MaxPool):
            if not engine.maxpool:
                raise SqhwError(
                    f"layer {layer.name!r}: is a max pooling, this engine has none; set maxpool"
                )
            continue
        if layer.groups > 1 and not engine.groups:
            raise SqhwError(
                f"layer {layer.name!r}: has {layer.groups} groups, this engine runs none; "
                "set groups"
            )
        if layer.has_table and not engine.tables:
            raise SqhwError(
                f"layer {layer.name!r}: its activation function is a table, this engine has none; "
                "set tables"
            )
        if layer.residual and not engine.residuals:
            raise SqhwError(
                f"layer {layer.name!r}: adds {layer.residual.source!r}, this engine adds no "
                "residuals; set residuals"
            )


def _check_strides(network: Graph[GraphConv]) -> None:
    """Refuse layers of two strides whose tiles would need more than a longer line."""
    for layer in network.layers:
        down, right = layer.strides
        if down == right:
            continue
        if any(layer.padding[:2]):
            raise SqhwError(
                f"layer {layer.name!r}: has the strides {down} and {right} and padding above or "
                "below, which this engine has not together; pad in a 1x1 layer before it"
            )
        if not isinstance(layer, MaxPool) and layer.residual:
            raise SqhwError(
                f"layer {layer.name!r}: has the strides {down} and {right} and adds "
                f"{layer.residual.source!r}, which this engine has not together; add in a "
                "1x1 layer after it"
            )


def _check_dimensions(network: Graph[GraphConv], engine: EngineConfig) -> None:
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
    for layer in network.layers:
        kernel = layer.window if isinstance(layer, MaxPool) else layer.kernel
        if max(*layer.padding, *kernel) > limit:
            raise SqhwError(
                f"layer {layer.name!r}: kernel {kernel} and padding {layer.padding} must "
                f"not exceed {limit}; raise dim_bits"
            )
