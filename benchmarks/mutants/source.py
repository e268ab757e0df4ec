"""Faults in the source of the RTL, a token each: arithmetic, addresses, control, memories."""

import importlib
import pkgutil
import sys
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import sqhw.rtl


@dataclass(frozen=True)
class SourceMutant:
    """`old`, which stands once in a module of `sqhw.rtl` or in a Verilog file, becomes `new`.

    `engine` is the name of an engine whose Verilog has the line.
    """

    place: str
    old: str
    new: str
    engine: str = "small"

    def __str__(self) -> str:
        where = "" if self.engine == "small" else f" ({self.engine})"
        return f"{self.place}{where}: {self.old} -> {self.new}"

    def apply(self, text: str) -> str:
        """Return the text with the fault in it."""
        assert text.count(self.old) == 1, f"{self}: found {text.count(self.old)} times"
        return text.replace(self.old, self.new)


SOURCE_MUTANTS = [
    SourceMutant(*fields)
    for fields in (
        # arithmetic
        ("lanes", "acc.eq(acc + product)", "acc.eq(acc + product + 1)"),
        ("lanes", "product = Signal(signed(17)", "product = Signal(signed(14)"),
        ("lanes", "byte[7] & self.in_signed", "byte[7]"),
        ("lanes", "Mux(self.inside[lane], Cat", "Mux(~self.inside[lane], Cat"),
        ("lanes", "product[:9].as_signed() > acc", "product[:9] > acc"),
        ("requantizer", '"total", head + bias)', '"total", head + bias + 1)'),
        ("requantizer", "(narrow + 1) >> 1", "narrow >> 1"),
        ("requantizer", "near[-1].eq(doubled[-1])", "near[-1].eq(0)"),
        ("requantizer", "near >> shifts[1][:3]", "near >> shifts[1][:2]"),
        ("requantizer", "Mux(digit[0], 0, ~total)", "Mux(digit[0], 0, total)"),
        ("requantizer", "NARROW_BITS = 11", "NARROW_BITS = 9"),
        ("requantizer", "rounded < self.clamp_lo", "rounded <= self.clamp_lo + 1"),
        ("requantizer", "y.eq(self.clamp_hi)", "y.eq(self.clamp_hi - 1)"),
        ("requantizer", "Mux(self.serial, one, more)", "Mux(self.serial, more, one)"),
        ("parameter_reader", "extended.eq((stored ^ sign) - sign)", "extended.eq(stored)"),
        ("parameter_reader", "extended << layer.bias_shift", "extended"),
        # addresses and masks
        ("lane_masks", "(x <= high_x)", "(x < high_x)"),
        ("lane_masks", "(minus + 1) >> 1", "minus >> 1"),
        ("lane_masks", "Mux(self.split, room >> 1, room)", "room"),
        ("lane_masks", "over.eq(~further[-1])", "over.eq(0)"),
        ("stream_decoder", "wrap = ~wrapped[0][-1]", "wrap = wrapped[0][-1]"),
        ("stream_decoder", "wrap_two = ~wrapped[1][-1]", "wrap_two = wrap"),
        ("stream_decoder", "Cat(carries, gap)", "Cat(1, gap)"),
        ("stream_decoder", "Cat(carries, part)", "Cat(1, part)"),
        ("stream_decoder", "(gap != gap_mask) | no_gaps", "gap != gap_mask"),
        ("field_reader", "Mux(end >= word, end - word, end)", "Mux(end > word, end - word, end)"),
        ("field_reader", "return end >= word", "return end > word"),
        ("position_walker", "Mux(wide[-1], carry, on)", "Mux(wide[-1], on, carry)"),
        ("position_walker", "(apart << 1, on_y", "(apart, on_y"),
        ("position_walker", "here.phase_y ^ split", "here.phase_y"),
        ("position_walker", "wide[-1] & ~apart", "wide[-1]"),
        ("tap_walker", "two & (here.x == last_x)", "0"),
        ("tap_walker", "(two & (here.x == last_but_one))", "0"),
        ("tap_walker", "batch, batch << 1)", "batch, batch)"),
        ("tap_walker", "plane.channels << 1, 0)", "plane.channels, 0)"),
        ("tap_walker", "second_row.eq(row_two)", "second_row.eq(row_one)"),
        ("issue", "walker.second.eq(decoder.step)", "walker.second.eq(0)"),
        ("activation_memory", "self.read.lane > bank for", "self.read.lane >= bank for"),
        ("activation_memory", "word_select(bank % count, 8)", "word_select(0, 8)"),
        ("issue", "(channel <= layer.skip_last)", "(channel < layer.skip_last)"),
        ("accumulate", "layer.skip_signed, in_signed)", "in_signed, in_signed)"),
        ("write_back", "(point.x <= mode.edge_x)", "(point.x < mode.edge_x)"),
        ("write_back", " & (~mode.serial | end_of_group)", ""),
        ("write_back", "layer.out_last_x >> low | layer.out_split", "layer.out_last_x >> low"),
        (
            "write_back",
            "Mux(neighbours, layer.pitch_last_x >> low",
            "Mux(0, layer.pitch_last_x >> low",
        ),
        ("write_back", "neighbours &= layer.batch_shift == 0", "neighbours &= 1"),
        (
            "write_back",
            "layer.out_split & walk.active & ~walk.element",
            "layer.out_split & ~walk.element",
        ),
        ("transposer", "Mux(self.second, even, ", "Mux(self.second, odd, "),
        ("transposer", "range(first, count, 2)", "range(1 - first, count, 2)"),
        # control and handshakes
        ("sequencer", "left == 2", "left == 3"),
        ("sequencer", "entries.offset + loops.group_channels", "entries.offset + 0"),
        ("sequencer", "control.cycles.eq(1)", "control.cycles.eq(0)"),
        ("interfaces", '"cycles": In(32)', '"cycles": In(8)'),
        ("sequencer", "timing.drain) - 2", "timing.drain) - 3"),
        ("sequencer", "timer >= timing.output", "timer >= timing.output - 1"),
        ("sequencer", "with m.If(handshake.ready):", "with m.If(handshake.valid):"),
        (
            "sequencer",
            "timer.eq(timer + ~self._turn if self._engine.single_port else timer + 1)",
            "timer.eq(0)",
        ),
        ("engine", "self.ready.eq(sequencer.phases.idle)", "self.ready.eq(0)"),
        ("engine", "self.ready.eq(sequencer.phases.idle)", "self.ready.eq(1)"),
        ("engine", "self.done.eq(sequencer.control.done)", "self.done.eq(0)"),
        ("engine", "self.out_valid.eq(sequencer.handshake.valid)", "self.out_valid.eq(0)"),
        ("write_back", "self.phases.idle & ~self.start", "self.phases.idle"),
        ("write_back", "whole_image & last_image", "whole_image & ~last_image"),
        # memories
        ("sqhw_ram.v", "if (write_en)", "if (!write_en)"),
        ("sqhw_ram.v", "mem[read_addr]", "mem[read_addr ^ 1]"),
        (
            "sqhw_rom.v",
            "data <= mem[addr];\nendmodule\n\n// The same as a piece",
            "data <= mem[addr] & ~1'b1;\nendmodule\n\n// The same as a piece",
        ),
        # lanes with multipliers of LUTs
        *(
            ("lanes", *change, "lanes in LUTs")
            for change in (
                ("Mux(digit[0], 0, ~x)", "Mux(digit[0], 0, x)"),
                ("spread.word_select(position, 2) == 0", "spread.word_select(position, 2) == 1"),
                ("self.weight + 0b010101", "self.weight + 0b010100"),
                ("Mux(high[0], ~x, ~(x << 1))", "Mux(high[0], ~(x << 1), ~x)"),
                ("lacks[3].eq(spread[-1])", "lacks[3].eq(0)"),
                ("(multiple << 6)", "(multiple << 4)"),
            )
        ),
        # registers of deep engines
        *(
            (*change, "deep")
            for change in (
                ("activation_memory", 'register(turn, "turn_2")', "turn"),
                ("activation_memory", 'register(next_row, "next_row_1", deep)', "next_row"),
                ("rom", "if self._latency > 1:", "if self._latency > 2:"),
                ("field_reader", "self.jump_addr + 1, ahead", "self.jump_addr, ahead"),
                ("field_reader", "[at.eq(offset), moves_on", "[at.eq(begin), moves_on"),
                ("parameter_reader", "pending.eq(fetching)", "pending.eq(loading)"),
                ("issue", "code_addr, int(is_deep(engine)),", "code_addr, 0,"),
                ("accumulate", 'delayed(m, taps.x, spare, "dx")', "taps.x"),
                ("accumulate", "delayed(m, weight, read - wait,", "delayed(m, weight, read,"),
            )
        ),
    )
]


def unchanged(engine: str) -> SourceMutant:
    """Return no fault: the source of an engine as it is."""
    return SourceMutant("sequencer", "class Sequencer", "class Sequencer", engine)


def source_path(mutant: SourceMutant) -> Path:
    """Return the file that a mutant changes."""
    source = Path(sqhw.rtl.__file__).parent
    leaf = mutant.place.endswith(".v")
    return source / "verilog" / mutant.place if leaf else source / f"{mutant.place}.py"


@contextmanager
def mutated(mutant: SourceMutant) -> Iterator[None]:
    """Replace the classes of the original module by those of the changed one.

    All modules of the package, and their tables, get the new classes.
    """
    # All modules are imported first: one imported later would keep the changed classes for ever.
    for info in pkgutil.iter_modules(sqhw.rtl.__path__):
        importlib.import_module(f"sqhw.rtl.{info.name}")
    original = importlib.import_module(f"sqhw.rtl.{mutant.place}")
    changed = types.ModuleType(original.__name__)
    path = source_path(mutant)
    exec(compile(mutant.apply(path.read_text()), path, "exec"), changed.__dict__)
    components = {
        name: value
        for name, value in vars(changed).items()
        if isinstance(value, type) and value.__module__ == original.__name__
    }
    names = {vars(original)[name]: name for name in components}
    users = [vars(module) for name, module in sys.modules.items() if name.startswith("sqhw.")]
    tables = [value for user in users for value in user.values() if isinstance(value, dict)]
    with ExitStack() as stack:
        for table in [*users, *tables]:
            replaced = {
                key: components[names[value]]
                for key, value in table.items()
                if isinstance(value, type) and value in names
            }
            if replaced:
                stack.enter_context(mock.patch.dict(table, replaced))
        yield
