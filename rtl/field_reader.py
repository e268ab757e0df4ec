"""Reads fields of changing width from a ROM of words, one field a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.timing import JUMP_CYCLES


class FieldReader(wiring.Component):
    """Unpacks bit-packed fields that follow each other from bit 0 of a word upwards.

    The ROM's output register holds the word after the one in `head`, so the two together always
    hold a whole field and the next word can be fetched in the cycle in which one is used up.

    Parameters
    ----------
    word_bits : int
        Word width of the ROM and the longest field (unit: bit).
    addr_bits : int
        Address width of the ROM (unit: bit).

    Members
    -------
    jump : In(1)
        Continue at bit 0 of `jump_addr`. `window` is valid `LATENCY` later.
    jump_addr : In(addr_bits)
    take : In(1)
        The field is used; the next one is in `window` in the next cycle.
    width : In(range(word_bits + 1))
        Width of the field (unit: bit).
    window : Out(word_bits)
        The field in the low bits; bits above its width are those of the next.
    rom_addr, rom_data
        To a `Rom`.
    """

    LATENCY = JUMP_CYCLES

    def __init__(self, word_bits: int, addr_bits: int) -> None:
        self._word_bits = word_bits
        super().__init__(
            {
                "jump": In(1),
                "jump_addr": In(addr_bits),
                "take": In(1),
                "width": In(range(word_bits + 1)),
                "window": Out(word_bits),
                "rom_addr": Out(addr_bits),
                "rom_data": In(word_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the reader."""
        m = Module()
        word = self._word_bits
        head = Signal(word)
        addr = Signal.like(self.rom_addr)
        offset = Signal(range(word))
        loading = Signal()
        end = Signal(range(2 * word))
        next_word = Signal()

        m.d.comb += [
            self.window.eq(Cat(head, self.rom_data) >> offset),
            end.eq(offset + Mux(self.take, self.width, 0)),
            next_word.eq(loading | (end >= word)),
            self.rom_addr.eq(Mux(self.jump, self.jump_addr, addr + next_word)),
        ]
        m.d.sync += [addr.eq(self.rom_addr), loading.eq(self.jump)]
        with m.If(next_word):
            m.d.sync += head.eq(self.rom_data)
        with m.If(self.jump | loading):
            m.d.sync += offset.eq(0)
        with m.Else():
            m.d.sync += offset.eq(Mux(end >= word, end - word, end))
        return m
