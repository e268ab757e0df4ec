"""Deliberate faults in the RTL: the check of whole networks must notice every one of them.

A mutant changes one token of a component's source, or of a leaf module's Verilog. With
``SQHW_MUTANTS=all`` in the environment all of them run, a quarter of an hour.
"""

import importlib
import os
import pkgutil
import types
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import pytest
from strategies import random_images, random_network, reads_with_one_stride

import sqhw.rtl
from sqhw.build import write_rom, write_rtl
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.program import compile_network
from sqhw.verify.cxxrtl import VolumeBench

ENGINE = EngineConfig(
    lanes=4, bank_depth=2048, word_bits=18, mult_bits=12, acc_bits=22, requantizers=2,
    weight_addr_bits=11, param_addr_bits=10, groups=True, residuals=True, max_batch=2,
    taps_per_entry=2,
)  # fmt: skip
LIMITS = {
    "mult_bits": 12, "acc_bits": 22, "min_code_bits": 0, "taps_per_entry": 2, "sparse": True,
}  # fmt: skip
#: Every other network has branches, and every other one maps that mostly are written at full width.
KINDS = ({"branches": True}, {"max_padding": 3, "widths": (5, 7, 8), "whole": 4})
NETWORKS = 80
IMAGES = 2


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in a module of `sqhw.rtl` or in a Verilog file, becomes `new`."""

    place: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.place}: {self.old} -> {self.new}"

    def apply(self, text: str) -> str:
        assert text.count(self.old) == 1, f"{self}: found {text.count(self.old)} times"
        return text.replace(self.old, self.new)


MUTANTS = [
    Mutant(*fields)
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
        ("stream_decoder", "wrap & ~wrap_two", "wrap"),
        ("stream_decoder", "wrap_two & ~skip", "wrap_two"),
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
        ("tap_walker", "to_second & steps.split", "0"),
        ("tap_walker", "second_row.eq(row_two)", "second_row.eq(row_one)"),
        ("engine", "taps.second.eq(decoder.step)", "taps.second.eq(0)"),
        ("activation_memory", "self.lane > bank for", "self.lane >= bank for"),
        ("activation_memory", "word_select(bank % count, 8)", "word_select(0, 8)"),
        ("engine", "(channel <= layer.skip_last)", "(channel < layer.skip_last)"),
        ("engine", "layer.skip_signed, in_signed)", "in_signed, in_signed)"),
        ("engine", "(places.point.x <= edge_x)", "(places.point.x < edge_x)"),
        ("engine", " & (~serial | end_of_group)", ""),
        ("engine", "layer.out_last_x >> low | layer.out_split", "layer.out_last_x >> low"),
        ("engine", "Mux(neighbours, layer.pitch_last_x >> low", "Mux(0, layer.pitch_last_x >> low"),
        ("engine", "neighbours &= layer.batch_shift == 0", "neighbours &= 1"),
        ("engine", "layer.out_split & active & ~element[low]", "layer.out_split & ~element[low]"),
        ("transposer", "Mux(self.second, even, ", "Mux(self.second, odd, "),
        ("transposer", "range(first, count, 2)", "range(1 - first, count, 2)"),
        # control and handshakes
        ("sequencer", "left == 2", "left == 3"),
        ("sequencer", "self.offset + self.group_channels", "self.offset + 0"),
        ("sequencer", "self.cycles.eq(1)", "self.cycles.eq(0)"),
        ("sequencer", '"cycles": Out(32)', '"cycles": Out(8)'),
        ("sequencer", "timing.drain) - 2", "timing.drain) - 3"),
        ("sequencer", "timer >= timing.output", "timer >= timing.output - 1"),
        ("sequencer", "with m.If(self.out_ready):", "with m.If(self.out_valid):"),
        ("engine", "seq.idle & ~self.start", "seq.idle"),
        ("engine", "whole_image & last_image", "whole_image & ~last_image"),
        # memories
        ("sqhw_ram.v", "if (write_en)", "if (!write_en)"),
        ("sqhw_ram.v", "mem[read_addr]", "mem[read_addr ^ 1]"),
        (
            "sqhw_rom.v",
            "data <= mem[addr];\nendmodule\n\n// The same as a piece",
            "data <= mem[addr] & ~1'b1;\nendmodule\n\n// The same as a piece",
        ),
    )
]


#: Each takes a build of its own, so that by default one of each file runs.
FIRST = {mutant.place: mutant for mutant in reversed(MUTANTS)}
RUN = MUTANTS if os.environ.get("SQHW_MUTANTS") == "all" else list(FIRST.values())


def mutated(mutant: Mutant, monkeypatch) -> None:
    """Put the classes of a changed module into the place of those of the original."""
    original = importlib.import_module(f"sqhw.rtl.{mutant.place}")
    changed = types.ModuleType(original.__name__)
    source = mutant.apply(Path(original.__file__).read_text())
    exec(compile(source, original.__file__, "exec"), changed.__dict__)
    components = {
        name: value
        for name, value in vars(changed).items()
        if isinstance(value, type) and value.__module__ == original.__name__
    }
    for info in pkgutil.iter_modules(sqhw.rtl.__path__):
        module = importlib.import_module(f"sqhw.rtl.{info.name}")
        for name in components.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, components[name])


def check(folder) -> None:
    """Build the RTL in a folder and run random networks until one fails."""
    bench = VolumeBench(folder, folder / "work", optimize=1)
    networks = (random_network(seed, **LIMITS, **KINDS[seed % 2]) for seed in count())
    for index, network in enumerate(islice(filter(reads_with_one_stride, networks), NETWORKS)):
        program = compile_network(network, ENGINE, batch=1 + (index % 3 == 2))
        write_rom(program, folder)
        bench.run(program, random_images(network, 0, IMAGES), folder)


def write_engine(folder) -> None:
    depths = {
        "weights": 1 << ENGINE.weight_addr_bits,
        "params": 1 << ENGINE.param_addr_bits,
        "codebook": 1 << ENGINE.codebook_addr_bits,
    }
    write_rtl(ENGINE, depths, folder)


@pytest.mark.slow
def test_the_engine_passes(tmp_path):
    write_engine(tmp_path)
    check(tmp_path)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_stands_in_the_source(mutant):
    """Else the list is behind the RTL."""
    source = Path(sqhw.rtl.__file__).parent
    leaf = mutant.place.endswith(".v")
    path = source / "verilog" / mutant.place if leaf else source / f"{mutant.place}.py"
    mutant.apply(path.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("mutant", RUN, ids=str)
def test_a_mutant_fails(mutant, tmp_path, monkeypatch):
    if not mutant.place.endswith(".v"):
        mutated(mutant, monkeypatch)
    write_engine(tmp_path)
    if mutant.place.endswith(".v"):
        path = tmp_path / mutant.place
        path.write_text(mutant.apply(path.read_text()))
    with pytest.raises(SqhwError, match="the RTL differs from the simulator"):
        check(tmp_path)
