"""Signatures of the signals between the parts of the engine.

The schedule is static and no part ever waits for another. A stream between them therefore has a
`valid` and no `ready`. Directions are those of the sender: `In` is an answer.
"""

from amaranth.hdl import signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import COUNT_BITS


class RunControl(wiring.Signature):
    """Start and end of runs, sent by the user of the engine.

    Members
    -------
    start : Out(1)
        Run the network. Ignored unless the engine is idle.
    reload : Out(1)
        Read the first descriptor again. Ignored unless the engine is idle. Missing if it is not
        writable.
    done : In(1)
        High for one cycle: the run has ended.
    cycles : In(32)
        Cycles from the one of `start` to the one of `done`.
    """

    def __init__(self, engine: EngineConfig) -> None:
        super().__init__(
            ({"reload": Out(1)} if engine.writable else {})
            | {"start": Out(1), "done": In(1), "cycles": In(32)}
        )


class ParameterCommands(wiring.Signature):
    """Commands to the reader of the parameter ROM.

    Members
    -------
    load, restart : Out(1)
        Read the descriptor of the next layer, or with `restart` of the first one.
    fetch, rewind : Out(1)
        Read the next channel record, or with `rewind` the layer's first.
    table : Out(1)
        Read the layer's table. Missing in an engine without tables.
    """

    def __init__(self, engine: EngineConfig) -> None:
        names = ("load", "restart", "fetch", "rewind", *(("table",) if engine.tables else ()))
        super().__init__({name: Out(1) for name in names})


class TableWrite(wiring.Signature):
    """Entries of a table as they are written, one a cycle.

    Members
    -------
    en : Out(1)
    index, data : Out(8)
        Byte that is looked up, and the byte that takes its place.
    """

    def __init__(self) -> None:
        super().__init__({"en": Out(1), "index": Out(8), "data": Out(8)})


class LayerLoops(wiring.Signature):
    """How often the loops of a layer run, from its descriptor and the present record.

    Members
    -------
    count : Out
        Entries of the channel of the record, the one of the residual included.
    with_skip : Out(1)
        Each channel begins with an entry from the residual.
    serial : Out(1)
        The layer writes one byte a cycle.
    group_channels, group_last : Out(row_bits)
        Input channels of a group, and its output channels - 1.
    last_layer : Out(1)
        The network ends with this layer.
    last_tile, last_channel : Out(row_bits)
        Tiles and output channels - 1.
    last_image : Out(batch_bits)
        Images of the run - 1. Missing in an engine that runs single images.
    table : Out(1)
        The layer has a table. Missing in an engine without tables.
    """

    def __init__(self, engine: EngineConfig) -> None:
        row = engine.row_bits
        super().__init__(
            {
                "count": Out(COUNT_BITS),
                "with_skip": Out(1),
                "serial": Out(1),
                "group_channels": Out(row),
                "group_last": Out(row),
                "last_layer": Out(1),
                "last_tile": Out(row),
                "last_channel": Out(row),
            }
            | ({"last_image": Out(engine.batch_bits)} if engine.max_batch > 1 else {})
            | ({"table": Out(1)} if engine.tables else {})
        )


class Phases(wiring.Signature):
    """Moments of a run.

    Members
    -------
    idle, busy : Out(1)
        Pixels are taken; a network runs.
    frame : Out(1)
        The cycle before `idle`: pixels are about to come.
    prepare, fill : Out(1)
        The first cycle of a layer; the cycles after it that the lane masks need.
    """

    def __init__(self) -> None:
        super().__init__({name: Out(1) for name in ("idle", "busy", "frame", "prepare", "fill")})


class EntryStream(wiring.Signature):
    """Entries of the weight stream as they are issued, at most one a cycle.

    Members
    -------
    valid : Out(1)
        An entry is issued.
    first, last : Out(1)
        The entry is the first, the last of its channel.
    new_tile : Out(1)
        The entry is the first of its tile, and the tile is not the first of the layer.
    skip : Out(1)
        The entry is a channel of the residual. It is not in the weight stream.
    begin : Out(1)
        The entry is the first of its channel in the weight stream.
    channel, offset : Out(row_bits)
        Output channel of the entry, and the first input channel of that channel's group. While
        results go out, `channel` is that of the result.
    rewind : Out(1)
        The next entry is the first of the layer. Independent of `valid`.
    take : Out(1)
        The slot of the channel whose record is present begins in the next cycle. Independent of
        `valid`.
    """

    def __init__(self, engine: EngineConfig) -> None:
        flags = ("valid", "first", "last", "new_tile", "skip", "begin", "rewind", "take")
        row = engine.row_bits
        super().__init__(
            {name: Out(1) for name in flags} | {"channel": Out(row), "offset": Out(row)}
        )


class ResultWalk(wiring.Signature):
    """The walk over the results of a run as they go out.

    Members
    -------
    active : Out(1)
        Results go out.
    first, step : Out(1)
        Go to the first position, to the next one.
    image : Out(batch_bits)
        Number of the image whose results go out, else 0. Missing in an engine that runs single
        images.
    end_of_map : In(1)
        The position is the last.
    """

    def __init__(self, engine: EngineConfig) -> None:
        super().__init__(
            {"active": Out(1), "first": Out(1), "step": Out(1), "end_of_map": In(1)}
            | ({"image": Out(engine.batch_bits)} if engine.max_batch > 1 else {})
        )


class Handshake(wiring.Signature):
    """Handshake of the results.

    Members
    -------
    valid, last : Out(1)
        There is a result; it is the last of the run.
    ready : In(1)
        The result is taken.
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "last": Out(1), "ready": In(1)})


class TapStream(wiring.Signature):
    """Entries with the kernel tap that they read, at most one a cycle.

    Members
    -------
    valid : Out(1)
        There is an entry.
    first, last : Out(1)
        The entry is the first, the last of its channel.
    new_tile : Out(1)
        The entry is the first of its tile, and the tile is not the first of the layer.
    useful : Out(1)
        The entry adds to the accumulators. Fillers do not, nor do residuals that a channel lacks.
    residual : Out(1)
        The entry is a channel of the residual. Missing in an engine without residuals.
    x, y : Out(signed)
        Offset of the kernel tap from the position that is computed.
    """

    def __init__(self, engine: EngineConfig) -> None:
        flags = ("valid", "first", "last", "new_tile", "useful")
        offset = Out(signed(engine.dim_bits + 1))
        super().__init__(
            {name: Out(1) for name in flags}
            | ({"residual": Out(1)} if engine.residuals else {})
            | {"x": offset, "y": offset}
        )


class VectorAddress(wiring.Signature):
    """Place at which a vector of activations begins.

    Members
    -------
    row, lane : Out
        Row and bank of its first element.
    channels : Out(row_bits)
        Rows from that row to the row of the elements after the last bank.
    """

    def __init__(self, engine: EngineConfig) -> None:
        super().__init__(
            {
                "row": Out(engine.row_bits),
                "lane": Out(engine.lane_bits),
                "channels": Out(engine.row_bits),
            }
        )


class MemoryWrite(wiring.Signature):
    """Writes to the activation memory.

    Members
    -------
    en : Out(1)
    row, lane : Out
        Row and bank of element 0.
    data : Out(ArrayLayout(8, requantizers))
        Element 0, or all elements.
    group : Out(1)
        Write all elements, to neighbouring banks. `lane` is a multiple of their number.
    """

    def __init__(self, engine: EngineConfig) -> None:
        super().__init__(
            {
                "en": Out(1),
                "row": Out(engine.row_bits),
                "lane": Out(engine.lane_bits),
                "data": Out(ArrayLayout(8, engine.requantizers)),
                "group": Out(1),
            }
        )


class SumStream(wiring.Signature):
    """The accumulators of a channel of a tile.

    Members
    -------
    valid : Out(1)
        The accumulators are complete.
    acc : Out(ArrayLayout(signed(acc_bits), lanes))
    """

    def __init__(self, engine: EngineConfig) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "acc": Out(ArrayLayout(signed(engine.acc_bits), engine.lanes)),
            }
        )


class PixelStream(wiring.Signature):
    """The pixels of a frame.

    Members
    -------
    valid : Out(1)
    data : Out(8)
    ready : In(1)
    last : In(1)
        The next pixel is the last one of a frame.
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "data": Out(8), "ready": In(1), "last": In(1)})


class WrittenStream(wiring.Signature):
    """Activations as they are written back, for verification.

    They come layer by layer, tile by tile, channel by channel, lane by lane. Two groups for a split
    map come as first the even lanes, then the odd ones.

    Members
    -------
    valid : Out(1)
    data : Out(8 * requantizers)
        One byte, or all bytes.
    group : Out(1)
        All bytes of `data` are written.
    """

    def __init__(self, engine: EngineConfig) -> None:
        super().__init__({"valid": Out(1), "data": Out(8 * engine.requantizers), "group": Out(1)})
