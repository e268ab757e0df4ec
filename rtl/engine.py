"""The engine: a sparse vector-scalar stream machine that runs any network its ROMs describe."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ADDRESSES, ROMS
from sqhw.machine.naming import DEFAULT_NAME, image_name
from sqhw.machine.rom_pieces import Pieces
from sqhw.machine.timing import rom_cycles
from sqhw.rtl.accumulate import Accumulate
from sqhw.rtl.activation_memory import ActivationMemory
from sqhw.rtl.bus_ports import bus_ports, connect_ports
from sqhw.rtl.descriptor import LayerFields, group_channels_of
from sqhw.rtl.interfaces import PixelStream, WrittenStream
from sqhw.rtl.issue import Issue
from sqhw.rtl.parameter_reader import ParameterReader
from sqhw.rtl.rom import Rom
from sqhw.rtl.sequencer import Sequencer
from sqhw.rtl.write_back import WriteBack


class Engine(wiring.Component):
    """Runs one image through the network in the ROMs.

    A frame begins while `ready` is high. The pixels of an image go in, row by row, the channels of
    a pixel together. A pulse of `start` follows. `done` is high for one cycle when the last result
    is in memory. Then the results come out, in the same order. `start` is ignored while `ready` is
    low.

    Parameters
    ----------
    engine : EngineConfig
    pieces : mapping of str to tuple of Piece
        The ROMs ``weights``, ``params`` and ``codebook``; their images are ``weights.hex``, or
        ``weights_0.hex`` and so on, with a prefix if `name` is not the default.
    name : str
        Prefix of the modules that it instantiates; see `sqhw.machine.naming`.

    Members
    -------
    start : In(1)
    ready, busy, done : Out(1)
        Pixels and `start` are accepted; a network runs; it has ended.
    cycles : Out(32)
        Cycles from the one of `start` to the one of `done` of the last run.
    in_valid, in_data, in_ready
        Stream of pixels.
    in_last : Out(1)
        The next pixel is the last one of a frame.
    out_valid, out_data, out_last, out_ready
        Stream of results.
    wb_valid, wb_data, wb_group : Out
        Activations as they are written back, for verification: layer by layer, tile by tile,
        channel by channel, lane by lane. One byte, or with `wb_group` one of each requantizer. Two
        groups for a split map come as first the even lanes, then the odd ones.
    rom_write_en, rom_write_select, rom_write_addr, rom_write_data : In
        Write port of the ROM whose index in `sqhw.machine.layout.ROMS` is `rom_write_select`. To be
        used only while `ready` is high. Missing if the engine is not writable.
    reload : In(1)
        Start again as after a reset, with the present content of the ROMs. Pixels of an unfinished
        frame are dropped. Required after a write. Ignored while `ready` is low. Missing if the
        engine is not writable.
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
        """Connect the parts."""
        m = Module()
        engine = self._engine
        roms = self._roms(m)
        m.submodules.parameters = parameters = ParameterReader(engine)
        m.submodules.sequencer = sequencer = Sequencer(engine)
        m.submodules.issuer = issue = Issue(engine)
        m.submodules.memory = memory = ActivationMemory(engine, f"{self._name}_ram")
        m.submodules.accumulate = accumulate = Accumulate(engine)
        m.submodules.write_back = write_back = WriteBack(engine, f"{self._name}_ram")
        for part in (issue, accumulate, write_back):
            m.d.comb += LayerFields.of(parameters.descriptor, part.layer)
            wiring.connect(m, sequencer.phases, part.phases)
        wiring.connect(m, sequencer.parameters, parameters.commands)
        wiring.connect(m, sequencer.entries, issue.entries)
        wiring.connect(m, sequencer.results, issue.results)
        wiring.connect(m, issue.taps, accumulate.taps)
        wiring.connect(m, issue.address, memory.read)
        wiring.connect(m, accumulate.sums, write_back.sums)
        wiring.connect(m, write_back.write, memory.write)
        connect_ports(m, self, "in", write_back.pixels)
        connect_ports(m, self, "wb", write_back.written)
        m.d.comb += [
            roms["params"].addr.eq(parameters.rom_addr),
            parameters.rom_data.eq(roms["params"].data),
            roms["weights"].addr.eq(issue.rom_addr),
            issue.rom_data.eq(roms["weights"].data),
            roms["codebook"].addr.eq(issue.code_addr),
            accumulate.weight.eq(roms["codebook"].data),
            accumulate.vector.eq(memory.vector),
            write_back.record.eq(parameters.record),
            write_back.take.eq(sequencer.entries.take),
            write_back.start.eq(self.start),
            # runs
            sequencer.control.start.eq(self.start),
            self.ready.eq(sequencer.phases.idle),
            self.busy.eq(sequencer.phases.busy),
            self.done.eq(sequencer.control.done),
            self.cycles.eq(sequencer.control.cycles),
            # results
            self.out_valid.eq(sequencer.handshake.valid),
            self.out_data.eq(memory.vector[0]),
            self.out_last.eq(sequencer.handshake.last),
            sequencer.handshake.ready.eq(self.out_ready),
        ]
        if engine.writable:
            m.d.comb += sequencer.control.reload.eq(self.reload)
        if engine.tables:
            wiring.connect(m, parameters.table, write_back.table)
            m.d.comb += sequencer.loops.table.eq(parameters.descriptor.table)
        self._loops(m, parameters, sequencer.loops)
        if engine.max_batch > 1:
            # The images of a run.
            batch = Signal(engine.lane_bits + 1, name="batch")
            m.d.sync += batch.eq(1 << parameters.descriptor.batch_shift)
            m.d.comb += [
                sequencer.loops.last_image.eq(batch - 1),
                issue.batch.eq(batch),
                write_back.batch.eq(batch),
            ]
        return m

    def _roms(self, m) -> dict[str, Rom]:
        """Return the ROMs, with the port that writes them."""
        engine = self._engine
        roms = {}
        for number, (name, bits) in enumerate(zip(ROMS, ADDRESSES, strict=True)):
            m.submodules[name] = roms[name] = rom = Rom(
                image_name(self._name, name),
                self._pieces[name],
                getattr(engine, bits),
                latency=rom_cycles(engine, name),
                writable=engine.writable,
                module=f"{self._name}_rom",
            )
            if engine.writable:
                m.d.comb += [
                    rom.write_en.eq(self.rom_write_en & (self.rom_write_select == number)),
                    rom.write_addr.eq(self.rom_write_addr),
                    rom.write_data.eq(self.rom_write_data),
                ]
        return roms

    def _loops(self, m, parameters: ParameterReader, loops) -> None:
        """Connect the counts of a layer's loops to the sequencer."""
        engine, layer, record = self._engine, parameters.descriptor, parameters.record
        m.d.comb += [
            loops.count.eq(record.count + layer.skip if engine.residuals else record.count),
            loops.with_skip.eq(layer.skip if engine.residuals else 0),
            loops.serial.eq(layer.out_serial if engine.requantizers > 1 else 1),
            loops.group_channels.eq(group_channels_of(engine, layer)),
            loops.group_last.eq(layer.group_last if engine.groups else 0),
            loops.last_layer.eq(layer.last),
            loops.last_tile.eq(layer.last_tile),
            loops.last_channel.eq(layer.last_channel),
        ]
