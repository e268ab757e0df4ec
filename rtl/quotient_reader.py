"""Reads quotients in unary from a ROM of words, one a cycle."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import MAX_ONES, EngineConfig
from sqhw.machine.timing import rom_cycles


class QuotientReader(wiring.Component):
    """Finds the end of each quotient, one quotient ahead of its entry.

    The next bits of the string lie in a shift register of two chunks, `bits`, of which at least one
    chunk is there whenever a quotient is read, and no quotient is longer than a chunk. The chunk
    after them is always at the low end of `rest`. It is put behind the bits in every cycle, so the
    register has it where it is needed; `over` tells whether it has been used up. The next word is
    in `spare`, or on its way.

    A word has two chunks or more, so it lasts for two quotients at least. The word after the next
    is fetched in the cycle in which the last chunk of `rest` is used up. In the shortest time until
    it is needed, two cycles later, it is in `spare`, or at `rom_data` if the ROM takes two.
    So the reader never waits.

    Parameters
    ----------
    engine : EngineConfig
        Engine with `quotient_ones`.

    Members
    -------
    jump : In(1)
        Continue at bit 0 of `jump_addr`. The first entry may be taken
        `sqhw.machine.timing.jump_cycles` later.
    jump_addr : In(weight_addr_bits)
    take : In(1)
        Go to the next entry in the next cycle.
    filler_ones : In(4)
        Ones that mean a filler, or 0 if the layer has no quotients; stable while the layer runs.
    settle : Out(1)
        The first quotient after a jump is the next one.
    quotient : Out(4)
        Ones of the quotient of the present entry.
    filler : Out(1)
        The present entry is a filler.
    next_filler : Out(1)
        The next entry is a filler, or the first one is with `settle`.
    request : Out(1)
        The ROM must read `rom_addr` in this cycle.
    arrives : Out(1)
        The word at `rom_data` is one of quotients.
    rom_addr, rom_data
        Address of the next word, and the ROM's output.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        super().__init__(
            {
                "jump": In(1),
                "jump_addr": In(engine.weight_addr_bits),
                "take": In(1),
                "filler_ones": In(MAX_ONES.bit_length()),
                "settle": Out(1),
                "quotient": Out(MAX_ONES.bit_length()),
                "filler": Out(1),
                "next_filler": Out(1),
                "request": Out(1),
                "arrives": Out(1),
                "rom_addr": Out(engine.weight_addr_bits),
                "rom_data": In(engine.word_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the reader."""
        m = Module()
        latency = rom_cycles(self._engine, "weights")
        # Jumps and requests of the cycles before; the word of a jump comes with `load`.
        jumped, asked = [self.jump], [self.request]
        for cycle in range(1, max(latency + 2, 3) + 1):
            jumped.append(Signal(name=f"jumped_{cycle}"))
            m.d.sync += jumped[cycle].eq(jumped[cycle - 1])
        for cycle in range(1, latency + 1):
            asked.append(Signal(name=f"asked_{cycle}"))
            m.d.sync += asked[cycle].eq(asked[cycle - 1])
        load, find = jumped[latency], jumped[latency + 1]
        m.d.comb += [self.settle.eq(jumped[latency + 2]), self.arrives.eq(asked[latency])]

        chunk, split = self._engine.quotient_chunk, Signal(name="split", reset_less=True)
        m.d.sync += split.eq(self.filler_ones != 0)
        first_chunk, onward = Signal(chunk, name="first_chunk"), Signal(name="onward")
        self._find(m, load, first_chunk, onward, split)
        used_up = self._refill(m, load, first_chunk, onward)
        # Words for bits and rest, and one to spare.
        start = self.jump | jumped[1]
        if self._engine.word_bits == 2 * chunk:
            start = start | jumped[3]
        m.d.comb += self.request.eq((start | (used_up & ~load & ~find)) & split)
        addr = Signal.like(self.rom_addr, name="addr", reset_less=True)
        m.d.comb += self.rom_addr.eq(Mux(self.jump, self.jump_addr, addr))
        with m.If(self.request):
            m.d.sync += addr.eq(self.rom_addr + 1)
        return m

    def _find(self, m, load, first_chunk, onward, split) -> None:
        """Find the quotients; `onward` tells that the first chunk of the rest is used up."""
        chunk, most = self._engine.quotient_chunk, self._engine.quotient_ones
        bits = Signal(2 * chunk, name="bits", reset_less=True)
        # Bits beyond the first chunk, and whether they are a whole chunk, as after a jump.
        over = Signal(range(max(2, chunk)), name="over", reset_less=True)
        whole = Signal(name="whole", reset_less=True)
        # The next quotient: its bits less one, and whether it is a filler.
        length = Signal(range(max(2, most)), name="length", reset_less=True)
        is_filler = Signal(name="is_filler", reset_less=True)
        step = self.take | self.settle
        longer, shifted = Signal(3 * chunk, name="longer"), Signal(2 * chunk, name="shifted")
        left = Signal(signed(len(over) + 1), name="left")
        m.d.comb += [
            longer.eq(bits | Mux(whole, 0, first_chunk) << over << chunk),
            shifted.eq(Mux(step, longer[1:] >> length, bits)),
            left.eq(over - length - 1),
            onward.eq(step & ~whole & left[-1]),
        ]
        with m.If(load):
            m.d.sync += [bits.eq(self.rom_data), over.eq(0), whole.eq(1)]
        with m.Else():
            m.d.sync += bits.eq(shifted)
            with m.If(step):
                m.d.sync += [over.eq(Mux(left[-1], left + chunk, left)), whole.eq(0)]
        # A quotient ends with a zero, or with as many ones as mean a filler.
        ones = Signal(most, name="ones", reset_less=True)
        ends, place = Signal(most, name="ends"), Signal.like(length, name="place")
        m.d.sync += ones.eq((1 << self.filler_ones) - 1)
        m.d.comb += ends.eq(~shifted[:most] | ~(ones >> 1))
        for at in reversed(range(most)):
            with m.If(ends[at]):
                m.d.comb += place.eq(at)
        m.d.sync += [length.eq(place), is_filler.eq((shifted[:most] | ~ones).all())]
        m.d.comb += self.next_filler.eq(is_filler & split)
        with m.If(step):
            m.d.sync += [
                self.quotient.eq(Mux(split, length + is_filler, 0)),
                self.filler.eq(self.next_filler),
            ]

    def _refill(self, m, load, first_chunk, onward):
        """Move on in the words that follow; return whether the last chunk of one is used up."""
        word, chunk = self._engine.word_bits, self._engine.quotient_chunk
        every = word // chunk
        rest = Signal(word, name="rest", reset_less=True)
        chunks = Signal(range(every + 1), name="chunks", reset_less=True)
        spare = Signal(word, name="spare", reset_less=True)
        has_spare = Signal(name="has_spare", reset_less=True)
        used_up, free = Signal(name="used_up"), Signal(name="free")
        m.d.comb += [
            first_chunk.eq(rest),
            used_up.eq(onward & (chunks == 1)),
            free.eq(used_up | (chunks == 0)),
        ]
        # A ROM of one cycle has put the word into `spare` when it is needed.
        comes, following = 0, spare
        if rom_cycles(self._engine, "weights") > 1:
            comes, following = self.arrives, Mux(has_spare, spare, self.rom_data)
        with m.If(load):
            m.d.sync += [
                rest.eq(self.rom_data >> 2 * chunk),
                chunks.eq(every - 2),
                has_spare.eq(0),
            ]
        with m.Elif(free & (has_spare | comes)):
            m.d.sync += [rest.eq(following), chunks.eq(every), has_spare.eq(0)]
        with m.Elif(onward):
            m.d.sync += [rest.eq(rest >> chunk), chunks.eq(chunks - 1)]
        with m.If(self.arrives & ~load & ~(free & comes & ~has_spare)):
            m.d.sync += has_spare.eq(1)
        with m.If(self.arrives):
            m.d.sync += spare.eq(self.rom_data)
        return used_up
