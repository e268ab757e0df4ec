"""The transposer: it sorts groups of neighbours into the elements of the even and the odd phase."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig


class Transposer(wiring.Component):
    """Turns two groups of bytes into all bytes at even places, then all bytes at odd places.

    A group without a second one comes out as it went in.

    Parameters
    ----------
    engine : EngineConfig
        Configuration with two requantizers or more.

    Members
    -------
    x : In(ArrayLayout(8, requantizers))
    second : In(1)
        The group and the one before it, which was not a second one, are a pair.
    y : Out(ArrayLayout(8, requantizers))
        Bytes, `sqhw.machine.timing.transpose_cycles` after a group. The even bytes of a pair come
        with its second group.
    """

    def __init__(self, engine: EngineConfig) -> None:
        group = ArrayLayout(8, engine.requantizers)
        super().__init__({"x": In(group), "second": In(1), "y": Out(group)})

    def elaborate(self, platform: object) -> Module:
        """Build a register of one group: the first of a pair, then the odd bytes of both."""
        m = Module()
        kept = Signal(self.x.shape(), name="kept", reset_less=True)
        count = self.x.shape().length
        even, odd = (
            Cat(group[index] for group in (kept, self.x) for index in range(first, count, 2))
            for first in (0, 1)
        )
        m.d.sync += kept.as_value().eq(Mux(self.second, odd, self.x.as_value()))
        m.d.comb += self.y.as_value().eq(Mux(self.second, even, kept.as_value()))
        return m
