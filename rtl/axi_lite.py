"""AXI4-Lite: the bus, and a slave that turns its transactions into register accesses."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

OKAY, SLVERR = 0, 2


class AxiLite(wiring.Signature):
    """The five channels with 32 bits of data, seen from the master.

    Parameters
    ----------
    address_bits : int
        Width of a byte address (unit: bit).
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "awaddr": Out(address_bits),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_bits),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLiteSlave(wiring.Component):
    """Takes one write and one read at a time; all its outputs on the bus come from registers.

    Addresses are those of words: the two low bits and the protection bits are ignored. A write of
    less than a whole word changes nothing and answers SLVERR.

    Parameters
    ----------
    address_bits : int
        Width of a byte address (unit: bit).

    Members
    -------
    bus : In(AxiLite)
    write_en, write_addr, write_data : Out
        A word is written to word address `write_addr`.
    write_error : In(1)
        The write of this cycle is refused: the answer is SLVERR.
    read_addr : Out
    read_data, read_error : In
        Word at `read_addr` in the same cycle, and whether there is none. A read changes nothing.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "bus": In(AxiLite(address_bits)),
                "write_en": Out(1),
                "write_addr": Out(address_bits - 2),
                "write_data": Out(32),
                "write_error": In(1),
                "read_addr": Out(address_bits - 2),
                "read_data": In(32),
                "read_error": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the slave."""
        m = Module()
        bus = self.bus

        # Address and data come in any order; the write is done when both are there.
        has_address = Signal(name="has_address")
        has_data = Signal(name="has_data")
        whole = Signal(name="whole")
        commit = Signal(name="commit")
        m.d.comb += [
            bus.awready.eq(~has_address),
            bus.wready.eq(~has_data),
            commit.eq(has_address & has_data & ~bus.bvalid),
            self.write_en.eq(commit & whole),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [has_address.eq(1), self.write_addr.eq(bus.awaddr[2:])]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [
                has_data.eq(1),
                self.write_data.eq(bus.wdata),
                whole.eq(bus.wstrb.all()),
            ]
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(commit):
            m.d.sync += [
                has_address.eq(0),
                has_data.eq(0),
                bus.bvalid.eq(1),
                bus.bresp.eq(Mux(~whole | self.write_error, SLVERR, OKAY)),
            ]

        reading = Signal(name="reading")
        m.d.comb += bus.arready.eq(~reading)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [reading.eq(1), self.read_addr.eq(bus.araddr[2:])]
        with m.If(bus.rvalid & bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(reading & ~bus.rvalid):
            m.d.sync += [
                reading.eq(0),
                bus.rvalid.eq(1),
                bus.rdata.eq(Mux(self.read_error, 0, self.read_data)),
                bus.rresp.eq(Mux(self.read_error, SLVERR, OKAY)),
            ]
        return m
