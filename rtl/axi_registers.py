"""The registers of the AXI engine, as `sqhw.machine.registers` defines them."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ROMS
from sqhw.machine.registers import ADDRESS_BITS, ID, REGISTERS, VERSION, find_register
from sqhw.rtl.axi_lite import AxiLite, AxiLiteSlave

ERRORS = tuple(field.name for field in find_register("ERROR").fields)
STATES = ("idle", "loaded", "busy", "sending")


class AxiRegisters(wiring.Component):
    """Control and status of the engine on AXI4-Lite.

    Parameters
    ----------
    engine : EngineConfig
    depths : dict of str to int
        Words of the ROMs.

    Members
    -------
    bus : In(AxiLite)
    irq : Out(1)
    start_request, auto, pause : Out(1)
        Requests to the `FrameGate`.
    idle, loaded, busy, sending, done : In(1)
    cycles : In(32)
    short, long, start_busy, start_empty : In(1)
        Events of the `FrameGate`, high for one cycle.
    rom_write_en, rom_write_select, rom_write_addr, rom_write_data : Out
        Write port of the ROMs of the `Engine`. Missing if it is not writable.
    """

    def __init__(self, engine: EngineConfig, depths: dict[str, int]) -> None:
        self._engine = engine
        self._depths = depths
        write_port = {
            "rom_write_en": Out(1),
            "rom_write_select": Out(2),
            "rom_write_addr": Out(engine.rom_addr_bits),
            "rom_write_data": Out(engine.word_bits),
        }
        super().__init__(
            (write_port if engine.writable else {})
            | {
                "bus": In(AxiLite(ADDRESS_BITS)),
                "irq": Out(1),
                "start_request": Out(1),
                "auto": Out(1, init=find_register("CONTROL").field("auto").reset),
                "pause": Out(1),
                "done": In(1),
                "cycles": In(32),
                **{name: In(1) for name in (*STATES, *ERRORS)},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the registers."""
        m = Module()
        engine = self._engine
        m.submodules.slave = slave = AxiLiteSlave(ADDRESS_BITS)
        wiring.connect(m, wiring.flipped(self.bus), slave.bus)

        def written(name: str):
            """Return whether the register is written in this cycle."""
            return slave.write_en & (slave.write_addr == find_register(name).offset >> 2)

        def new(register: str, field: str):
            """Return the bits that are written to a field."""
            place = find_register(register).field(field)
            return slave.write_data[place.lsb : place.lsb + place.width]

        errors = {name: Signal(name=f"error_{name}") for name in ERRORS}
        error = Cat(errors.values()).any()
        error_event = Cat(getattr(self, name) for name in ERRORS).any()
        frames = Signal(32, name="frames")
        enable = {name: Signal(name=f"enable_{name}") for name in ("done", "error")}
        pending = {name: Signal(name=f"pending_{name}") for name in ("done", "error")}
        configuration = engine.to_dict()
        values = {
            "ID": {"id": C(ID, 32)},
            "VERSION": {"version": C(VERSION, 32)},
            "CONFIG": {
                field.name: C(configuration[field.name] - (field.name == "max_batch"), field.width)
                for field in find_register("CONFIG").fields
            },
            "CONTROL": {"start": C(0, 1), "auto": self.auto, "pause": self.pause},
            "STATUS": {name: getattr(self, name) for name in STATES} | {"error": error},
            "ERROR": errors,
            "CYCLES": {"cycles": self.cycles},
            "FRAMES": {"frames": frames},
            "IRQ_ENABLE": enable,
            "IRQ_STATUS": pending,
        }

        m.d.comb += self.start_request.eq(written("CONTROL") & new("CONTROL", "start"))
        with m.If(written("CONTROL")):
            m.d.sync += [
                self.auto.eq(new("CONTROL", "auto")),
                self.pause.eq(new("CONTROL", "pause")),
            ]
        with m.If(self.done):
            m.d.sync += frames.eq(frames + 1)
        # An event in the cycle in which its bit is cleared is not lost.
        for name, signal in errors.items():
            clear = written("ERROR") & new("ERROR", name)
            m.d.sync += signal.eq((signal & ~clear) | getattr(self, name))
        # `irq` changes with the bits, so it is low when the write that clears it is answered.
        interrupts = []
        for name, event in (("done", self.done), ("error", error_event)):
            clear = written("IRQ_STATUS") & new("IRQ_STATUS", name)
            wanted = Mux(written("IRQ_ENABLE"), new("IRQ_ENABLE", name), enable[name])
            happened = (pending[name] & ~clear) | event
            m.d.sync += [enable[name].eq(wanted), pending[name].eq(happened)]
            interrupts.append(wanted & happened)
        m.d.sync += self.irq.eq(Cat(interrupts).any())

        refused = {}
        if engine.writable:
            window, refused["ROM_DATA"] = self._memory_window(m, written, new)
            values |= window

        with m.Switch(slave.read_addr):
            for register in self._registers():
                with m.Case(register.offset >> 2):
                    if register.access == "wo":
                        m.d.comb += slave.read_error.eq(1)
                    else:
                        m.d.comb += [
                            slave.read_data[field.lsb : field.lsb + field.width].eq(
                                values[register.name][field.name]
                            )
                            for field in register.fields
                        ]
            with m.Default():
                m.d.comb += slave.read_error.eq(1)
        with m.Switch(slave.write_addr):
            for register in self._registers():
                with m.Case(register.offset >> 2):
                    m.d.comb += slave.write_error.eq(
                        refused.get(register.name, register.access == "ro")
                    )
            with m.Default():
                m.d.comb += slave.write_error.eq(1)
        return m

    def _registers(self):
        """Return the registers that this engine has."""
        return [
            register
            for register in REGISTERS
            if self._engine.writable or not register.writable_only
        ]

    def _memory_window(self, m, written, new):
        """Build the window to the ROMs; return its values to read and when a write is refused."""
        engine = self._engine
        address = Signal(24, name="address")
        select = Signal(2, name="select")
        high = Signal(32, name="high")
        inside, refused = Signal(name="inside"), Signal(name="refused")
        with m.Switch(select):
            for number, name in enumerate(ROMS):
                with m.Case(number):
                    m.d.comb += inside.eq(address < self._depths[name])
        m.d.comb += [
            refused.eq(~(self.idle & inside)),
            self.rom_write_en.eq(written("ROM_DATA") & ~refused),
            self.rom_write_select.eq(select),
            self.rom_write_addr.eq(address),
            self.rom_write_data.eq(Cat(new("ROM_DATA", "low"), high)[: engine.word_bits]),
        ]
        with m.If(written("ROM_ADDRESS")):
            m.d.sync += [
                address.eq(new("ROM_ADDRESS", "address")),
                select.eq(new("ROM_ADDRESS", "select")),
            ]
        with m.If(written("ROM_HIGH")):
            m.d.sync += high.eq(new("ROM_HIGH", "high"))
        with m.If(self.rom_write_en):
            m.d.sync += address.eq(address + 1)
        values = {"ROM_ADDRESS": {"address": address, "select": select}, "ROM_HIGH": {"high": high}}
        return values, refused
