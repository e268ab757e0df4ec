"""Reads layer descriptors and channel records from the parameter ROM."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import RECORD_FIELDS, TABLE_ENTRIES, TABLE_WIDTH, descriptor_words
from sqhw.machine.timing import is_deep, record_window_cycles
from sqhw.rtl.delay import delayed
from sqhw.rtl.descriptor import descriptor_layout, record_layout
from sqhw.rtl.field_reader import FieldReader
from sqhw.rtl.interfaces import ParameterCommands, TableWrite


class ParameterReader(wiring.Component):
    """Loads a descriptor, then hands out the layer's channel records one by one.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    commands : In(ParameterCommands)
    descriptor : Out
        Complete ``Timing.load`` cycles after `load`.
    record : Out
        Valid `sqhw.machine.timing.fetch_cycles` after `fetch`. Its `bias`, `multiplier` and
        `shift` stay for 6 cycles after the next `fetch`.
    rom_addr, rom_data
        Ports of the parameter ROM.
    table : Out(TableWrite)
        Entries of the layer's table, all within ``Timing.look_table`` + 2 cycles after `table` of
        the commands. Missing in an engine without tables.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        super().__init__(
            {
                "commands": In(ParameterCommands(engine)),
                "descriptor": Out(descriptor_layout(engine)),
                "record": Out(record_layout(engine)),
                "rom_addr": Out(engine.param_addr_bits),
                "rom_data": In(engine.word_bits),
                **({"table": Out(TableWrite())} if engine.tables else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the reader."""
        m = Module()
        engine, layer, commands = self._engine, self.descriptor, self.commands
        words, word = descriptor_words(engine), engine.word_bits
        late = record_window_cycles(engine)
        m.submodules.reader = reader = FieldReader(word, engine.param_addr_bits, late)
        m.d.comb += [self.rom_addr.eq(reader.rom_addr), reader.rom_data.eq(self.rom_data)]

        table = Signal(words * word, name="table", reset_less=True)
        m.d.comb += layer.as_value().eq(table)

        at = Signal(engine.param_addr_bits, name="at")
        here = Signal(engine.param_addr_bits, name="here")
        m.d.comb += here.eq(Mux(commands.restart, 0, at))

        steps = len(RECORD_FIELDS)
        most = TABLE_ENTRIES if engine.tables else 0
        step = Signal(range(max(words, steps + 1, most)), name="step")
        widths = [getattr(layer, f"{name}_width") for name in RECORD_FIELDS]
        fetch, rewind = commands.fetch, commands.rewind
        if is_deep(engine):
            fetch, rewind = Signal(name="fetch"), Signal(name="rewind")
            m.d.sync += [fetch.eq(commands.fetch), rewind.eq(commands.rewind)]
        loading, fetching = Signal(name="loading"), Signal(name="fetching")
        tabling = Signal(name="tabling")
        upcoming = Signal.like(reader.next_width, name="upcoming", reset_less=True)
        m.d.comb += reader.next_width.eq(upcoming)
        with m.FSM():
            with m.State("READY"):
                m.d.sync += [step.eq(0), upcoming.eq(Mux(commands.load, word, widths[0]))]
                with m.If(commands.load):
                    m.d.comb += [reader.jump.eq(1), reader.jump_addr.eq(here)]
                    m.d.sync += at.eq(here + words)
                    m.next = "LOAD-JUMP"
                with m.Elif(fetch):
                    m.d.comb += [
                        reader.jump.eq(rewind),
                        reader.jump_addr.eq(layer.param_addr),
                    ]
                    m.next = "FETCH-JUMP"
                if engine.tables:
                    with m.Elif(commands.table):
                        m.d.comb += [reader.jump.eq(1), reader.jump_addr.eq(layer.table_addr)]
                        m.d.sync += upcoming.eq(TABLE_WIDTH)
                        m.next = "TABLE-JUMP"
            if engine.tables:
                with m.State("TABLE-JUMP"):
                    m.next = "TABLE"
                with m.State("TABLE"):
                    m.d.comb += [reader.take.eq(1), tabling.eq(1)]
                    m.d.sync += step.eq(step + 1)
                    with m.If(step == TABLE_ENTRIES - 1):
                        m.next = "READY"
            with m.State("LOAD-JUMP"):
                m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += [reader.take.eq(1), loading.eq(1)]
                m.d.sync += step.eq(step + 1)
                with m.If(step == words - 1):
                    m.next = "READY"
            with m.State("FETCH-JUMP"):
                m.d.sync += upcoming.eq(widths[1])
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += [reader.take.eq(1), fetching.eq(1)]
                m.d.sync += step.eq(step + 1)
                with m.Switch(step):
                    for index in range(steps - 2):
                        with m.Case(index):
                            m.d.sync += upcoming.eq(widths[index + 2])
                with m.If(step == steps - 1):
                    m.next = "READY"

        width = Signal.like(reader.next_width, name="width")
        mask = Signal(word, name="mask")
        m.d.sync += width.eq(reader.next_width)
        pending, kind, shifted = fetching, step, loading
        if late:
            pending = Signal(name="pending")
            kind = Signal.like(step, name="kind")
            shifted = Signal(name="shifted")
            m.d.sync += [pending.eq(fetching), kind.eq(step), shifted.eq(loading)]
            m.d.sync += mask.eq((1 << width) - 1)
        else:
            m.d.comb += mask.eq((1 << width) - 1)
        with m.If(shifted):
            m.d.sync += table.eq(Cat(table[word:], reader.window))

        if engine.tables:
            entry = delayed(m, tabling, late, "tabled", reset_less=False)
            m.d.sync += [
                self.table.en.eq(entry),
                self.table.index.eq(kind),
                self.table.data.eq(reader.window),
            ]

        # A field is masked in one cycle and put into the record in the next.
        field = Signal(word, name="field", reset_less=True)
        taken, its_kind = Signal(name="taken"), Signal.like(step, name="its_kind", reset_less=True)
        m.d.sync += [field.eq(reader.window & mask), its_kind.eq(kind), taken.eq(pending)]
        bias_lo = Signal(word, name="bias_lo", reset_less=True)
        stored = Signal(2 * word, name="stored")
        with m.If(taken):
            with m.Switch(its_kind):
                with m.Case(RECORD_FIELDS.index("count")):
                    m.d.sync += self.record.count.eq(field + layer.count_base)
                with m.Case(RECORD_FIELDS.index("bias_lo")):
                    m.d.sync += bias_lo.eq(field)
                with m.Case(RECORD_FIELDS.index("bias_hi")):
                    m.d.comb += stored.eq(Cat(bias_lo, field))
                with m.Case(RECORD_FIELDS.index("multiplier")):
                    m.d.sync += self.record.multiplier.eq(field + layer.multiplier_base)
                with m.Case(RECORD_FIELDS.index("shift")):
                    m.d.sync += self.record.shift.eq(field + layer.shift_base)
        self._bias(m, stored, taken & (its_kind == RECORD_FIELDS.index("bias_hi")))
        return m

    def _bias(self, m, stored, whole) -> None:
        """Sign-extend the stored bias from its width and shift it, in one cycle each."""
        layer, word = self.descriptor, self._engine.word_bits
        sign = Signal(
            2 * word, name="sign", reset_less=True
        )  # one hot: the top bit of the stored width; 0 for no bits
        bits = Signal(range(2 * word + 1), name="bits", reset_less=True)
        m.d.sync += [
            bits.eq(layer.bias_lo_width + layer.bias_hi_width),
            sign.eq(Cat(bits == bit + 1 for bit in range(2 * word))),
        ]
        # (stored ^ sign) - sign extends a two's complement number of any width
        extended = Signal(signed(self._engine.acc_bits), name="extended", reset_less=True)
        arrived = Signal(name="arrived")
        m.d.sync += arrived.eq(whole)
        with m.If(whole):
            m.d.sync += extended.eq((stored ^ sign) - sign)
        with m.If(arrived):
            m.d.sync += self.record.bias.eq(extended << layer.bias_shift)
