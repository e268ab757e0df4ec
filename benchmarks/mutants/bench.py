"""Runs the engine with one fault at a time on random networks, until a difference shows."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy.typing as npt

from benchmarks.mutants.netlist import MUTANTS
from benchmarks.mutants.source import SourceMutant, mutated
from sqhw.atomic import atomic_write_text
from sqhw.build import write_rom, write_rtl
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.program import Program, compile_network
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.job import Job, check_job, job_of
from tests.strategies import random_images, random_network, reads_with_one_stride

#: A small engine with everything that an engine may have.
ENGINE = EngineConfig(
    lanes=4, bank_depth=2048, word_bits=18, mult_bits=12, acc_bits=22, requantizers=2,
    weight_addr_bits=11, param_addr_bits=10, groups=True, residuals=True, max_batch=2,
    taps_per_entry=2,
)  # fmt: skip
LIMITS = {
    "mult_bits": 12, "acc_bits": 22, "min_code_bits": 0, "taps_per_entry": 2,
}  # fmt: skip
#: Networks by turns: with branches, with maps that mostly are written at full width, and with
#: kernels wide enough for two taps an entry.
KINDS = (
    {"branches": True, "sparse": True},
    {"max_padding": 3, "widths": (5, 7, 8), "whole": 4},
    {"branches": True, "max_channels": 8, "max_kernel": 5, "max_size": 5, "max_layers": 2,
     "sparse": True},
)  # fmt: skip
#: Runs of each network, besides those that end in a reset.
RUNS = 2


@dataclass(frozen=True)
class Mutant:
    """A fault: its number in the netlist, its kind, and the register or port."""

    number: int
    kind: str
    place: str


@dataclass(frozen=True)
class Prepared:
    """A network, its ROM images where the harness reads them, and what must come out."""

    seed: int
    job: Job
    roms: Sequence[str]


class MutantBench(VolumeBench):
    """One build of the engine with all faults.

    Parameters
    ----------
    rtl, work : path
        As `VolumeBench`.
    """

    def __init__(self, rtl: Path, work: Path) -> None:
        super().__init__(rtl, work, optimize=1)
        found = json.loads((self._run / MUTANTS).read_text())
        self.mutants = [Mutant(at, *fields) for at, fields in enumerate(found, start=1)]

    def _translate(self) -> list[str]:
        return [str(Path(__file__).with_name("netlist.py"))]

    def prepare(self, seed: int, program: Program, folder: Path) -> Prepared:
        """Write the ROM images of a program and compute what must come out."""
        write_rom(program, folder)
        images = images_of(seed, program)
        pieces = check_job(program, images, self._rtl, folder)
        return Prepared(seed, job_of(program, images), self.copy_roms(pieces, folder, f"n{seed}_"))

    def select(self, number: int) -> str:
        """Return the harness's argument that lets a fault be in effect; 0 is none."""
        name = f"mutant{number}.hex"
        atomic_write_text(self._run / name, f"{number:x}\n")
        return f"mutant={name}"

    def killed(self, number: int, networks: Sequence[Prepared]) -> tuple[int, str] | None:
        """Return how many networks ran until a fault showed, and how; None if it never does."""
        select = self.select(number)
        for index, network in enumerate(networks, start=1):
            try:
                self.run_batch(network.job, [*network.roms, select], network.seed)
            except SqhwError as error:
                if "the RTL differs from the simulator" not in str(error):
                    raise
                return index, str(error)
        return None


def killed_source(
    mutant: SourceMutant, folder: Path, networks: Sequence[tuple[int, Program]]
) -> tuple[int, str] | None:
    """Build the engine with a fault in its source and run it as `MutantBench.killed` does."""
    leaf = mutant.place.endswith(".v")
    with nullcontext() if leaf else mutated(mutant):
        write_engine(folder)
    if leaf:
        path = folder / mutant.place
        path.write_text(mutant.apply(path.read_text()))
    bench = VolumeBench(folder, folder / "work", optimize=0)
    for index, (seed, program) in enumerate(networks, start=1):
        write_rom(program, folder)
        try:
            bench.run(program, images_of(seed, program), folder, seed)
        except SqhwError as error:
            if "the RTL differs from the simulator" not in str(error):
                raise
            return index, str(error)
    return None


def images_of(seed: int, program: Program) -> npt.NDArray[Any]:
    """Return the images that a program runs: two runs."""
    return random_images(program.network, seed, RUNS * program.batch)


def write_engine(folder: Path) -> None:
    """Write the Verilog of the engine, with ROMs as deep as their addresses reach."""
    bits = (ENGINE.weight_addr_bits, ENGINE.param_addr_bits, ENGINE.codebook_addr_bits)
    depths = dict(zip(("weights", "params", "codebook"), (1 << n for n in bits), strict=True))
    write_rtl(ENGINE, depths, folder)


def programs(networks: int) -> Iterator[tuple[int, Program]]:
    """Return seeds and programs of random networks, every ninth to eleventh in runs of two."""
    found = ((seed, random_network(seed, **LIMITS, **KINDS[seed % 3])) for seed in count())
    fits = ((seed, network) for seed, network in found if reads_with_one_stride(network))
    for index, (seed, network) in enumerate(islice(fits, networks)):
        yield seed, compile_network(network, ENGINE, batch=1 + (index // 3 % 3 == 2))
