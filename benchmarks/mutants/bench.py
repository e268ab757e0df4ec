"""Runs the engine with one fault at a time on random networks, until a difference shows."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.mutants import directed
from benchmarks.mutants.netlist import MUTANTS
from benchmarks.mutants.source import SourceMutant, mutated
from sqhw.atomic import atomic_write_text
from sqhw.compiler.program import Program, compile_network
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.job import Job, check_job, job_of
from sqhw.verify.stimulus import Phase, stimulus, sweep
from tests.strategies import random_images, random_network, reads_with_one_stride

#: Small engine with every feature that an engine may have.
ENGINE = EngineConfig(
    lanes=4, bank_depth=2048, word_bits=18, mult_bits=12, acc_bits=22, requantizers=2,
    weight_addr_bits=11, param_addr_bits=10, groups=True, residuals=True, max_batch=4,
    taps_per_entry=2,
)  # fmt: skip
#: Engine with a number of lanes as large as a step of the largest coordinates that fit it.
WIDE = replace(ENGINE, lanes=8, dim_bits=4, max_batch=1)
#: Engines for the faults of the source, by the name that a fault gives.
SOURCE_ENGINES = {
    "small": ENGINE,
    "lanes in LUTs": replace(ENGINE, lut_lanes=3),
    "deep": replace(ENGINE, lanes=16, requantizers=4),
}
LIMITS = {
    "mult_bits": 12, "acc_bits": 22, "min_code_bits": 0, "taps_per_entry": 2,
}  # fmt: skip
#: Limits of the random networks, in turn: with branches, with maps mostly written at full width,
#: and with kernels wide enough for two taps an entry.
KINDS = (
    {"branches": True, "sparse": True},
    {"max_padding": 3, "widths": (5, 7, 8), "whole": 4},
    {"branches": True, "max_channels": 8, "max_kernel": 5, "max_size": 5, "max_layers": 2,
     "sparse": True},
)  # fmt: skip
#: Runs of each network, besides those that end in a reset.
RUNS = 2
#: Seed of images and stimuli. They still differ between networks, because the sizes differ.
SEED = 1


@dataclass(frozen=True)
class Mutant:
    """A fault: its number in the netlist, its kind, and the register or port."""

    number: int
    kind: str
    place: str


@dataclass(frozen=True)
class Prepared:
    """A network, the stimuli of the engine that runs it, and the expected results.

    Parameters
    ----------
    name : str
        Name of the network, for the table.
    job : Job
    frames : ndarray of `sqhw.verify.stimulus.FRAME`
    roms : sequence of str
        Paths of the ROM images that the harness reads.
    """

    name: str
    job: Job
    frames: npt.NDArray[np.void]
    roms: Sequence[str]


class MutantBench(VolumeBench):
    """One build of the engine with all faults.

    Parameters
    ----------
    rtl, work : path
        Folders, see `VolumeBench`.
    optimize : int, 0 to 3
        Level of the C++ compiler. 0 is the best for some hundred runs, 1 for all faults.
    """

    def __init__(self, rtl: Path, work: Path, *, optimize: int = 1) -> None:
        super().__init__(rtl, work, optimize=optimize)
        found = json.loads((self._run / MUTANTS).read_text())
        self.mutants = [Mutant(at, *fields) for at, fields in enumerate(found, start=1)]

    def _translate(self) -> list[str]:
        return [str(Path(__file__).with_name("netlist.py"))]

    def prepare(self, name: str, program: Program, folder: Path) -> Prepared:
        """Write the ROM images of a program and compute the expected results of two runs."""
        job = job_of(program, images_of(program))
        frames = stimulus(SEED, RUNS, *job.sizes, job.waits)
        return Prepared(name, job, frames, self._write_roms(name, program, folder))

    def prepare_sweep(self, folder: Path) -> Prepared:
        """Prepare a small network with a reset at each moment of it."""
        program = compile_network(directed.one_layer(), ENGINE)
        job = job_of(program, images_of(program))
        frames = sweep(SEED, *job.sizes, job.waits)
        runs = int((frames["phase"] == Phase.WHOLE).sum())
        job = job_of(program, np.resize(images_of(program), (runs, *program.network.input_shape)))
        return Prepared("sweep of resets", job, frames, self._write_roms("sweep", program, folder))

    def _write_roms(self, name: str, program: Program, folder: Path) -> list[str]:
        write_rom(program, folder)
        pieces = check_job(program, images_of(program), self._rtl, folder)
        return self.copy_roms(pieces, folder, f"{name.replace(' ', '_')}_")

    def select(self, number: int) -> str:
        """Return the harness's argument that puts a fault into effect; fault 0 is none."""
        name = f"mutant{number}.hex"
        atomic_write_text(self._run / name, f"{number:x}\n")
        return f"mutant={name}"

    def killed(self, number: int, networks: Sequence[Prepared]) -> tuple[str, str] | None:
        """Return the network that showed a fault and the bench's sentence; None if none does."""
        select = self.select(number)
        for network in networks:
            try:
                self.run_frames(network.job, network.frames, [*network.roms, select], SEED)
            except SqhwError as error:
                if "the RTL differs from the simulator" not in str(error):
                    raise
                return network.name, str(error)
        return None


def killed_source(mutant: SourceMutant, folder: Path, networks: int) -> tuple[str, str] | None:
    """Build an engine with a fault in its source and run it as `MutantBench.killed` does.

    Parameters
    ----------
    mutant : SourceMutant
    folder : path
        Folder for the RTL.
    networks : int
        Number of random networks that the fault may survive.
    """
    engine = SOURCE_ENGINES[mutant.engine]
    directed_ones = small_directed_programs() if engine is ENGINE else ()
    leaf = mutant.place.endswith(".v")
    with nullcontext() if leaf else mutated(mutant):
        write_engine(folder, engine)
    if leaf:
        path = folder / mutant.place
        path.write_text(mutant.apply(path.read_text()))
    bench = VolumeBench(folder, folder / "work", optimize=0)
    for name, program in chain(programs(networks, engine), directed_ones):
        write_rom(program, folder)
        try:
            bench.run(program, images_of(program), folder, SEED)
        except SqhwError as error:
            if "the RTL differs from the simulator" not in str(error):
                raise
            return name, str(error)
    return None


def images_of(program: Program) -> npt.NDArray[Any]:
    """Return the images that a program runs: two runs."""
    return random_images(program.network, SEED, RUNS * program.batch)


def write_engine(folder: Path, engine: EngineConfig = ENGINE) -> None:
    """Write the Verilog of the engine, with ROMs as deep as their addresses reach."""
    bits = (engine.weight_addr_bits, engine.param_addr_bits, engine.codebook_addr_bits)
    depths = dict(zip(("weights", "params", "codebook"), (1 << n for n in bits), strict=True))
    write_rtl(engine, depths, folder)


def programs(networks: int, engine: EngineConfig = ENGINE) -> Iterator[tuple[str, Program]]:
    """Return random networks with names, three of nine in runs of two or four."""
    found = (random_network(seed, **LIMITS, **KINDS[seed % 3]) for seed in count())
    for index, network in enumerate(islice(filter(reads_with_one_stride, found), networks)):
        batch = (1, 1, 2 << index % 2)[index // 3 % 3]
        yield f"random {index + 1}", compile_network(network, engine, batch=batch)


def small_directed_programs() -> Iterator[tuple[str, Program]]:
    """Return the networks of `directed` that run for few cycles."""
    yield from _compiled(
        ("digits", directed.digits(ENGINE.mult_bits), 1),
        ("skips", directed.skips(), 1),
        ("pairs", directed.pairs(), 4),
        ("pairs in one image", directed.pairs(), 1),
        ("pairs in two images", directed.pairs(), 2),
        ("edges high", directed.edges(40, 2), 1),
        ("edges wide", directed.edges(2, 40), 4),
    )


def large_directed_programs() -> Iterator[tuple[str, Program]]:
    """Return the networks of `directed` that run for long, because a counter must reach far."""
    yield from _compiled(
        ("records", directed.records(280), 1),
        ("channels", directed.channels(1030), 1),
        ("entries", directed.entries(9, 63), 1),
        ("tiles", directed.tiles(60, 63), 2),
    )


def wide_programs() -> Iterator[tuple[str, Program]]:
    """Return networks for `WIDE`: steps of the lane masks that are as long as a map."""
    yield from _compiled(
        ("steps along", directed.edges(4, 15), 1), ("steps across", directed.edges(15, 1), 1),
        engine=WIDE,
    )  # fmt: skip


def _compiled(
    *found: tuple[str, QuantizedNetwork, int], engine: EngineConfig = ENGINE
) -> Iterator[tuple[str, Program]]:
    return ((name, compile_network(net, engine, batch=batch)) for name, net, batch in found)
