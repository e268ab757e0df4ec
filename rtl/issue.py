"""Entries from their issue to their kernel tap and to the place of the activations they read."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import (
    ISSUE_CYCLES,
    ROW_CYCLES,
    TAP_CYCLES,
    decoded_cycles,
    entry_window_cycles,
    is_deep,
    tap_cycles,
)
from sqhw.rtl.delay import delayed
from sqhw.rtl.descriptor import LayerFields, group_channels_of, pool_of
from sqhw.rtl.field_reader import FieldReader
from sqhw.rtl.interfaces import EntryStream, Phases, ResultWalk, TapStream, VectorAddress
from sqhw.rtl.position_walker import PositionWalker, map_fields
from sqhw.rtl.split_reader import SplitReader
from sqhw.rtl.stream_decoder import StreamDecoder
from sqhw.rtl.tap_walker import TapWalker


class Issue(wiring.Component):
    """Reads each entry that is issued and finds the vector of activations that it multiplies.

    After the run, the same walker goes over the results as they go out.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    layer : In(LayerFields)
        The `LAYER_FIELDS` of the descriptor.
    batch : In(lane_bits + 1)
        Images of the run. Missing in an engine that runs single images.
    phases : In(Phases)
    entries : In(EntryStream)
    results : In(ResultWalk)
    rom_addr, rom_data
        Ports of the ROM of the weight stream.
    code_addr : Out(codebook_addr_bits)
        Address of an entry's weight in the codebook, `CODE_CYCLES` before its tap. In a deep
        engine it comes one cycle later.
    taps : Out(TapStream)
        Entries with their taps, `latency` after the entry.
    address : Out(VectorAddress)
        Place of the vector that the tap reads, `ROW_CYCLES` after the tap. While results go out,
        place of the result of `entries.channel`.
    """

    #: Cycles from the codebook's address of an entry to its tap.
    CODE_CYCLES = TAP_CYCLES
    #: Cycles from the tap to the place of its vector.
    ROW_CYCLES = ROW_CYCLES
    #: Fields of the layer descriptor that it reads.
    LAYER_FIELDS = (
        "pool", "in_channels", "in_split", "in_phase_rows", "in_pitch_rows", "in_pitch_lane",
        "start_row", "start_lane", "start_phase_x", "start_phase_y", "start_dx", "start_dy",
        "last_dx", "group_channels", "skip_row", "skip_channels", "skip_first", "skip_last",
        "out_base", "out_channels", "out_split", "out_phase_rows", "out_pitch_rows",
        "out_pitch_lane", "out_last_x", "out_last_y", "weight_addr", "gap_bits", "filler_ones",
        "quotient_addr", "entry_bits", "codebook_addr",
    )  # fmt: skip

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        self.latency = tap_cycles(engine)
        super().__init__(
            {
                "layer": In(LayerFields(engine, self.LAYER_FIELDS)),
                **({"batch": In(engine.lane_bits + 1)} if engine.max_batch > 1 else {}),
                "phases": In(Phases()),
                "entries": In(EntryStream(engine)),
                "results": In(ResultWalk(engine)),
                "rom_addr": Out(engine.weight_addr_bits),
                "rom_data": In(engine.word_bits),
                "code_addr": Out(engine.codebook_addr_bits),
                "taps": Out(TapStream(engine)),
                "address": Out(VectorAddress(engine)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the reader of entries, their decoder and the walk over the kernel's taps.

        Cycle 0 is the issue of an entry. In cycle `decoded` its position is known.
        """
        m = Module()
        engine = self._engine
        m.submodules.decoder = decoder = StreamDecoder(engine)
        m.submodules.taps = walker = (
            TapWalker(engine) if engine.taps_per_entry > 1 else PositionWalker(engine)
        )
        self._read(m, decoder)
        output = delayed(m, self.results.active, ISSUE_CYCLES, "output", reset_less=False)
        new_tile = delayed(
            m, self.entries.new_tile, decoded_cycles(engine) - 1, "new_tile", reset_less=False
        )
        # Without groups in the engine, pooling alone reads channel by channel.
        begin = self.entries.offset
        if not engine.groups:
            begin = Mux(pool_of(engine, self.layer), self.entries.channel, 0)
        group = Mux(self.entries.skip, self.entries.channel, begin)
        group = delayed(m, group, decoded_cycles(engine) - 1, "group")
        base = self._base(m, new_tile, group)
        self._walk(m, decoder, walker, output)
        self._address(m, decoder, walker, base, output)
        self._tell(m, decoder, walker, new_tile, group)
        return m

    def _read(self, m, decoder: StreamDecoder) -> None:
        """Read the entries and decode them."""
        engine, layer, entries = self._engine, self.layer, self.entries
        window = entry_window_cycles(engine)
        m.submodules.entries = reader = (
            SplitReader(engine)
            if engine.quotient_ones
            else FieldReader(engine.word_bits, engine.weight_addr_bits, window)
        )
        # Cycle 1: the entry is taken. The last one of a tile sends the reader back.
        issue = delayed(m, entries.valid, ISSUE_CYCLES, "issue", reset_less=False)
        skip = delayed(m, entries.skip, ISSUE_CYCLES, "skip")
        rewind = delayed(m, entries.rewind, ISSUE_CYCLES, "rewind", reset_less=False)
        m.d.comb += [
            self.rom_addr.eq(reader.rom_addr),
            reader.rom_data.eq(self.rom_data),
            reader.jump.eq(rewind),
            reader.jump_addr.eq(layer.weight_addr),
            reader.take.eq(issue & ~skip),
            reader.next_width.eq(layer.entry_bits),
        ]
        # The place of the entry in its word: one cycle later in a deep engine.
        m.d.comb += [
            *decoder.connect_format(layer),
            decoder.channels.eq(group_channels_of(engine, layer)),
            decoder.issue.eq(delayed(m, issue, window, "window_issue", reset_less=False)),
            decoder.first.eq(delayed(m, entries.begin, ISSUE_CYCLES + window, "begin")),
            decoder.skip.eq(delayed(m, skip, window, "window_skip")),
            decoder.entry.eq(reader.window),
        ]
        if engine.quotient_ones:
            m.d.comb += [
                reader.filler_ones.eq(layer.filler_ones),
                reader.quotient_addr.eq(layer.quotient_addr),
                decoder.quotient.eq(delayed(m, reader.quotient, window, "window_quotient")),
                decoder.filler.eq(delayed(m, reader.filler, window, "window_filler")),
            ]

    def _base(self, m, new_tile, group):
        """Return the row at which an entry's tile and group begin, in cycle `decoded`."""
        engine, layer, prepare = self._engine, self.layer, self.phases.prepare
        tile_row = Signal(engine.row_bits, name="tile_row")
        this_tile = Signal(engine.row_bits, name="this_tile")
        base = Signal(engine.row_bits, name="base", reset_less=True)
        vector = this_tile
        m.d.comb += this_tile.eq(tile_row + Mux(new_tile, layer.in_channels, 0))
        if engine.residuals:
            skip_row = Signal(engine.row_bits, name="skip_row")
            this_skip = Signal(engine.row_bits, name="this_skip")
            m.d.comb += this_skip.eq(skip_row + Mux(new_tile, layer.skip_channels, 0))
            m.d.sync += skip_row.eq(Mux(prepare, layer.skip_row, this_skip))
            apart = delayed(m, self.entries.skip, decoded_cycles(engine) - 1, "apart")
            vector = Mux(apart, this_skip, this_tile)
        m.d.sync += [tile_row.eq(Mux(prepare, 0, this_tile)), base.eq(vector + group)]
        return base

    def _walk(self, m, decoder: StreamDecoder, walker, output) -> None:
        """Lead the walker over the taps of the kernel, or over the results."""
        engine, layer, results = self._engine, self.layer, self.results
        if max(engine.max_batch, engine.requantizers) > 1:
            m.d.comb += walker.batch.eq(self.batch if engine.max_batch > 1 else 1)
        m.d.comb += results.end_of_map.eq(
            (walker.point.x == layer.out_last_x) & (walker.point.y == layer.out_last_y)
        )
        first = delayed(m, results.first, ISSUE_CYCLES, "output_first")
        step = delayed(m, results.step, ISSUE_CYCLES, "output_step")
        with m.If(output):
            m.d.comb += [
                *map_fields(walker.map, layer, "out"),
                walker.last_x.eq(layer.out_last_x),
                walker.first_x.eq(0),
                walker.first_phase_x.eq(0),
                walker.start.row.eq(layer.out_base),
                walker.start.line_row.eq(layer.out_base),
                walker.load.eq(first),
                walker.step.eq(step),
            ]
        with m.Else():
            m.d.comb += [
                *map_fields(walker.map, layer, "in"),
                walker.last_x.eq(layer.last_dx),
                walker.first_x.eq(layer.start_dx),
                walker.first_phase_x.eq(layer.start_phase_x),
                walker.start.x.eq(layer.start_dx),
                walker.start.y.eq(layer.start_dy),
                walker.start.phase_x.eq(layer.start_phase_x),
                walker.start.phase_y.eq(layer.start_phase_y),
                walker.start.row.eq(layer.start_row),
                walker.start.lane.eq(layer.start_lane),
                walker.start.line_row.eq(layer.start_row),
                walker.start.line_lane.eq(layer.start_lane),
                walker.load.eq(decoder.valid & decoder.start),
                walker.step.eq(decoder.valid & decoder.step),
            ]
            if engine.taps_per_entry > 1:
                m.d.comb += [
                    walker.second.eq(decoder.step),
                    walker.step_two.eq(decoder.step_two),
                ]

    def _address(self, m, decoder: StreamDecoder, walker, base, output) -> None:
        """Drive the addresses of an entry's weight and of its vector."""
        engine, layer, address = self._engine, self.layer, self.address
        code_addr = Signal(engine.codebook_addr_bits, name="code_addr")
        offset = Signal(engine.row_bits, name="offset", reset_less=True)
        row = Signal(engine.row_bits, name="row", reset_less=True)
        lane = Signal(engine.lane_bits, name="lane", reset_less=True)
        image = self.results.image if engine.max_batch > 1 else 0
        tap_row, tap_lane = walker.point.row, walker.point.lane | image
        if engine.residuals:
            tap_row = Mux(self.taps.residual, 0, tap_row)
            tap_lane = Mux(self.taps.residual, 0, tap_lane)
        m.d.sync += [
            offset.eq(Mux(output, self.entries.channel, base + decoder.location)),
            row.eq(tap_row + offset),
            lane.eq(tap_lane),
        ]
        m.d.comb += [
            code_addr.eq(layer.codebook_addr + decoder.code),
            self.code_addr.eq(delayed(m, code_addr, int(is_deep(engine)), "code_addr")),
            address.row.eq(row),
            address.lane.eq(lane),
            address.channels.eq(Mux(output, layer.out_channels, layer.in_channels)),
        ]

    def _tell(self, m, decoder: StreamDecoder, walker, new_tile, group) -> None:
        """Drive the tap of an entry."""
        engine, layer, entries, taps = self._engine, self.layer, self.entries, self.taps
        useful = delayed(m, decoder.weight, TAP_CYCLES, "useful")
        if engine.residuals:
            has = Signal(name="has")
            channel = delayed(m, group, 1, "its_channel")
            m.d.sync += has.eq((channel >= layer.skip_first) & (channel <= layer.skip_last))
            useful = Mux(taps.residual, has, useful)
            m.d.comb += taps.residual.eq(delayed(m, decoder.residual, TAP_CYCLES, "aside"))
        last = delayed(m, entries.last, self.latency, "last", reset_less=False)
        m.d.comb += [
            taps.valid.eq(delayed(m, decoder.valid, TAP_CYCLES, "valid", reset_less=False)),
            taps.first.eq(delayed(m, entries.first, self.latency, "first")),
            taps.last.eq(last),
            taps.new_tile.eq(delayed(m, new_tile, 1 + TAP_CYCLES, "advance", reset_less=False)),
            taps.useful.eq(useful),
            taps.x.eq(walker.point.x),
            taps.y.eq(walker.point.y[: len(taps.y)]),
        ]
