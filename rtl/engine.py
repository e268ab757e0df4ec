"""The engine: a sparse vector-scalar stream machine that runs any network its ROMs describe."""

from amaranth.hdl import C, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ROMS
from sqhw.machine.naming import DEFAULT_NAME, image_name
from sqhw.machine.rom_pieces import Pieces
from sqhw.machine.timing import (
    ISSUE_CYCLES,
    accumulate_cycles,
    decoded_cycles,
    entry_window_cycles,
    is_deep,
    mask_cycles,
    read_cycles,
    rom_cycles,
)
from sqhw.rtl.activation_memory import ActivationMemory
from sqhw.rtl.bus_ports import bus_ports, connect_ports
from sqhw.rtl.descriptor import fields_of
from sqhw.rtl.field_reader import FieldReader
from sqhw.rtl.interfaces import PixelStream, WrittenStream
from sqhw.rtl.lane_masks import LaneMasks
from sqhw.rtl.lanes import Lanes
from sqhw.rtl.parameter_reader import ParameterReader
from sqhw.rtl.position_walker import PositionWalker, map_fields
from sqhw.rtl.rom import Rom
from sqhw.rtl.sequencer import Sequencer
from sqhw.rtl.stream_decoder import StreamDecoder
from sqhw.rtl.tap_walker import TapWalker
from sqhw.rtl.write_back import WriteBack


class Engine(wiring.Component):
    """Runs one image through the network in the ROMs.

    A frame: `ready` is high, the pixels of an image go in (row by row, channels of a pixel
    together), `start` is pulsed, `done` is high for one cycle when the last result is in memory,
    then the results come out (same order). `start` while `ready` is low is ignored.

    Parameters
    ----------
    engine : EngineConfig
    pieces : mapping of str to tuple of Piece
        Of the ROMs ``weights``, ``params`` and ``codebook``; their images are ``weights.hex``, or
        ``weights_0.hex`` and so on, behind a prefix if `name` is not the default.
    name : str
        Prefix of the modules that it instantiates; see `sqhw.machine.naming`.

    Members
    -------
    start : In(1)
    ready, busy, done : Out(1)
        Pixels and `start` are taken; a network runs; it has ended.
    cycles : Out(32)
        Cycles from the one of `start` to the one of `done` of the last run.
    in_valid, in_data, in_ready
        Pixels.
    in_last : Out(1)
        The next pixel is the last one of a frame.
    out_valid, out_data, out_last, out_ready
        Results.
    wb_valid, wb_data, wb_group : Out
        Every activation as it is written back: layer by layer, tile by tile, channel by channel,
        lane by lane; one byte, or with `wb_group` as many as there are requantizers, and then of
        two groups for a split map first the even lanes, then the odd ones. For verification.
    rom_write_en, rom_write_select, rom_write_addr, rom_write_data : In
        Write a word of the ROM whose place in `sqhw.machine.layout.ROMS` is `rom_write_select`;
        only if the engine is writable, and only while `ready` is high.
    reload : In(1)
        Begin anew as after reset, with what is in the ROMs now; pixels that came are forgotten.
        Wanted after a write. Only if the engine is writable, and ignored while `ready` is low.
    """

    def __init__(self, engine: EngineConfig, pieces: Pieces, name: str = DEFAULT_NAME) -> None:
        self._engine = engine
        self._pieces = pieces
        self._name = name
        write_port = {
            "rom_write_en": In(1),
            "rom_write_select": In(2),
            "rom_write_addr": In(engine.rom_addr_bits),
            "rom_write_data": In(engine.word_bits),
            "reload": In(1),
        }
        super().__init__(
            (write_port if engine.writable else {})
            | {
                "start": In(1),
                "ready": Out(1),
                "busy": Out(1),
                "done": Out(1),
                "cycles": Out(32),
                **bus_ports("in", In(PixelStream())),
                "out_valid": Out(1),
                "out_data": Out(8),
                "out_last": Out(1),
                "out_ready": In(1),
                **bus_ports("wb", Out(WrittenStream(engine))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Connect the stages.

        Cycle 0 is the issue of an entry, cycle `decoded` that in which its meaning is known.
        """
        m = Module()
        engine = self._engine
        roms = {
            name: Rom(
                image_name(self._name, name),
                self._pieces[name],
                bits,
                latency=rom_cycles(engine, name),
                writable=engine.writable,
                module=f"{self._name}_rom",
            )
            for name, bits in (
                ("weights", engine.weight_addr_bits),
                ("params", engine.param_addr_bits),
                ("codebook", engine.codebook_addr_bits),
            )
        }
        m.submodules.weights = weight_rom = roms["weights"]
        m.submodules.params = param_rom = roms["params"]
        m.submodules.codebook = codebook = roms["codebook"]
        m.submodules.parameters = parameters = ParameterReader(engine)
        m.submodules.sequencer = seq = Sequencer(engine)
        m.submodules.entries = entries = FieldReader(
            engine.word_bits, engine.weight_addr_bits, entry_window_cycles(engine)
        )
        m.submodules.decoder = decoder = StreamDecoder(engine)
        m.submodules.taps = taps = (
            TapWalker(engine) if engine.taps_per_entry > 1 else PositionWalker(engine)
        )
        m.submodules.masks = masks = LaneMasks(engine)
        m.submodules.memory = memory = ActivationMemory(engine, f"{self._name}_ram")
        m.submodules.lanes = lanes = Lanes(engine)
        m.submodules.write_back = write_back = WriteBack(engine)
        layer, record = parameters.descriptor, parameters.record
        pool = layer.pool if engine.maxpool else C(0)
        serial = layer.out_serial if engine.requantizers > 1 else C(1)
        out_image: Signal | int = 0
        batch: Signal | int = 1
        if engine.max_batch > 1:
            out_image = seq.results.image
            batch = Signal(engine.lane_bits + 1, name="batch")
            m.d.sync += batch.eq(1 << layer.batch_shift)
            m.d.comb += [
                seq.loops.last_image.eq(batch - 1),
                masks.batch_shift.eq(layer.batch_shift),
            ]
        if max(engine.max_batch, engine.requantizers) > 1:
            m.d.comb += [taps.batch.eq(batch), write_back.batch.eq(batch)]
        group_channels = layer.group_channels if engine.groups else Mux(pool, 1, layer.in_channels)

        wiring.connect(m, seq.parameters, parameters.commands)
        wiring.connect(m, seq.phases, write_back.phases)
        wiring.connect(m, write_back.write, memory.write)
        connect_ports(m, self, "in", write_back.pixels)
        connect_ports(m, self, "wb", write_back.written)
        m.d.comb += [
            weight_rom.addr.eq(entries.rom_addr),
            entries.rom_data.eq(weight_rom.data),
            param_rom.addr.eq(parameters.rom_addr),
            parameters.rom_data.eq(param_rom.data),
            write_back.layer.eq(fields_of(layer, write_back.layer.shape())),
            write_back.record.eq(record),
            write_back.start.eq(self.start),
            write_back.take.eq(seq.entries.take),
            # control
            seq.control.start.eq(self.start),
            self.ready.eq(seq.phases.idle),
            self.busy.eq(seq.phases.busy),
            self.done.eq(seq.control.done),
            self.cycles.eq(seq.control.cycles),
            seq.loops.count.eq(record.count + layer.skip if engine.residuals else record.count),
            seq.loops.with_skip.eq(layer.skip if engine.residuals else 0),
            seq.loops.serial.eq(serial),
            seq.loops.group_channels.eq(group_channels),
            seq.loops.group_last.eq(layer.group_last if engine.groups else 0),
            seq.loops.last_layer.eq(layer.last),
            seq.loops.last_tile.eq(layer.last_tile),
            seq.loops.last_channel.eq(layer.last_channel),
        ]
        if engine.writable:
            m.d.comb += seq.control.reload.eq(self.reload)
            for name, rom in roms.items():
                m.d.comb += [
                    rom.write_en.eq(
                        self.rom_write_en & (self.rom_write_select == ROMS.index(name))
                    ),
                    rom.write_addr.eq(self.rom_write_addr),
                    rom.write_data.eq(self.rom_write_data),
                ]

        # Without groups in the engine, pooling alone reads channel by channel.
        group_offset = seq.entries.offset if engine.groups else Mux(pool, seq.entries.channel, 0)
        decoded, read = decoded_cycles(engine), read_cycles(engine)

        def after(signal, cycles, name, reset_less=True):
            """Return `signal` delayed by so many cycles."""
            for cycle in range(cycles):
                late = Signal.like(signal, name=f"{name}_{cycle + 1}", reset_less=reset_less)
                m.d.sync += late.eq(signal)
                signal = late
            return signal

        # Cycle 1: the entry is taken. The last one of a tile sends the reader back.
        issue = after(seq.entries.valid, ISSUE_CYCLES, "issue", reset_less=False)
        skip = after(seq.entries.skip, ISSUE_CYCLES, "skip")
        m.d.comb += [
            entries.jump.eq(after(seq.entries.rewind, ISSUE_CYCLES, "rewind", reset_less=False)),
            entries.jump_addr.eq(layer.weight_addr),
            entries.take.eq(issue & ~skip),
            entries.next_width.eq(layer.entry_bits),
        ]

        # Where it is in its word: one cycle later in a deep engine.
        window = entry_window_cycles(engine)
        m.d.comb += [
            *decoder.connect_format(layer),
            decoder.channels.eq(group_channels),
            decoder.issue.eq(after(issue, window, "window_issue", reset_less=False)),
            decoder.first.eq(after(seq.entries.begin, ISSUE_CYCLES + window, "begin")),
            decoder.skip.eq(after(skip, window, "window_skip")),
            decoder.entry.eq(entries.window),
        ]

        # Meanwhile: the row at which its tile and group begin.
        tile_row = Signal(engine.row_bits, name="tile_row")
        this_tile = Signal(engine.row_bits, name="this_tile")
        new_tile = after(seq.entries.new_tile, decoded - 1, "new_tile", reset_less=False)
        base = Signal(engine.row_bits, name="base", reset_less=True)
        group = after(
            Mux(seq.entries.skip, seq.entries.channel, group_offset), decoded - 1, "group"
        )
        vector = this_tile
        m.d.comb += this_tile.eq(tile_row + Mux(new_tile, layer.in_channels, 0))
        if engine.residuals:
            skip_row = Signal(engine.row_bits, name="skip_row")
            this_skip = Signal(engine.row_bits, name="this_skip")
            m.d.comb += this_skip.eq(skip_row + Mux(new_tile, layer.skip_channels, 0))
            m.d.sync += skip_row.eq(Mux(seq.phases.prepare, layer.skip_row, this_skip))
            vector = Mux(after(seq.entries.skip, decoded - 1, "apart"), this_skip, this_tile)
        m.d.sync += [
            tile_row.eq(Mux(seq.phases.prepare, 0, this_tile)),
            base.eq(vector + group),
        ]

        # Cycle `decoded`: kernel tap, row, codebook.
        output = after(seq.results.active, ISSUE_CYCLES, "output", reset_less=False)
        output_first = after(seq.results.first, ISSUE_CYCLES, "output_first")
        output_step = after(seq.results.step, ISSUE_CYCLES, "output_step")
        offset = Signal(engine.row_bits, name="offset", reset_less=True)
        residual = decoder.residual if engine.residuals else 0
        code_addr = Signal(engine.codebook_addr_bits, name="code_addr")
        m.d.comb += code_addr.eq(layer.codebook_addr + decoder.code)
        m.d.sync += offset.eq(Mux(output, seq.entries.channel, base + decoder.location))
        # In a deep engine the codebook's address is registered too.
        m.d.comb += codebook.addr.eq(after(code_addr, int(is_deep(engine)), "code_addr"))
        wait = is_deep(engine) + rom_cycles(engine, "codebook") - 1
        with m.If(output):
            m.d.comb += [
                *map_fields(taps.map, layer, "out"),
                taps.last_x.eq(layer.out_last_x),
                taps.first_x.eq(0),
                taps.first_phase_x.eq(0),
                taps.start.row.eq(layer.out_base),
                taps.start.line_row.eq(layer.out_base),
                taps.load.eq(output_first),
                taps.step.eq(output_step),
            ]
        with m.Else():
            m.d.comb += [
                *map_fields(taps.map, layer, "in"),
                taps.last_x.eq(layer.last_dx),
                taps.first_x.eq(layer.start_dx),
                taps.first_phase_x.eq(layer.start_phase_x),
                taps.start.x.eq(layer.start_dx),
                taps.start.y.eq(layer.start_dy),
                taps.start.phase_x.eq(layer.start_phase_x),
                taps.start.phase_y.eq(layer.start_phase_y),
                taps.start.row.eq(layer.start_row),
                taps.start.lane.eq(layer.start_lane),
                taps.start.line_row.eq(layer.start_row),
                taps.start.line_lane.eq(layer.start_lane),
                taps.load.eq(decoder.valid & decoder.start),
                taps.step.eq(decoder.valid & decoder.step),
            ]
            if engine.taps_per_entry > 1:
                m.d.comb += [
                    taps.second.eq(decoder.step),
                    taps.step_two.eq(decoder.step_two),
                ]

        # One cycle later: the place of the vector. It is read `read` cycles after that.
        row = Signal(engine.row_bits, name="row", reset_less=True)
        lane = Signal(engine.lane_bits, name="lane", reset_less=True)
        if engine.residuals:
            aside = after(residual, 1, "aside")
            m.d.sync += [
                row.eq(Mux(aside, 0, taps.point.row) + offset),
                lane.eq(Mux(aside, 0, taps.point.lane | out_image)),
            ]
        else:
            m.d.sync += [
                row.eq(taps.point.row + offset),
                lane.eq(taps.point.lane | out_image),
            ]
        spare = read - mask_cycles(engine)  # the masks are ready in the cycle before the vector
        m.d.comb += [
            masks.last_x.eq(layer.in_last_x),
            masks.last_y.eq(layer.in_last_y),
            masks.split.eq(layer.in_split),
            masks.pitch_last_x.eq(layer.pitch_last_x),
            masks.clear.eq(seq.phases.prepare),
            masks.fill.eq(seq.phases.fill),
            masks.advance.eq(after(new_tile, 2 + spare, "advance", reset_less=False)),
            masks.dx.eq(after(taps.point.x, spare, "dx")),
            masks.dy.eq(after(taps.point.y[: len(masks.dy)], spare, "dy")),
            memory.read.row.eq(row),
            memory.read.lane.eq(lane),
            memory.read.channels.eq(Mux(output, layer.out_channels, layer.in_channels)),
        ]

        # Cycle `decoded + 2 + read`: the vector; then multiply and accumulate. The weight is 1
        # in pooling. Lanes outside of the map take zeros, in a filler all of them.
        weight = Signal(signed(8), name="weight", reset_less=True)
        useful = after(decoder.weight, 1, "useful")
        chosen = Mux(pool, 1, codebook.data)
        covered = masks.inside
        in_signed = layer.in_signed
        if engine.residuals:
            has = Signal(name="has")
            channel = after(group, 1, "its_channel")
            m.d.sync += has.eq((channel >= layer.skip_first) & (channel <= layer.skip_last))
            chosen = Mux(after(aside, wait, "skip_weight"), layer.skip_weight, chosen)
            useful = Mux(aside, has, useful)
            covered = covered | after(aside, read, "covered").replicate(engine.lanes)
            in_signed = Mux(after(aside, 1 + read, "skip_signed"), layer.skip_signed, in_signed)
        inside = Signal(engine.lanes, name="inside", reset_less=True)
        m.d.sync += [
            inside.eq(Mux(after(useful, read, "useful_late"), covered, 0)),
            weight.eq(chosen),
        ]
        m.d.comb += [
            lanes.vector.eq(memory.vector),
            lanes.inside.eq(inside),
            lanes.in_signed.eq(in_signed),
            lanes.pool.eq(pool),
            lanes.weight.eq(after(weight, read - wait, "weight")),
            lanes.valid.eq(after(decoder.valid, 2 + read, "valid", reset_less=False)),
            lanes.first.eq(after(seq.entries.first, decoded + 2 + read, "first")),
        ]

        m.d.comb += [
            write_back.sums.valid.eq(
                after(seq.entries.last, accumulate_cycles(engine), "last", reset_less=False)
            ),
            write_back.sums.acc.eq(lanes.acc),
        ]
        self._output(m, seq, layer, memory, taps)
        return m

    def _output(self, m, seq, layer, memory, taps) -> None:
        """Hand out the results, one every few cycles."""
        m.d.comb += [
            seq.handshake.ready.eq(self.out_ready),
            self.out_valid.eq(seq.handshake.valid),
            self.out_last.eq(seq.handshake.last),
            self.out_data.eq(memory.vector[0]),
            seq.results.end_of_map.eq(
                (taps.point.x == layer.out_last_x) & (taps.point.y == layer.out_last_y)
            ),
        ]
