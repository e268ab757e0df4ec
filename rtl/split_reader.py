"""Reads the fields and the quotients of weight streams at one ROM port."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import MAX_ONES, EngineConfig
from sqhw.machine.timing import entry_window_cycles
from sqhw.rtl.field_reader import FieldReader
from sqhw.rtl.quotient_reader import QuotientReader


class SplitReader(wiring.Component):
    """Hands out the field and the quotient of an entry, one entry a cycle.

    The port reads the fields' word in each cycle in which the quotients need none. A field of a
    Golomb-Rice stream is half a word at most, so the word after `head` is needed two cycles after
    the one before it at the earliest, and one late by a cycle is in time. Quotients need a word in
    every second cycle at most. So neither ever waits. In other streams no quotients are read.

    Parameters
    ----------
    engine : EngineConfig
        Engine with `quotient_ones`.

    Members
    -------
    jump : In(1)
        Begin again with the entry at `jump_addr` and `quotient_addr`. An entry may be taken
        `sqhw.machine.timing.jump_cycles` later.
    jump_addr, quotient_addr : In(weight_addr_bits)
        First words of fields and quotients.
    filler_ones : In(4)
        Ones that mean a filler, or 0 if the layer has no quotients; stable while the layer runs.
    take : In(1)
        Go to the next entry in the next cycle.
    next_width : In(range(word_bits + 1))
        Width of the layer's fields (unit: bit).
    window : Out(word_bits)
        Field of the entry that was present `entry_window_cycles` before, in the low bits.
    quotient : Out(4)
        Ones of the quotient of the present entry.
    filler : Out(1)
        The present entry is a filler, which has no field.
    rom_addr, rom_data
        Ports of the ROM of weights.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        address = engine.weight_addr_bits
        super().__init__(
            {
                "jump": In(1),
                "jump_addr": In(address),
                "quotient_addr": In(address),
                "filler_ones": In(MAX_ONES.bit_length()),
                "take": In(1),
                "next_width": In(range(engine.word_bits + 1)),
                "window": Out(engine.word_bits),
                "quotient": Out(MAX_ONES.bit_length()),
                "filler": Out(1),
                "rom_addr": Out(address),
                "rom_data": In(engine.word_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the reader."""
        m = Module()
        engine = self._engine
        m.submodules.quotients = quotients = QuotientReader(engine)
        m.submodules.fields = fields = FieldReader(
            engine.word_bits, engine.weight_addr_bits, entry_window_cycles(engine), shared=True
        )
        # The fields begin after the first two words of quotients.
        jumps = Signal(name="jumps"), Signal(name="jumps_fields")
        m.d.sync += [jumps[0].eq(self.jump), jumps[1].eq(jumps[0])]
        m.d.comb += [
            quotients.jump.eq(self.jump),
            quotients.jump_addr.eq(self.quotient_addr),
            quotients.filler_ones.eq(self.filler_ones),
            quotients.take.eq(self.take),
            quotients.rom_data.eq(self.rom_data),
            fields.jump.eq(jumps[1]),
            fields.jump_addr.eq(self.jump_addr),
            fields.take.eq(self.take),
            fields.settle.eq(quotients.settle),
            fields.next_width.eq(Mux(quotients.next_filler, 0, self.next_width)),
            self.rom_addr.eq(Mux(quotients.request, quotients.rom_addr, fields.rom_addr)),
            self.window.eq(fields.window),
            self.quotient.eq(quotients.quotient),
            self.filler.eq(quotients.filler),
        ]
        held = Signal(engine.word_bits, name="held", reset_less=True)
        m.d.comb += fields.rom_data.eq(Mux(quotients.arrives, held, self.rom_data))
        m.d.sync += held.eq(fields.rom_data)
        return m
