"""Writes to the activation memory: pixels before a run, requantized accumulators during it."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing, requantize_cycles, table_cycles, transpose_cycles
from sqhw.rtl.delay import delayed
from sqhw.rtl.descriptor import LayerFields, record_layout
from sqhw.rtl.interfaces import (
    MemoryWrite,
    Phases,
    PixelStream,
    SumStream,
    TableWrite,
    WrittenStream,
)
from sqhw.rtl.lookup import Lookup
from sqhw.rtl.position_walker import PositionWalker, map_fields
from sqhw.rtl.requantizer import Requantizer
from sqhw.rtl.transposer import Transposer


@dataclass(frozen=True)
class _Mode:
    """Mode in which a layer is written: values that are stable while it runs.

    Parameters
    ----------
    serial : Value
        Whether one byte is written a cycle.
    walks : Value
        Whether bytes go to the places of the output map. Otherwise they go to rows of their own,
        in the order in which they were computed.
    neighbours : Value
        Whether a group has neighbouring positions of one image.
    last_x, edge_x : Value
        Last `x` of a line of the walk, and the greatest `x` in the map.
    """

    serial: Any
    walks: Any
    neighbours: Any
    last_x: Any
    edge_x: Any


@dataclass(frozen=True)
class _Walk:
    """Place of the next byte that is written.

    Parameters
    ----------
    places : PositionWalker
    tile_start : Signal
        Place at which the tile of results begins.
    group_row : Signal
        Row of the tile, if it is written in the order in which it was computed.
    channel, image, element : Signal
        Channel, image of the run, and lane of the byte.
    active : Signal
        Whether the results of a channel are written.
    """

    places: PositionWalker
    tile_start: Any
    group_row: Any
    channel: Any
    image: Any
    element: Any
    active: Any


class WriteBack(wiring.Component):
    """Requantizes the sums of each channel and writes the bytes to their places.

    That takes place while the lanes go on with the next channel. Before a run the pixels are
    written, to the places of the first layer's input map.

    Parameters
    ----------
    engine : EngineConfig
    ram : str
        Name of the Verilog module of a table's RAM.

    Members
    -------
    layer : In(LayerFields)
        The `LAYER_FIELDS` of the descriptor.
    record : In(record_layout)
        Record of the present channel.
    batch : In(lane_bits + 1)
        Images of the run. Missing in an engine that runs single images.
    phases : In(Phases)
    start : In(1)
        A run starts: no pixel is taken.
    take : In(1)
        The slot of the channel whose record is present begins in the next cycle.
    sums : In(SumStream)
        Accumulators of a channel. They come after all bytes of the last channel are written.
    pixels : In(PixelStream)
        Pixels, one in each cycle while the engine is idle.
    write : Out(MemoryWrite)
        Bytes to write. The first byte of a channel comes `latency` after its sums, the others in
        the cycles that follow.
    written : Out(WrittenStream)
        Results that are written.
    table : In(TableWrite)
        Entries of the table of the next layer. Missing in an engine without tables.
    """

    #: Fields of the layer descriptor that it reads.
    LAYER_FIELDS = (
        "clamp_lo", "clamp_hi", "in_channels", "in_split", "in_phase_rows", "in_pitch_rows",
        "in_pitch_lane", "in_last_x", "in_last_y", "batch_shift", "pitch_last_x", "last_channel",
        "out_base", "out_channels", "out_split", "out_phase_rows", "out_pitch_rows",
        "out_pitch_lane", "out_last_x", "out_last_y", "out_walk", "out_serial", "table",
    )  # fmt: skip

    def __init__(self, engine: EngineConfig, ram: str = "sqhw_ram") -> None:
        self._engine, self._ram = engine, ram
        self.latency = requantize_cycles(engine) + table_cycles(engine) + transpose_cycles(engine)
        super().__init__(
            {
                "layer": In(LayerFields(engine, self.LAYER_FIELDS)),
                "record": In(record_layout(engine)),
                **({"batch": In(engine.lane_bits + 1)} if engine.max_batch > 1 else {}),
                "phases": In(Phases()),
                "start": In(1),
                "take": In(1),
                "sums": In(SumStream(engine)),
                "pixels": In(PixelStream()),
                "write": Out(MemoryWrite(engine)),
                "written": Out(WrittenStream(engine)),
                **({"table": In(TableWrite())} if engine.tables else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the requantizers and the walk to the places of their results."""
        m = Module()
        engine, phases, write = self._engine, self.phases, self.write
        m.submodules.requantizer = requantizer = Requantizer(engine)
        m.submodules.places = places = PositionWalker(engine)
        walk = _Walk(
            places=places,
            tile_start=Signal.like(places.point, name="tile_start"),
            group_row=Signal(engine.row_bits, name="group_row"),
            channel=Signal(engine.row_bits, name="channel"),
            # The images of a run lie side by side: the low bits of a lane number the image.
            image=Signal(max(1, engine.batch_bits), name="image"),
            element=Signal(range(engine.lanes), name="element"),
            active=Signal(name="active"),
        )
        mode = self._mode(m, places)
        data = self._requantized(m, requantizer, mode, walk)
        last_image, next_image = self._images(walk, mode)
        first, last = self._ends(m, walk, mode)
        pixel = self._pixel(m, walk, last_image)
        m.d.comb += places.start.eq(walk.tile_start)
        with m.If(phases.busy):
            m.d.comb += [*map_fields(places.map, self.layer, "out"), places.last_x.eq(mode.last_x)]
        with m.Else():
            m.d.comb += [
                *map_fields(places.map, self.layer, "in"),
                places.last_x.eq(self.layer.in_last_x),
            ]
        with m.If(phases.idle):
            self._write_pixel(m, walk, pixel, next_image)
        with m.Else():
            self._write_results(m, walk, mode, data, last_image)
            with m.If(walk.active):
                m.d.sync += walk.image.eq(next_image)
            self._advance(m, walk, mode, first, last)
        self._begin(m, walk)
        grouped = ~mode.walks & ~phases.idle if engine.requantizers > 1 else 0
        row, lane = places.point.row, places.point.lane | walk.image
        m.d.comb += [
            write.row.eq(Mux(grouped, walk.group_row, row) + walk.channel),
            write.lane.eq(Mux(grouped, walk.element, lane)),
        ]
        return m

    def _mode(self, m, places: PositionWalker) -> _Mode:
        """Return the mode of the layer, and connect the elements of a position to the walker."""
        engine, layer = self._engine, self.layer
        if engine.requantizers == 1:
            if engine.max_batch > 1:
                m.d.comb += places.batch.eq(self.batch)
            return _Mode(C(1), C(1), C(0), layer.pitch_last_x, layer.out_last_x)
        # A group of neighbours is walked over like a position of as many images. In a split map the
        # groups of the even and the odd phase alternate, and an edge ends both.
        serial = layer.out_serial
        walks, neighbours = layer.out_walk, layer.out_walk & ~serial
        if engine.max_batch > 1:
            neighbours &= layer.batch_shift == 0
        low = engine.requantizers.bit_length() - 1
        batch = self.batch if engine.max_batch > 1 else 1
        together = Signal.like(places.batch, name="together")
        edge_x = Signal(engine.dim_bits, name="edge_x")
        m.d.comb += places.batch.eq(together)
        m.d.sync += [
            together.eq(Mux(self.phases.busy & neighbours, engine.requantizers, batch)),
            edge_x.eq(Mux(neighbours, layer.out_last_x >> low | layer.out_split, layer.out_last_x)),
        ]
        last_x = Mux(neighbours, layer.pitch_last_x >> low, layer.pitch_last_x)
        return _Mode(serial, walks, neighbours, last_x, edge_x)

    def _requantized(self, m, requantizer: Requantizer, mode: _Mode, walk: _Walk):
        """Feed the requantizers and return the bytes that are to be written."""
        engine, layer = self._engine, self.layer
        # The constants are copied as late as the record stays: after the next channel has taken it.
        constants = Signal.like(self.record, name="constants", reset_less=True)
        held = Signal.like(self.record, name="held", reset_less=True)
        with m.If(delayed(m, self.take, Timing.of(engine).hold, "take", reset_less=False)):
            m.d.sync += [constants.eq(self.record), held.eq(constants)]
        m.d.comb += [
            requantizer.load.eq(self.sums.valid),
            requantizer.acc.eq(self.sums.acc),
            requantizer.bias.eq(held.bias),
            requantizer.multiplier.eq(held.multiplier),
            requantizer.shift.eq(held.shift),
            requantizer.serial.eq(mode.serial),
            requantizer.clamp_lo.eq(layer.clamp_lo),
            requantizer.clamp_hi.eq(layer.clamp_hi),
        ]
        y = requantizer.y
        if engine.tables:
            m.submodules.lookup = lookup = Lookup(engine, self._ram)
            wiring.connect(m, wiring.flipped(self.table), lookup.write)
            m.d.comb += [lookup.x.eq(y), lookup.enable.eq(layer.table)]
            y = lookup.y
        if not transpose_cycles(engine):
            return y
        m.submodules.transposer = transposer = Transposer(engine)
        low = engine.requantizers.bit_length() - 1
        pair = mode.neighbours & layer.out_split & walk.active & ~walk.element[low]
        m.d.comb += [transposer.x.eq(y), transposer.second.eq(pair)]
        return transposer.y

    def _images(self, walk: _Walk, mode: _Mode):
        """Return whether the byte or group has the last image of its position, and the next one."""
        engine = self._engine
        if engine.max_batch == 1:
            return C(1), C(0)
        step = Mux(self.phases.busy, Mux(mode.serial, 1, engine.requantizers), 1)
        last_image = walk.image + step > (self.batch - 1)[: engine.batch_bits]
        return last_image, Mux(last_image, 0, walk.image + step)

    def _pixel(self, m, walk: _Walk, last_image):
        """Return whether a pixel comes, and whether one ends its position and its image."""
        layer, point = self.layer, walk.places.point
        load_pixel = Signal(name="load_pixel")
        whole_pixel, whole_image = Signal(name="whole_pixel"), Signal(name="whole_image")
        last_in_channel = Signal(self._engine.row_bits, name="last_in_channel")
        m.d.sync += last_in_channel.eq(layer.in_channels - 1)
        m.d.comb += [
            self.pixels.ready.eq(self.phases.idle & ~self.start),
            load_pixel.eq(self.pixels.valid & self.pixels.ready),
            whole_pixel.eq(walk.channel == last_in_channel),
            whole_image.eq(
                whole_pixel & (point.x == layer.in_last_x) & (point.y == layer.in_last_y)
            ),
            self.pixels.last.eq(whole_image & last_image),
        ]
        return load_pixel, whole_pixel, whole_image

    def _write_pixel(self, m, walk: _Walk, pixel, next_image) -> None:
        """Write a pixel if there is one."""
        load_pixel, whole_pixel, whole_image = pixel
        m.d.comb += [self.write.data[0].eq(self.pixels.data), self.write.en.eq(load_pixel)]
        with m.If(load_pixel):
            m.d.sync += walk.channel.eq(walk.channel + 1)
            with m.If(whole_pixel):
                m.d.comb += walk.places.step.eq(1)
                m.d.sync += walk.channel.eq(0)
            with m.If(whole_image):
                m.d.comb += walk.places.load.eq(1)
                m.d.sync += walk.image.eq(next_image)

    def _write_results(self, m, walk: _Walk, mode: _Mode, data, last_image) -> None:
        """Write a byte or a group, unless it lies beyond the map."""
        point, write, written = walk.places.point, self.write, self.written
        inside = Signal(name="inside")
        m.d.comb += [
            # Part of a group may be written outside of the map: no other map has these places.
            inside.eq(~mode.walks | (point.x <= mode.edge_x) & (point.y <= self.layer.out_last_y)),
            write.data.eq(data),
            write.group.eq(~mode.serial),
            write.en.eq(walk.active & inside),
            written.data.eq(data),
            written.group.eq(~mode.serial),
            written.valid.eq(walk.active & inside),
            walk.places.step.eq(walk.active & last_image),
        ]

    def _ends(self, m, walk: _Walk, mode: _Mode):
        """Return whether the first element comes next cycle, and whether this is the last."""
        first, last = Signal(name="first_element"), Signal(name="last_element")
        pipe = Signal(self.latency - 1, name="pipe")
        # The elements written at once differ in the low bits of their number.
        low = self._engine.requantizers.bit_length() - 1
        end_of_group = walk.element[:low].all() if low else 1
        m.d.sync += pipe.eq(Cat(self.sums.valid, pipe))
        m.d.comb += [
            first.eq(pipe[-1]),
            last.eq(walk.element[low:].all() & (~mode.serial | end_of_group)),
        ]
        return first, last

    def _advance(self, m, walk: _Walk, mode: _Mode, first, last) -> None:
        """Go on to the next element, after the last one to the next channel or tile."""
        layer = self.layer
        with m.If(first):
            m.d.sync += [walk.active.eq(1), walk.element.eq(0)]
        with m.Elif(walk.active):
            m.d.sync += walk.element.eq(
                walk.element + Mux(mode.serial, 1, self._engine.requantizers)
            )
            with m.If(last):
                m.d.sync += walk.active.eq(0)
        with m.If(walk.active & last):
            # The next channel walks over the same tile. The next tile begins at this place.
            m.d.sync += walk.channel.eq(walk.channel + 1)
            with m.If(walk.channel == layer.last_channel):
                m.d.sync += [
                    walk.group_row.eq(walk.group_row + layer.out_channels),
                    walk.channel.eq(0),
                    walk.tile_start.eq(walk.places.next),
                ]
            with m.Else():
                m.d.comb += walk.places.load.eq(1)

    def _begin(self, m, walk: _Walk) -> None:
        """Let the walker and its first place begin anew for each frame and each layer."""
        base, places = self.layer.out_base, walk.places
        with m.If(self.phases.frame):
            m.d.comb += [places.start.eq(0), places.load.eq(1)]
            m.d.sync += [walk.tile_start.eq(0), walk.channel.eq(0), walk.image.eq(0)]
        with m.If(self.phases.prepare):
            m.d.comb += [
                places.start.eq(0),
                places.start.row.eq(base),
                places.start.line_row.eq(base),
                places.load.eq(1),
            ]
            m.d.sync += [
                walk.tile_start.eq(0),
                walk.tile_start.row.eq(base),
                walk.tile_start.line_row.eq(base),
                walk.channel.eq(0),
                walk.image.eq(0),
                walk.active.eq(0),
                walk.group_row.eq(base),
            ]
