"""The engine behind a serial line, as it runs on a board."""

from amaranth.hdl import ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.rtl.board_bus import BoardBus, connect_bus
from sqhw.rtl.class_display import ClassDisplay
from sqhw.rtl.link import Link
from sqhw.rtl.uart import UartReceiver, UartTransmitter


class BoardTop(wiring.Component):
    """The engine, the link and the serial line; one clock, all pins but those of clock and reset.

    Parameters
    ----------
    engine : str
        Name of the Verilog module of the engine, from `sqhw.machine.naming.top_module`.
    divisor : int
        Cycles of a bit of the serial line.
    identity : int, 0 to 2**32 - 1
        Number of the build, see `Link`.
    class_bits : int, 0 or more
        LEDs for the class; with 0 no class is told.
    is_signed : bool
        Whether the results of the network are signed.
    bus : BoardBus, optional
        Registers for LiteX clients, and a queue of bytes for frames in flight.

    Members
    -------
    rx : In(1)
    tx : Out(1)
        The serial line.
    ready, busy : Out(1)
        The board waits for a frame; it runs or answers.
    kind : Out(class_bits)
        Class of the last image. Missing if `class_bits` is 0.
    """

    def __init__(
        self,
        engine: str,
        divisor: int,
        identity: int,
        class_bits: int = 0,
        is_signed: bool = True,
        bus: BoardBus | None = None,
    ) -> None:
        self._engine = engine
        self._divisor = divisor
        self._identity = identity
        self._class_bits = class_bits
        self._is_signed = is_signed
        self._bus = bus
        kind = {"kind": Out(class_bits)} if class_bits else {}
        super().__init__({"rx": In(1), "tx": Out(1), "ready": Out(1), "busy": Out(1)} | kind)

    def elaborate(self, platform: object) -> Module:
        """Connect the engine's ports to the link."""
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self._divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self._divisor)
        m.submodules.link = link = Link(self._identity, tagged=self._bus is not None)
        reset, idle = Signal(name="engine_reset", init=1), Signal(name="idle")
        m.d.sync += [
            reset.eq(link.clear),
            self.ready.eq(idle & ~link.busy),
            self.busy.eq(link.busy),
        ]
        m.submodules.engine = Instance(
            self._engine,
            i_clk=ClockSignal(),
            i_rst=reset,
            o_ready=idle,
            **{f"i_{name}": getattr(link, name) for name in ("start", "in_valid", "in_data")},
            **{f"o_{name}": getattr(link, name) for name in ("cycles", "in_ready", "in_last")},
            **{f"o_{name}": getattr(link, name) for name in ("out_valid", "out_data", "out_last")},
            i_out_ready=link.out_ready,
        )
        m.d.comb += receiver.rx.eq(self.rx)
        if self._bus is None:
            m.d.comb += [
                link.rx_valid.eq(receiver.valid),
                link.rx_data.eq(receiver.data),
                transmitter.valid.eq(link.tx_valid),
                transmitter.data.eq(link.tx_data),
                link.tx_ready.eq(transmitter.ready),
            ]
        else:
            active = connect_bus(m, self._bus, receiver, transmitter, link, idle)
            m.d.sync += self.ready.eq(idle & ~link.busy & ~active)
        m.d.comb += self.tx.eq(transmitter.tx)
        if self._class_bits:
            m.submodules.display = display = ClassDisplay(self._class_bits, self._is_signed)
            m.d.comb += [
                display.valid.eq(link.result_valid),
                display.data.eq(link.result_data),
                display.last.eq(link.result_last),
                self.kind.eq(display.place),
            ]
        return m
