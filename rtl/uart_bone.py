"""LiteX's UARTBone: bytes of a serial line as reads and writes of registers."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.link import BUS_READ, BUS_WRITE
from sqhw.machine.registers import ADDRESS_BITS
from sqhw.rtl.axi_lite import AxiLite

#: Bytes after the command: the number of words, and the number of the first word.
HEADER_BYTES = 5
WORD_BYTES = 4


class UartBone(wiring.Component):
    """Takes the transactions of a LiteX client and makes accesses of AXI4-Lite of them.

    The protocol is in `sqhw.machine.link`. Addresses count modulo the size of the register map, so
    that a client may have the registers at any base. A register that refuses a read reads 0, and
    the answer to a write is not told.

    Parameters
    ----------
    timeout : int
        Cycles without a byte after which a transaction is dropped.

    Members
    -------
    free : In(1)
        A transaction may begin.
    active : Out(1)
        A transaction is on its way: bytes that come are its own, and so are those that go out.
    rx_valid, rx_data, rx_ready
        Bytes of the line; `rx_ready` counts while `active`.
    tx_valid, tx_data, tx_ready
        Bytes to the line.
    bus : Out(AxiLite)
    """

    def __init__(self, timeout: int) -> None:
        self._timeout = timeout
        super().__init__(
            {
                "free": In(1),
                "active": Out(1),
                "rx_valid": In(1),
                "rx_data": In(8),
                "rx_ready": Out(1),
                "tx_valid": Out(1),
                "tx_data": Out(8),
                "tx_ready": In(1),
                "bus": Out(AxiLite(ADDRESS_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the state machine."""
        m = Module()
        bus = self.bus
        writes = Signal(name="writes", reset_less=True)
        words = Signal(8, name="words", reset_less=True)
        address = Signal(ADDRESS_BITS - 2, name="address", reset_less=True)
        data = Signal(32, name="data", reset_less=True)
        place = Signal(range(HEADER_BYTES), name="place")
        patience = Signal(range(self._timeout + 1), name="patience", reset_less=True)
        late = Signal(name="late")
        m.d.comb += [
            bus.awaddr.eq(Cat(0, 0, address)),
            bus.araddr.eq(Cat(0, 0, address)),
            bus.wdata.eq(data),
            bus.wstrb.eq(0b1111),
            self.tx_data.eq(data[24:]),
            late.eq((patience == 0) & ~self.rx_valid),
        ]
        with m.If(self.rx_valid):
            m.d.sync += patience.eq(self._timeout)
        with m.Else():
            m.d.sync += patience.eq(patience - 1)

        def next_word() -> None:
            """Go on with the next word, or end."""
            m.d.sync += [words.eq(words - 1), address.eq(address + 1), place.eq(0)]
            # The line's timeout begins anew after the words of an answer.
            m.d.sync += patience.eq(self._timeout)
            with m.If(words == 1):
                m.next = "IDLE"
            with m.Elif(writes):
                m.next = "DATA"
            with m.Else():
                m.next = "READ"

        with m.FSM(name="state") as fsm:
            m.d.comb += [
                self.active.eq(~fsm.ongoing("IDLE")),
                self.rx_ready.eq(fsm.ongoing("HEADER") | fsm.ongoing("DATA")),
            ]
            with m.State("IDLE"):
                m.d.sync += [place.eq(0), writes.eq(self.rx_data == BUS_WRITE)]
                known = (self.rx_data == BUS_WRITE) | (self.rx_data == BUS_READ)
                with m.If(self.free & self.rx_valid & known):
                    m.next = "HEADER"
            with m.State("HEADER"):
                with m.If(self.rx_valid):
                    m.d.sync += [address.eq(Cat(self.rx_data, address)), place.eq(place + 1)]
                    with m.If(place == 0):
                        m.d.sync += words.eq(self.rx_data)
                    with m.If(place == HEADER_BYTES - 1):
                        m.d.sync += place.eq(0)
                        with m.If(words == 0):
                            m.next = "IDLE"
                        with m.Elif(writes):
                            m.next = "DATA"
                        with m.Else():
                            m.next = "READ"
                with m.Elif(late):
                    m.next = "IDLE"
            with m.State("DATA"):
                with m.If(self.rx_valid):
                    m.d.sync += [data.eq(Cat(self.rx_data, data)), place.eq(place + 1)]
                    with m.If(place == WORD_BYTES - 1):
                        m.next = "WRITE"
                with m.Elif(late):
                    m.next = "IDLE"
            with m.State("WRITE"):
                # The slave is ready for both, because no other transaction is on its way.
                m.d.comb += [bus.awvalid.eq(1), bus.wvalid.eq(1)]
                m.next = "WRITTEN"
            with m.State("WRITTEN"):
                m.d.comb += bus.bready.eq(1)
                with m.If(bus.bvalid):
                    next_word()
            with m.State("READ"):
                m.d.comb += bus.arvalid.eq(1)
                m.d.sync += place.eq(0)
                m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += bus.rready.eq(1)
                m.d.sync += data.eq(bus.rdata)
                with m.If(bus.rvalid):
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.tx_valid.eq(1)
                with m.If(self.tx_ready):
                    m.d.sync += [data.eq(data << 8), place.eq(place + 1)]
                    with m.If(place == WORD_BYTES - 1):
                        next_word()
        return m
