"""AXI4-Stream: the bus, and a register between two of them."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class AxiStream(wiring.Signature):
    """Bytes with an end mark, seen from the side that sends them."""

    def __init__(self) -> None:
        super().__init__({"tdata": Out(8), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)})


class StreamRegister(wiring.Component):
    """Holds one byte, so that no combinational path leads from `i` to `o`.

    Parameters
    ----------
    every_cycle : bool
        Whether a byte is taken in every cycle, with a path from `o.tready` to `i.tready`. Without
        that path there is a byte every other cycle.

    Members
    -------
    i : In(AxiStream)
    o : Out(AxiStream)
        Bytes of `i`, one cycle later.
    """

    def __init__(self, *, every_cycle: bool) -> None:
        self._every_cycle = every_cycle
        super().__init__({"i": In(AxiStream()), "o": Out(AxiStream())})

    def elaborate(self, platform: object) -> Module:
        """Build the register."""
        m = Module()
        i, o = self.i, self.o
        m.d.comb += i.tready.eq(~o.tvalid | (o.tready if self._every_cycle else 0))
        with m.If(i.tready & i.tvalid):
            m.d.sync += [o.tvalid.eq(1), o.tdata.eq(i.tdata), o.tlast.eq(i.tlast)]
        with m.Elif(o.tready):
            m.d.sync += o.tvalid.eq(0)
        return m
