"""Runs the generated RTL on thousands of images, as C++ that yosys' CXXRTL back end writes."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.atomic import atomic_write_text
from sqhw.compiler.program import Program
from sqhw.environment.extras import package_folder
from sqhw.errors import SqhwError
from sqhw.export.manifest import cores_of, name_of
from sqhw.export.readmemh import read_readmemh
from sqhw.files.own_folder import empty_own
from sqhw.machine.naming import image_name
from sqhw.machine.rom_pieces import Piece, piece_names
from sqhw.rtl.rom import memory_names
from sqhw.seeds import check_seed
from sqhw.verify.expected import ANYTHING
from sqhw.verify.job import Job, check_job, job_of
from sqhw.verify.processes import Processes
from sqhw.verify.sources import copy_sources
from sqhw.verify.stimulus import Phase, label, most_cycles, reset_count, stimulus
from sqhw.verify.tool_log import said
from sqhw.verify.tools import cxxrtl_compiler
from sqhw.verify.work_folder import check_work_path

HARNESS = "cxxrtl_harness.cc"
#: Harness of an engine of several cores.
CLUSTER_HARNESS = "cxxrtl_cluster.cc"
HEADER = "cxxrtl_plain.h"
#: Header that both harnesses include.
COMMON = "cxxrtl_common.h"
TRANSLATE = "cxxrtl_translate.py"
IMAGE = re.compile(r'\.FILE\("(\w+\.hex)"\)')
#: Compiler options. CXXRTL's assertions are off because the engine may read ahead beyond the end of
#: a ROM. With ``-march=native`` the code is no faster, and it would run on this machine only.
#: Vectors gathered from scattered registers make it slower.
FLAGS = ("-std=c++17", "-DNDEBUG", "-fno-tree-slp-vectorize")
#: Images of one process, a multiple of any batch. They bound the memory and do not change results.
CHUNK = 64
COUNTS_BYTES = 8
#: Exit codes of the harness: the engine breaks a rule; the job is not usable. It prints why.
BROKEN, REFUSED = 3, 2
#: Time limit of the harness: seconds to start, then the fewest clock cycles a second.
START_SECONDS, SLOWEST = 60, 1000


@dataclass(frozen=True)
class VolumeReport:
    """The result of a volume run.

    Parameters
    ----------
    simulator : str
        ``cxxrtl``.
    images : int
        Images run; all results equal the simulator's.
    activations : int
        Activations compared in all layers; all are equal. 0 if only results were compared.
    cycles : int
        Cycles measured for each run, equal to the prediction.
    resets : int
        Frames that ended in a reset at a random moment; the run after each was right.
    clock_cycles : int
        Clock cycles of all runs, with those that take pixels and give results.
    seconds : float
        Processor time of the RTL, summed over the processes (unit: s).
    """

    simulator: str
    images: int
    activations: int
    cycles: int
    resets: int
    clock_cycles: int
    seconds: float


class VolumeBench:
    """The RTL compiled once; it runs any network whose ROM images it is given.

    Parameters
    ----------
    rtl : path
        Folder with the Verilog files that `sqhw.export.build.write_rtl` wrote.
    work : path
        Folder for generated files.
    optimize : int, 0 to 3
        Level of the C++ compiler: 0 compiles faster, 3 runs several times as fast.

    Raises
    ------
    SqhwError
        If yosys, a compiler or a Verilog file is missing, or the RTL does not build; the message
        names the log.
    """

    def __init__(self, rtl: Path, work: Path, *, optimize: int = 3) -> None:
        yosys = package_folder("pyosys", "verification with cxxrtl")
        compiler = cxxrtl_compiler()
        self._rtl = rtl
        check_work_path(work, "cxxrtl")
        self._run = empty_own((work / "cxxrtl").absolute(), "--work")
        self._processes = Processes()
        self._name = name_of(rtl)
        self._cores = cores_of(rtl)
        sources = copy_sources(rtl, self._run)
        # yosys reads empty images, the harness fills the ROMs
        for name in IMAGE.findall(sources[0].read_text()):
            atomic_write_text(self._run / name, "")
        harness = CLUSTER_HARNESS if self._cores > 1 else HARNESS
        for name in (harness, COMMON, HEADER, TRANSLATE):
            atomic_write_text(self._run / name, files("sqhw.verify").joinpath(name).read_text())
        runtime = yosys / "share/include/backends/cxxrtl/runtime"
        names = [source.name for source in sources]
        self._command("yosys", [sys.executable, *self._translate(), *names])
        flags = [*FLAGS, f"-O{optimize}", f"-I{runtime}", "-I."]
        self._command("compiler", [compiler, *flags, harness, "-o", "harness"])

    def _translate(self) -> list[str]:
        """Return the program that writes the C++, with its first arguments."""
        return [TRANSLATE]

    def _command(self, name: str, command: list[str]) -> None:
        log = self._run / f"{name}.log"
        with log.open("w") as file:
            code = subprocess.run(
                command,
                cwd=self._run,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        if code:
            raise SqhwError(
                f"the RTL does not build for CXXRTL: {name} fails ({code}), {said(log)}; see {log}"
            )

    def run(
        self,
        program: Program,
        images: npt.NDArray[Any],
        roms: Path,
        seed: int = 0,
        *,
        activations: bool = True,
        jobs: int = 1,
        progress: Callable[[int], None] = lambda done: None,
    ) -> VolumeReport:
        """Run images and compare results, cycles and activations with simulator and schedule.

        Parameters
        ----------
        program : Program
            Program that the ROM images were made from.
        images : ndarray of int, shape (images, channels, height, width)
        roms : path
            Folder with the ROM images.
        seed : int
            Seed of the pauses on the streams and of the first contents of memories.
        activations : bool
            Whether every activation of every layer is compared, or only the results.
        jobs : int, 1 or more
            Processes at a time.
        progress : callable
            Called with the number of images done.

        Raises
        ------
        SqhwError
            If a ROM image is missing, or the RTL differs; the message says where.
        """
        check_seed(seed)
        if jobs < 1:
            raise SqhwError(f"jobs must be 1 or more, not {jobs}")
        roms_of = self.copy_roms(check_job(program, images, self._rtl, roms), roms)
        reports = []
        done = 0
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for report in pool.map(
                    lambda first: self.run_batch(
                        job_of(program, images[first : first + CHUNK]),
                        roms_of,
                        seed,
                        first=first // program.batch,
                        activations=activations,
                    ),
                    range(0, len(images), CHUNK),
                ):
                    reports.append(report)
                    done += report.images
                    progress(done)
            except KeyboardInterrupt:
                self._processes.end()  # the pool waits for the processes
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return VolumeReport(
            "cxxrtl",
            images=done,
            activations=sum(report.activations for report in reports),
            cycles=reports[0].cycles,
            resets=sum(report.resets for report in reports),
            clock_cycles=sum(report.clock_cycles for report in reports),
            seconds=sum(report.seconds for report in reports),
        )

    def copy_roms(
        self, pieces: Mapping[str, tuple[Piece, ...]], roms: Path, prefix: str = ""
    ) -> list[str]:
        """Copy ROM images for the harness; return its arguments for them.

        Parameters
        ----------
        pieces : mapping of str to tuple of Piece
            Pieces of the ROMs.
        roms : path
            Folder with the images.
        prefix : str
            First part of the names of the copies.

        Raises
        ------
        SqhwError
            If an image is missing or is not an image.
        """
        found = []
        several = self._cores > 1
        cores = [f"core_{core} " for core in range(self._cores)] if several else [""]
        for rom, parts in pieces.items():
            images = piece_names(image_name(self._name, rom), parts)
            memories = zip(memory_names(rom, parts), images, parts, strict=True)
            for memory, name, piece in memories:
                read_readmemh(roms / f"{name}.hex", name, piece.bits)
                shutil.copy(roms / f"{name}.hex", self._run / f"{prefix}{name}.hex")
                found += [f"{core}{memory}={prefix}{name}.hex" for core in cores]
        return found

    def run_batch(
        self, job: Job, roms: Sequence[str], seed: int, *, first: int = 0, activations: bool = True
    ) -> VolumeReport:
        """Run a job in a process of its own, from power-up.

        Parameters
        ----------
        job : Job
        roms : sequence of str
            Arguments of the harness, from `copy_roms`.
        seed : int
        first : int
            Number of the first run; each has its own noise.
        activations : bool
            Whether activations are compared.

        Raises
        ------
        SqhwError
            In the cases of `run`.
        """
        frames = stimulus((seed, first), len(job.pixels), *job.sizes, job.waits)
        return self.run_frames(job, frames, roms, seed, first=first, activations=activations)

    def run_frames(
        self,
        job: Job,
        frames: npt.NDArray[np.void],
        roms: Sequence[str],
        seed: int,
        *,
        first: int = 0,
        activations: bool = True,
    ) -> VolumeReport:
        """Run a job as `run_batch` does, with frames that the caller gives.

        Parameters
        ----------
        frames : ndarray of `sqhw.verify.stimulus.FRAME`, shape (frames,)
            Frames. Those that are not reset are the runs of the job, in order.
        job, roms, seed, first, activations
            Parameters as for `run_batch`.

        Raises
        ------
        SqhwError
            In the cases of `run`.
        """
        done, records = self._harness(job, frames, roms, (seed, first), activations)
        index, _, reason = done.stderr.strip().partition(": ")
        if done.returncode == BROKEN:
            raise _difference(f"{label(frames, int(index), first)}: {reason}; files: {self._run}")
        if done.returncode == REFUSED:
            raise SqhwError(f"{done.stderr.strip()}; files: {self._run}")
        if done.returncode:
            raise SqhwError(f"{self._run / 'harness'} ends with code {done.returncode}")
        whole = np.flatnonzero(frames["phase"] == Phase.WHOLE).tolist()
        _compare(job, records, [label(frames, index, first) for index in whole], activations)
        clock_cycles, seconds = done.stdout.split()
        return VolumeReport(
            "cxxrtl",
            images=len(job.pixels) * job.batch,
            activations=int((job.writeback != ANYTHING).sum()) if activations else 0,
            cycles=job.cycles,
            resets=reset_count(frames),
            clock_cycles=int(clock_cycles),
            seconds=float(seconds),
        )

    def _harness(
        self,
        job: Job,
        frames: npt.NDArray[np.void],
        roms: Sequence[str],
        seed: tuple[int, int],
        activations: bool,
    ) -> tuple[subprocess.CompletedProcess[str], npt.NDArray[np.uint8]]:
        """Run the harness; return how it ended and a record of each run."""
        waits = job.waits
        noise = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
        numbers = [noise, *job.sizes, job.writeback.shape[1]]
        numbers += [waits.ready, waits.run, waits.result, int(activations)]
        numbers += [self._cores] if self._cores > 1 else []
        limit = START_SECONDS + most_cycles(frames, *job.sizes, waits) / SLOWEST
        with tempfile.TemporaryDirectory(dir=self._run) as scratch:
            driven, sent, found = (Path(scratch) / name for name in ("frames", "pixels", "found"))
            frames.tofile(driven)
            job.pixels.tofile(sent)
            command = [str(self._run / "harness"), *map(str, numbers)]
            command += [*map(str, (driven, sent, found)), *roms]
            try:
                done = self._processes.run(command, self._run, limit)
            except subprocess.TimeoutExpired:
                raise _difference(
                    f"the simulation hangs: it did not end within {limit:.0f} s; files: {self._run}"
                ) from None
            width = COUNTS_BYTES + job.results.shape[1]
            width += job.writeback.shape[1] if activations else 0
            empty = np.zeros(0, np.uint8) if done.returncode else np.fromfile(found, np.uint8)
            return done, empty.reshape(-1, width)


def _compare(
    job: Job, records: npt.NDArray[np.uint8], labels: list[str], activations: bool
) -> None:
    """Compare the records of a batch with the expected values; runs have labels."""
    counts = records[:, :COUNTS_BYTES].copy().view("<u4")
    results = records[:, COUNTS_BYTES : COUNTS_BYTES + job.results.shape[1]]
    written = records[:, COUNTS_BYTES + results.shape[1] :]
    for run, (counted, counter) in zip(labels, counts.tolist(), strict=True):
        if counter != counted:
            raise _difference(f"{run}: the engine counted {counter} cycles, the bench {counted}")
        if counted != job.cycles:
            raise _difference(f"{run}: {counted} cycles, predicted {job.cycles}")
    if activations:
        expected = job.writeback
        differs = (written != expected) & (expected != ANYTHING)
        _equal("activation", differs, expected, written, labels)
    _equal("result", results != job.results, job.results, results, labels)


def _equal(
    what: str,
    differs: npt.NDArray[np.bool_],
    expected: npt.NDArray[Any],
    found: npt.NDArray[np.uint8],
    labels: list[str],
) -> None:
    if differs.any():
        run, at = (int(index) for index in np.argwhere(differs)[0])
        raise _difference(
            f"{labels[run]}: {what} {at} is {found[run, at]} instead of {expected[run, at]}"
        )


def _difference(reason: str) -> SqhwError:
    return SqhwError(f"the RTL differs from the simulator under cxxrtl; {reason}")
