"""A serial line of 8 data bits, no parity and one stop bit."""

from amaranth.hdl import C, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Fewest cycles of a bit: with fewer, its middle is not found well enough.
MIN_DIVISOR = 4


class UartReceiver(wiring.Component):
    """Turns a serial line into bytes.

    Parameters
    ----------
    divisor : int, `MIN_DIVISOR` or more
        Cycles of a bit.

    Members
    -------
    rx : In(1)
        The line, asynchronous; high while it rests.
    valid : Out(1)
        High for one cycle: a byte has come. A byte without its stop bit is dropped.
    data : Out(8)
        The byte, while `valid` is high.
    """

    def __init__(self, divisor: int) -> None:
        self._divisor = divisor
        super().__init__({"rx": In(1), "valid": Out(1), "data": Out(8)})

    def elaborate(self, platform: object) -> Module:
        """Sample each bit in its middle."""
        m = Module()
        line = Signal(2, name="line", init=0b11)
        timer = Signal(range(self._divisor), name="timer", reset_less=True)
        # The one that is loaded first reaches bit 0 after the eight data bits.
        shift = Signal(9, name="shift", reset_less=True)
        busy, start = Signal(name="busy"), Signal(name="start", reset_less=True)
        m.d.sync += [line.eq(Cat(self.rx, line)), timer.eq(timer - 1)]
        m.d.comb += self.data.eq(shift[1:])
        with m.If(~busy):
            m.d.sync += [timer.eq(self._divisor // 2 - 1), start.eq(1), busy.eq(~line[1])]
        with m.Elif(timer == 0):
            m.d.sync += [timer.eq(self._divisor - 1), start.eq(0)]
            with m.If(start):
                m.d.sync += [shift.eq(1 << 8), busy.eq(~line[1])]
            with m.Elif(shift[0]):
                m.d.sync += busy.eq(0)
                m.d.comb += self.valid.eq(line[1])
            with m.Else():
                m.d.sync += shift.eq(Cat(shift[1:], line[1]))
        return m


class UartTransmitter(wiring.Component):
    """Turns bytes into a serial line.

    Parameters
    ----------
    divisor : int, `MIN_DIVISOR` or more
        Cycles of a bit.

    Members
    -------
    valid, data, ready
        Stream of bytes; `ready` is high while the line rests.
    tx : Out(1)
        The line; high while it rests.
    """

    def __init__(self, divisor: int) -> None:
        self._divisor = divisor
        super().__init__({"valid": In(1), "data": In(8), "ready": Out(1), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Shift start bit, data and stop bit out."""
        m = Module()
        timer = Signal(range(self._divisor), name="timer", reset_less=True)
        # Bit 0 is on the line. Two ones follow the data: the stop bit, and the line at rest.
        shift = Signal(11, name="shift", init=1)
        m.d.comb += [self.tx.eq(shift[0]), self.ready.eq(shift == 1)]
        m.d.sync += timer.eq(timer - 1)
        with m.If(self.ready):
            m.d.sync += timer.eq(self._divisor - 1)
            with m.If(self.valid):
                m.d.sync += shift.eq(Cat(C(0, 1), self.data, C(0b11, 2)))
        with m.Elif(timer == 0):
            m.d.sync += [timer.eq(self._divisor - 1), shift.eq(shift[1:])]
        return m
