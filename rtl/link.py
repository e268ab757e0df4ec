"""The board's side of `sqhw.machine.link`: frames in, runs of the engine, answers out."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.link import (
    BAD_CRC,
    CRC_START,
    DONE,
    ESCAPE,
    ESCAPE_BIT,
    FLAG,
    IDENTIFY,
    IDENTITY,
    NUMBER_BYTES,
    RUN,
)


class Link(wiring.Component):
    """Feeds the engine with the pixels of frames and sends its results.

    Parameters
    ----------
    identity : int, 0 to 2**32 - 1
        Number of the build, which the host can ask for.
    tagged : bool
        Whether a byte after the command comes back after the status, so that a host tells the
        answers of several frames in flight.

    Members
    -------
    rx_valid, rx_data : In
        Bytes of the line.
    tx_valid, tx_data, tx_ready
        Bytes to the line.
    clear : Out(1)
        Reset of the engine: a frame begins, so the pixels of an unfinished one are dropped.
    start, cycles, in_valid, in_data, in_ready, in_last, out_valid, out_data, out_last, out_ready
        Ports of the engine, see `sqhw.rtl.engine.Engine`.
    busy : Out(1)
        The engine runs, or an answer goes out.
    result_valid, result_last, result_data : Out
        A result was taken, and the last one, in the cycle before.
    waiting : Out(1)
        No frame has begun and no answer goes out. Missing unless `tagged`.
    """

    def __init__(self, identity: int, *, tagged: bool = False) -> None:
        self._identity = identity
        self._tagged = tagged
        super().__init__(
            ({"waiting": Out(1)} if tagged else {})
            | {
                "rx_valid": In(1),
                "rx_data": In(8),
                "tx_valid": Out(1),
                "tx_data": Out(8),
                "tx_ready": In(1),
                "clear": Out(1),
                "start": Out(1),
                "cycles": In(32),
                "in_valid": Out(1),
                "in_data": Out(8),
                "in_ready": In(1),
                "in_last": In(1),
                "out_valid": In(1),
                "out_data": In(8),
                "out_last": In(1),
                "out_ready": Out(1),
                "busy": Out(1),
                "result_valid": Out(1),
                "result_last": Out(1),
                "result_data": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the state machine."""
        m = Module()
        listening = Signal(name="listening")
        escaped = Signal(name="escaped", reset_less=True)
        crc = Signal(16, name="crc", reset_less=True)
        # The frame's command is RUN, after its check: and its CRC is right. The CRC was wrong.
        run, bad = Signal(name="run", reset_less=True), Signal(name="bad", reset_less=True)
        place = Signal(range(NUMBER_BYTES), name="place", reset_less=True)
        flag, escape = self.rx_data == FLAG, self.rx_data == ESCAPE
        # A byte of a payload has come; there is one to go out, which is taken. Both go through
        # `held`, so that no path leads from the line into the engine, or back.
        taken, put, took = Signal(name="taken"), Signal(name="put"), Signal(name="took")
        byte, out = Signal(8, name="byte"), Signal(8, name="out")
        held, full = Signal(8, name="held", reset_less=True), Signal(name="full")
        fresh = Signal(name="fresh")  # `held` came from the line in the cycle before
        special, sent = Signal(name="special"), Signal(name="sent")
        m.d.comb += [
            listening.eq(~self.busy),
            taken.eq(listening & self.rx_valid & ~flag & ~escape),
            byte.eq(self.rx_data ^ Mux(escaped, ESCAPE_BIT, 0)),
            self.in_data.eq(held),
            took.eq(put & ~full),
            special.eq((held == FLAG) | (held == ESCAPE)),
            sent.eq(full & self.tx_ready & (escaped | ~special)),
            self.result_data.eq(held),
        ]
        m.d.sync += [fresh.eq(taken), self.in_valid.eq(0)]
        with m.If(took):
            m.d.sync += [held.eq(out), full.eq(1)]
        with m.Elif(taken):
            m.d.sync += held.eq(byte)
        with m.If(full):
            m.d.comb += [
                self.tx_valid.eq(1),
                self.tx_data.eq(Mux(special, Mux(escaped, held ^ ESCAPE_BIT, ESCAPE), held)),
            ]
            with m.If(self.tx_ready):
                m.d.sync += [escaped.eq(special & ~escaped), full.eq(special & ~escaped)]
        with m.Elif(listening & self.rx_valid):
            m.d.sync += escaped.eq(escape)
        with m.If(sent | fresh):
            m.d.sync += crc.eq(_next_crc(crc, held))
        m.d.sync += [self.result_valid.eq(0), self.result_last.eq(self.out_last)]
        m.d.sync += self.clear.eq(0)
        tag = Signal(8, name="tag", reset_less=True)  # of the frame, if frames have one

        def begin_at_flag() -> None:
            """Begin a frame if a flag comes."""
            with m.If(self.rx_valid & flag):
                m.d.sync += [self.clear.eq(1), crc.eq(CRC_START)]
                m.next = "COMMAND"

        with m.FSM(name="state"):
            with m.State("WAIT"):
                if self._tagged:
                    m.d.comb += self.waiting.eq(1)
                begin_at_flag()
            with m.State("COMMAND"):
                m.d.sync += place.eq(0)
                with m.If(taken):
                    m.d.sync += run.eq(byte == RUN)
                    with m.If(byte == RUN):
                        m.next = "TAG" if self._tagged else "PIXELS"
                    with m.Elif(byte == IDENTIFY):
                        m.next = "TAG" if self._tagged else "CRC"
                    with m.Else():
                        m.next = "WAIT"
                begin_at_flag()
            if self._tagged:
                with m.State("TAG"):
                    with m.If(taken):
                        m.d.sync += tag.eq(byte)
                        with m.If(run):
                            m.next = "PIXELS"
                        with m.Else():
                            m.next = "CRC"
                    begin_at_flag()
            with m.State("PIXELS"):
                # The engine takes a pixel at once; it is ready long before the first one comes.
                m.d.sync += self.in_valid.eq(taken)
                with m.If(taken & self.in_last):
                    m.next = "CRC"
                begin_at_flag()
            with m.State("CRC"):
                with m.If(taken):
                    m.d.sync += place.eq(1)
                    with m.If(place[0]):
                        m.d.sync += self.busy.eq(1)
                        m.next = "CHECK"
                begin_at_flag()
            with m.State("CHECK"):
                m.d.sync += [bad.eq(crc != 0), place.eq(0)]
                with m.If(~fresh):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += self.start.eq(run & ~bad)
                m.d.sync += [run.eq(run & ~bad), crc.eq(CRC_START)]
                m.next = "ANSWER"
            with m.State("ANSWER"):
                # The first result comes when the run has ended.
                ended = ~run | self.out_valid
                m.d.comb += [self.tx_valid.eq(ended), self.tx_data.eq(FLAG)]
                with m.If(ended & self.tx_ready):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [put.eq(1), out.eq(Mux(bad, BAD_CRC, Mux(run, DONE, IDENTITY)))]
                with m.If(took):
                    m.next = "ANSWER-TAG" if self._tagged else "RESULTS"
            if self._tagged:
                with m.State("ANSWER-TAG"):
                    m.d.comb += [put.eq(1), out.eq(tag)]
                    with m.If(took):
                        m.next = "RESULTS"
            with m.State("RESULTS"):
                m.d.comb += [
                    put.eq(run & self.out_valid),
                    out.eq(self.out_data),
                    self.out_ready.eq(run & ~full),
                ]
                m.d.sync += self.result_valid.eq(took)
                with m.If(~run | (took & self.out_last)):
                    m.next = "NUMBER"
            with m.State("NUMBER"):
                number = Mux(run, self.cycles, self._identity)
                m.d.comb += [put.eq(1), out.eq(number.word_select(place, 8))]
                with m.If(took):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == NUMBER_BYTES - 1):
                        m.next = "ANSWER-CRC"
            with m.State("ANSWER-CRC"):
                # The CRC of the high byte after itself is the low byte, moved up.
                m.d.comb += [put.eq(1), out.eq(crc[8:])]
                with m.If(took):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place[0]):
                        m.next = "END"
            with m.State("END"):
                with m.If(~full):
                    m.d.sync += self.busy.eq(0)
                    m.next = "WAIT"
        return m


def _next_crc(crc, byte):
    """Return CRC-16/IBM-3740 after one more byte, see `sqhw.machine.link.crc`."""
    first = crc[8:] ^ byte
    mixed = first ^ first[4:]
    return (Cat(C(0, 8), crc[:8]) ^ (mixed << 12) ^ (mixed << 5) ^ mixed)[:16]
