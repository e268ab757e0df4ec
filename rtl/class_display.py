"""The class of an image, for the LEDs of a board: the place of the largest result."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class ClassDisplay(wiring.Component):
    """Remembers the place of the first of the largest results.

    Parameters
    ----------
    bits : int, 1 or more
        Bits of the place; higher ones are dropped.
    is_signed : bool
        Whether results are in two's complement.

    Members
    -------
    valid, data, last : In
        Results as they are taken.
    place : Out(bits)
        Place of the largest result of the last image.
    """

    def __init__(self, bits: int, is_signed: bool) -> None:
        self._bits = bits
        self._is_signed = is_signed
        super().__init__({"valid": In(1), "data": In(8), "last": In(1), "place": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        """Compare each result with the largest before."""
        m = Module()
        largest = Signal(8, name="largest", reset_less=True)
        count = Signal(self._bits, name="count")
        best = Signal(self._bits, name="best", reset_less=True)
        first = Signal(name="first", init=1)
        # With its sign inverted, two's complement is ordered as an unsigned number.
        value = self.data ^ (0x80 if self._is_signed else 0)
        larger = first | (value > largest)
        with m.If(self.valid):
            m.d.sync += [count.eq(count + 1), first.eq(0)]
            with m.If(larger):
                m.d.sync += [largest.eq(value), best.eq(count)]
            with m.If(self.last):
                m.d.sync += [count.eq(0), first.eq(1)]
                m.d.sync += self.place.eq(Mux(larger, count, best))
        return m
