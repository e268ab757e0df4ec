"""The engine with AXI4-Stream for pixels and results and AXI4-Lite for control."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import DEFAULT_NAME
from sqhw.machine.registers import ADDRESS_BITS
from sqhw.machine.rom_pieces import Pieces, depth_of
from sqhw.rtl.axi_lite import AxiLite
from sqhw.rtl.axi_registers import ERRORS, AxiRegisters
from sqhw.rtl.axi_stream import AxiStream, StreamRegister
from sqhw.rtl.bus_ports import bus_ports, connect_ports
from sqhw.rtl.cluster import Cluster
from sqhw.rtl.engine import Engine
from sqhw.rtl.frame_gate import FrameGate

#: Attributes of ports for Vivado's IP packager: facts that it cannot take from the names.
ATTRIBUTES = {
    "aclk": {
        "X_INTERFACE_INFO": "xilinx.com:signal:clock:1.0 aclk CLK",
        "X_INTERFACE_PARAMETER": "ASSOCIATED_BUSIF s_axis:m_axis:s_axi, ASSOCIATED_RESET aresetn",
    },
    "aresetn": {
        "X_INTERFACE_INFO": "xilinx.com:signal:reset:1.0 aresetn RST",
        "X_INTERFACE_PARAMETER": "POLARITY ACTIVE_LOW",
    },
    "irq": {
        "X_INTERFACE_INFO": "xilinx.com:signal:interrupt:1.0 irq INTERRUPT",
        "X_INTERFACE_PARAMETER": "SENSITIVITY LEVEL_HIGH",
    },
}


class AxiEngine(wiring.Component):
    """Runs the frames that come in and sends their results.

    The registers are those of `sqhw.machine.registers`.

    No output of a bus depends on an input of the same cycle.

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
    aclk, aresetn : In(1)
        Clock and synchronous reset, active low.
    s_axis_* : In(AxiStream)
        Pixels, row by row, the channels of a pixel together; TLAST at the last of a frame.
    m_axis_* : Out(AxiStream)
        Results in the same order; TLAST at the last of a frame.
    s_axi_* : In(AxiLite)
    irq : Out(1)
        High while an interrupt is enabled and pending.
    """

    def __init__(self, engine: EngineConfig, pieces: Pieces, name: str = DEFAULT_NAME) -> None:
        self._engine = engine
        self._pieces = pieces
        self._name = name
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                **bus_ports("s_axis", In(AxiStream())),
                **bus_ports("m_axis", Out(AxiStream())),
                **bus_ports("s_axi", In(AxiLite(ADDRESS_BITS))),
                "irq": Out(1),
            }
        )
        for port, attributes in ATTRIBUTES.items():
            getattr(self, port).attrs.update(attributes)

    def elaborate(self, platform: object) -> Module:
        """Connect the engine, the gate in front of it, and the registers."""
        m = Module()
        m.domains.sync = ClockDomain("sync")
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        several = self._engine.cores > 1
        engine = (
            Cluster(self._engine, self._name)
            if several
            else Engine(self._engine, self._pieces, self._name)
        )
        m.submodules.engine = engine
        m.submodules.registers = registers = AxiRegisters(
            self._engine, {name: depth_of(parts) for name, parts in self._pieces.items()}
        )
        m.submodules.gate = gate = FrameGate(several=several)
        m.submodules.pixels = pixels = StreamRegister(every_cycle=True)
        m.submodules.results = results = StreamRegister(every_cycle=False)
        connect_ports(m, self, "s_axis", pixels.i)
        connect_ports(m, self, "m_axis", results.o)
        connect_ports(m, self, "s_axi", registers.bus)
        wiring.connect(m, pixels.o, gate.stream)
        m.d.comb += [
            self.irq.eq(registers.irq),
            gate.auto.eq(registers.auto),
            gate.pause.eq(registers.pause),
            gate.start_request.eq(registers.start_request),
            gate.ready.eq(engine.ready),
            gate.in_ready.eq(engine.in_ready),
            gate.in_last.eq(engine.in_last),
            engine.in_valid.eq(gate.in_valid),
            engine.in_data.eq(gate.in_data),
            engine.start.eq(gate.start),
            registers.idle.eq(gate.idle),
            registers.loaded.eq(gate.loaded),
            registers.busy.eq(engine.busy),
            registers.sending.eq((engine.working if several else gate.running) & ~engine.busy),
            registers.done.eq(engine.done),
            registers.cycles.eq(engine.cycles),
            [getattr(registers, name).eq(getattr(gate, name)) for name in ERRORS],
            results.i.tvalid.eq(engine.out_valid),
            results.i.tdata.eq(engine.out_data),
            results.i.tlast.eq(engine.out_last),
            engine.out_ready.eq(results.i.tready),
        ]
        if several:
            m.d.comb += gate.all_ready.eq(engine.idle)
        if self._engine.writable:
            m.d.comb += [
                engine.rom_write_en.eq(registers.rom_write_en),
                engine.rom_write_select.eq(registers.rom_write_select),
                engine.rom_write_addr.eq(registers.rom_write_addr),
                engine.rom_write_data.eq(registers.rom_write_data),
                engine.reload.eq(gate.reload),
                gate.changed.eq(registers.rom_write_en),
            ]
        return m
