"""The engine: a sparse vector-scalar stream machine that runs any network its ROMs describe."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ROMS
from sqhw.machine.naming import DEFAULT_NAME, image_name
from sqhw.machine.rom_pieces import Pieces
from sqhw.machine.timing import (
    ISSUE_CYCLES,
    Timing,
    accumulate_cycles,
    decoded_cycles,
    entry_window_cycles,
    is_deep,
    mask_cycles,
    read_cycles,
    requantize_cycles,
    rom_cycles,
    transpose_cycles,
)
from sqhw.rtl.activation_memory import ActivationMemory
from sqhw.rtl.field_reader import FieldReader
from sqhw.rtl.lane_masks import LaneMasks
from sqhw.rtl.lanes import Lanes
from sqhw.rtl.parameter_reader import ParameterReader
from sqhw.rtl.position_walker import PositionWalker
from sqhw.rtl.requantizer import Requantizer
from sqhw.rtl.rom import Rom
from sqhw.rtl.sequencer import Sequencer
from sqhw.rtl.stream_decoder import StreamDecoder
from sqhw.rtl.tap_walker import TapWalker
from sqhw.rtl.transposer import Transposer


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
                "in_valid": In(1),
                "in_data": In(8),
                "in_ready": Out(1),
                "in_last": Out(1),
                "out_valid": Out(1),
                "out_data": Out(8),
                "out_last": Out(1),
                "out_ready": In(1),
                "wb_valid": Out(1),
                "wb_data": Out(8 * engine.requantizers),
                "wb_group": Out(1),
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
        m.submodules.requantizer = requantizer = Requantizer(engine)
        m.submodules.places = places = PositionWalker(engine)
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
            m.d.comb += taps.batch.eq(batch)
        group_channels = layer.group_channels if engine.groups else Mux(pool, 1, layer.in_channels)

        wiring.connect(m, seq.parameters, parameters.commands)
        m.d.comb += [
            weight_rom.addr.eq(entries.rom_addr),
            entries.rom_data.eq(weight_rom.data),
            param_rom.addr.eq(parameters.rom_addr),
            parameters.rom_data.eq(param_rom.data),
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
        read_map = taps.map
        with m.If(output):
            m.d.comb += [
                self._map_of(read_map, layer, "out"),
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
                self._map_of(read_map, layer, "in"),
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

        # The accumulators go to the requantizer, with the constants of their channel. They were
        # set aside when the next channel had taken the record, as late as the record stays.
        constants = Signal.like(record, name="constants", reset_less=True)
        held = Signal.like(record, name="held", reset_less=True)
        with m.If(after(seq.entries.take, Timing.of(engine).hold, "take", reset_less=False)):
            m.d.sync += [constants.eq(record), held.eq(constants)]
        finished = after(seq.entries.last, accumulate_cycles(engine), "last", reset_less=False)
        m.d.comb += [
            requantizer.load.eq(finished),
            requantizer.acc.eq(lanes.acc),
            requantizer.bias.eq(held.bias),
            requantizer.multiplier.eq(held.multiplier),
            requantizer.shift.eq(held.shift),
            requantizer.serial.eq(serial),
            requantizer.clamp_lo.eq(layer.clamp_lo),
            requantizer.clamp_hi.eq(layer.clamp_hi),
        ]
        self._write_back(m, seq, layer, memory, requantizer, places, finished, serial, batch)
        self._output(m, seq, layer, memory, taps)
        return m

    @staticmethod
    def _map_of(plane, layer, side: str):
        """Return the assignments that give a walker the layer's input or output map."""
        return [
            getattr(plane, field).eq(getattr(layer, f"{side}_{field}"))
            for field in ("channels", "split", "phase_rows", "pitch_rows", "pitch_lane")
        ]

    def _write_back(
        self, m, seq, layer, memory, requantizer, places, finished, serial, batch
    ) -> None:
        """Write results, and before a run the pixels, to their places."""
        engine = self._engine
        tile_start = Signal.like(places.point, name="tile_start")
        channel = Signal(engine.row_bits, name="channel")
        # The images of a run lie side by side, so the number of an image is the low part of a lane.
        image = Signal(max(1, engine.batch_bits), name="image")
        last_image, next_image = C(1), C(0)
        stride = Mux(serial, 1, engine.requantizers)
        if engine.max_batch > 1:
            step = Mux(seq.phases.busy, stride, 1)
            last_image = image + step > seq.loops.last_image
            next_image = Mux(last_image, 0, image + step)
        element = Signal(range(engine.lanes), name="element")
        active = Signal(name="active")
        first_element = Signal(name="first_element")
        pipe = Signal(requantize_cycles(engine) + transpose_cycles(engine) - 1, name="pipe")
        m.d.sync += pipe.eq(Cat(finished, pipe))
        # `first_element` is high in the cycle before element 0 is there to be written.
        m.d.comb += [first_element.eq(pipe[-1]), places.start.eq(tile_start)]
        last_element = Signal(name="last_element")
        # The elements written at once differ in the low bits of their number.
        low = engine.requantizers.bit_length() - 1
        walks, last_x, edge_x = C(1), layer.pitch_last_x, layer.out_last_x
        written = requantizer.y
        if engine.requantizers > 1:
            # Groups of neighbours are walked over as positions of as many images are; of a split
            # map, those of the even and the odd phase in turn, and an edge is behind both.
            walks, neighbours = layer.out_walk, layer.out_walk & ~serial
            if engine.max_batch > 1:
                neighbours &= layer.batch_shift == 0
            together = Signal.like(places.batch, name="together")
            edge_x = Signal(engine.dim_bits, name="edge_x")
            m.d.comb += places.batch.eq(together)
            m.d.sync += [
                together.eq(Mux(seq.phases.busy & neighbours, engine.requantizers, batch)),
                edge_x.eq(
                    Mux(neighbours, layer.out_last_x >> low | layer.out_split, layer.out_last_x)
                ),
            ]
            last_x = Mux(neighbours, layer.pitch_last_x >> low, layer.pitch_last_x)
        elif engine.max_batch > 1:
            m.d.comb += places.batch.eq(batch)
        if transpose_cycles(engine):
            m.submodules.transposer = transposer = Transposer(engine)
            written = transposer.y
            m.d.comb += [
                transposer.x.eq(requantizer.y),
                transposer.second.eq(neighbours & layer.out_split & active & ~element[low]),
            ]
        end_of_group = element[:low].all() if low else 1
        m.d.comb += last_element.eq(element[low:].all() & (~serial | end_of_group))
        group_row = Signal(engine.row_bits, name="group_row")

        load_pixel = Signal(name="load_pixel")
        whole_pixel = Signal(name="whole_pixel")
        whole_image = Signal(name="whole_image")
        last_in_channel = Signal(engine.row_bits, name="last_in_channel")
        m.d.sync += last_in_channel.eq(layer.in_channels - 1)
        m.d.comb += [
            self.in_ready.eq(seq.phases.idle & ~self.start),
            load_pixel.eq(self.in_valid & self.in_ready),
            whole_pixel.eq(channel == last_in_channel),
            whole_image.eq(
                whole_pixel
                & (places.point.x == layer.in_last_x)
                & (places.point.y == layer.in_last_y)
            ),
            self.in_last.eq(whole_image & last_image),
        ]
        with m.If(seq.phases.busy):
            m.d.comb += [
                self._map_of(places.map, layer, "out"),
                places.last_x.eq(last_x),
            ]
        with m.Else():
            m.d.comb += [
                self._map_of(places.map, layer, "in"),
                places.last_x.eq(layer.in_last_x),
            ]
        with m.If(seq.phases.idle):
            m.d.comb += [
                memory.write.data[0].eq(self.in_data),
                memory.write.en.eq(load_pixel),
            ]
            with m.If(load_pixel):
                m.d.sync += channel.eq(channel + 1)
                with m.If(whole_pixel):
                    m.d.comb += places.step.eq(1)
                    m.d.sync += channel.eq(0)
                with m.If(whole_image):
                    m.d.comb += places.load.eq(1)
                    m.d.sync += image.eq(next_image)
        with m.Else():
            inside = Signal(name="inside")
            m.d.comb += [
                # Beyond the map a group may be written: no other map has these places.
                inside.eq(
                    ~walks | (places.point.x <= edge_x) & (places.point.y <= layer.out_last_y)
                ),
                memory.write.data.eq(written),
                memory.write.group.eq(~serial),
                self.wb_group.eq(~serial),
                memory.write.en.eq(active & inside),
                self.wb_valid.eq(active & inside),
                self.wb_data.eq(written),
                places.step.eq(active & last_image),
            ]
            with m.If(active):
                m.d.sync += image.eq(next_image)
            with m.If(first_element):
                m.d.sync += [active.eq(1), element.eq(0)]
            with m.Elif(active):
                m.d.sync += element.eq(element + stride)
                with m.If(last_element):
                    m.d.sync += active.eq(0)
            with m.If(active & last_element):
                # The next channel walks over the same tile, the next tile goes on from here.
                m.d.sync += channel.eq(channel + 1)
                with m.If(channel == layer.last_channel):
                    m.d.sync += group_row.eq(group_row + layer.out_channels)
                    m.d.sync += [channel.eq(0), tile_start.eq(places.next)]
                with m.Else():
                    m.d.comb += places.load.eq(1)
        # The walker and its first place begin anew for each frame and each layer.
        with m.If(seq.phases.frame):
            m.d.comb += [places.start.eq(0), places.load.eq(1)]
            m.d.sync += [tile_start.eq(0), channel.eq(0), image.eq(0)]
        with m.If(seq.phases.prepare):
            m.d.comb += [
                places.start.eq(0),
                places.start.row.eq(layer.out_base),
                places.start.line_row.eq(layer.out_base),
                places.load.eq(1),
            ]
            m.d.sync += [
                tile_start.eq(0),
                tile_start.row.eq(layer.out_base),
                tile_start.line_row.eq(layer.out_base),
                channel.eq(0),
                image.eq(0),
                active.eq(0),
                group_row.eq(layer.out_base),
            ]
        grouped = ~walks & ~seq.phases.idle if engine.requantizers > 1 else 0
        m.d.comb += [
            memory.write.row.eq(Mux(grouped, group_row, places.point.row) + channel),
            memory.write.lane.eq(Mux(grouped, element, places.point.lane | image)),
        ]

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
