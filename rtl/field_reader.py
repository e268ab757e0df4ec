"""Reads fields of changing width from a ROM of words, one field a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.timing import JUMP_CYCLES


class FieldReader(wiring.Component):
    """Unpacks bit-packed fields that follow each other from bit 0 of a word upwards.

    The ROM's output holds the word after the one in `head`. The two together always hold a
    complete field, so the next word is fetched in the cycle in which one is used up. Whether a
    field uses up its word is known one field earlier. The loop from `take` to the ROM's address
    therefore has no adder.

    Parameters
    ----------
    word_bits : int
        Word width of the ROM and the longest field (unit: bit).
    addr_bits : int
        Address width of the ROM (unit: bit).
    window_cycles : {0, 1, 2}
        Cycles from `take` to the field. 1: the two words from which the field is shifted out are
        registered. 2: the ROM takes two cycles as well.
    shared : bool
        Whether fields change their width, and the ROM's port is shared; see `SplitReader`.

    Members
    -------
    jump : In(1)
        Continue at bit 0 of `jump_addr`. A field may be taken `LATENCY` later.
    jump_addr : In(addr_bits)
    take : In(1)
        Go to the next field in the next cycle.
    next_width : In(range(word_bits + 1))
        Width of the field of the next cycle (unit: bit).
    window : Out(word_bits)
        Field of `window_cycles` before, in the low bits. The bits above its width belong to the
        next field.
    rom_addr, rom_data
        Ports of a `Rom` of latency 1, or 2 with two `window_cycles`. With `shared` the word of an
        address may come later, if the next field lies in `head`.
    settle : In(1)
        With `shared`: the field at `jump_addr` has `next_width`. Missing otherwise. `next_width` is
        looked at with `settle` or `take` only.
    """

    LATENCY = JUMP_CYCLES

    def __init__(
        self, word_bits: int, addr_bits: int, window_cycles: int = 0, *, shared: bool = False
    ) -> None:
        self._word_bits = word_bits
        self._window_cycles = window_cycles
        self._shared = shared
        super().__init__(
            {
                "jump": In(1),
                "jump_addr": In(addr_bits),
                "take": In(1),
                "next_width": In(range(word_bits + 1)),
                "window": Out(word_bits),
                "rom_addr": Out(addr_bits),
                "rom_data": In(word_bits),
                **({"settle": In(1)} if shared else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the reader."""
        m = Module()
        word = self._word_bits
        head = Signal(word, name="head", reset_less=True)
        addr = Signal.like(self.rom_addr, name="addr", reset_less=True)
        loading = Signal(name="loading")
        next_word = Signal(name="next_word")
        # Where the field begins, where the next one does, and whether that is in the next word.
        offset, behind = Signal(range(word), name="offset"), Signal(range(word), name="behind")
        crosses = Signal(name="crosses")
        begin = Signal.like(offset, name="begin")

        def after_field(start):
            """Return whether the field after one that begins at `start` is in the next word."""
            end = Signal(range(2 * word), name="end")
            m.d.comb += end.eq(start + self.next_width)
            return end >= word, Mux(end >= word, end - word, end)

        if self._window_cycles:
            following = Signal.like(self.rom_addr, name="following", reset_less=True)  # `addr` + 1
            ahead = Mux(next_word, (following + 1)[: len(addr)], following)
            m.d.sync += following.eq(Mux(self.jump, self.jump_addr + 1, ahead))
            onward = Mux(next_word, following, addr)
        else:
            onward = addr + next_word
        m.d.comb += [
            next_word.eq(loading | (self.take & crosses)),
            self.rom_addr.eq(Mux(self.jump, self.jump_addr, onward)),
            begin.eq(Mux(self.take, behind, offset)),
        ]
        if self._shared:
            next_crosses, next_behind = after_field(Mux(self.settle, 0, behind))
            moves = self.take | self.settle
            next_crosses = Mux(moves, next_crosses, crosses)
            next_behind = Mux(moves, next_behind, behind)
        elif self._window_cycles:  # `take` comes late
            onwards = zip(after_field(behind), after_field(offset), strict=True)
            next_crosses, next_behind = (Mux(self.take, taken, stays) for taken, stays in onwards)
        else:
            next_crosses, next_behind = after_field(begin)
        m.d.sync += [
            addr.eq(self.rom_addr),
            loading.eq(self.jump),
            offset.eq(Mux(self.jump, 0, begin)),
            crosses.eq(next_crosses),
            behind.eq(next_behind),
        ]
        # The control is delayed by the latency of the words.
        at, moves_on = offset, next_word
        if self._window_cycles > 1:
            at = Signal.like(offset, name="at", reset_less=True)
            moves_on = Signal(name="moves_on")
            m.d.sync += [at.eq(offset), moves_on.eq(next_word)]
        with m.If(moves_on):
            m.d.sync += head.eq(self.rom_data)

        both = Cat(head, self.rom_data)
        if self._window_cycles:
            words = Signal(2 * word, name="words", reset_less=True)
            where = Signal.like(offset, name="where", reset_less=True)
            m.d.sync += [words.eq(both), where.eq(at)]
            both, at = words, where
        m.d.comb += self.window.eq(both >> at)
        return m
