"""Runs the generated RTL on thousands of images, as C++ that yosys' CXXRTL back end writes."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.atomic import atomic_write_text, make_folder
from sqhw.errors import SqhwError
from sqhw.export.readmemh import read_readmemh
from sqhw.program import Program
from sqhw.rom_pieces import piece_names
from sqhw.rtl.rom import memory_names
from sqhw.seeds import check_seed
from sqhw.verify.expected import ANYTHING
from sqhw.verify.runner import SOURCES, check_job, expectations
from sqhw.verify.tools import cxxrtl_compiler

HARNESS = "cxxrtl_harness.cc"
HEADER = "cxxrtl_plain.h"
TRANSLATE = "cxxrtl_translate.py"
IMAGE = re.compile(r'\.FILE\("(\w+\.hex)"\)')
#: CXXRTL's assertions are off because the engine may read ahead beyond the end of a ROM. With
#: ``-march=native`` the code is no faster, and it would run on this machine only; vectors gathered
#: from scattered registers make it slower.
FLAGS = ("-std=c++17", "-DNDEBUG", "-fno-tree-slp-vectorize")
#: Images that a process runs, a multiple of any batch: bounds the memory, not the result.
CHUNK = 64
COUNTS_BYTES = 8
#: The harness ends so when the engine breaks a rule, or when its job is no good; it says why.
BROKEN, REFUSED = 3, 2


@dataclass(frozen=True)
class VolumeReport:
    """What a volume run has shown.

    Parameters
    ----------
    simulator : str
        ``cxxrtl``.
    images : int
        Images run; all results equal the simulator's.
    activations : int
        Activations compared, all layers; all equal. 0 if only results were.
    cycles : int
        Cycles measured for each run, equal to the prediction.
    clock_cycles : int
        Clock cycles of all runs, with those that take pixels and give results.
    seconds : float
        Processor time of the RTL, summed over the processes (unit: s).
    """

    simulator: str
    images: int
    activations: int
    cycles: int
    clock_cycles: int
    seconds: float


class VolumeBench:
    """The RTL compiled once; it runs any network whose ROM images it is given.

    Parameters
    ----------
    rtl : path
        Folder with the Verilog files that `sqhw.build.write_rtl` wrote.
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

    def __init__(self, rtl: Path, work: Path, optimize: int = 3) -> None:
        self._rtl = rtl
        self._run = (work / "cxxrtl").absolute()
        shutil.rmtree(self._run, ignore_errors=True)
        make_folder(self._run)
        for name in SOURCES:
            if not (rtl / name).is_file():
                raise SqhwError(f"{rtl / name} is missing; write it with `sqhw rtl`")
            shutil.copy(rtl / name, self._run / name)
        # yosys reads empty images, the harness fills the ROMs
        for name in IMAGE.findall((rtl / SOURCES[0]).read_text()):
            atomic_write_text(self._run / name, "")
        for name in (HARNESS, HEADER, TRANSLATE):
            atomic_write_text(self._run / name, files("sqhw.verify").joinpath(name).read_text())
        runtime = _yosys_folder() / "share/include/backends/cxxrtl/runtime"
        compiler = cxxrtl_compiler()
        self._command("yosys", [sys.executable, TRANSLATE, *SOURCES])
        flags = [*FLAGS, f"-O{optimize}", f"-I{runtime}", "-I."]
        self._command("compiler", [compiler, *flags, HARNESS, "-o", "harness"])

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
            raise SqhwError(f"the RTL does not build for CXXRTL: {name} fails ({code}); see {log}")

    def run(
        self,
        program: Program,
        images: npt.NDArray[Any],
        roms: Path,
        seed: int = 0,
        activations: bool = True,
        jobs: int = 1,
        progress: Callable[[int], None] = lambda done: None,
    ) -> VolumeReport:
        """Run images and compare results, cycles and activations with simulator and schedule.

        Parameters
        ----------
        program : Program
            What the ROM images were made from.
        images : ndarray of int, shape (images, channels, height, width)
        roms : path
            Folder with the ROM images.
        seed : int
            Of the pauses on the streams and of what memories hold at first.
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
        pieces = check_job(program, images, self._rtl, roms)
        if jobs < 1:
            raise SqhwError(f"jobs must be 1 or more, not {jobs}")
        files = []
        for rom, parts in pieces.items():
            memories = zip(memory_names(rom, parts), piece_names(rom, parts), parts, strict=True)
            for memory, name, piece in memories:
                read_readmemh(roms / f"{name}.hex", name, piece.bits)
                shutil.copy(roms / f"{name}.hex", self._run)
                files.append(f"{memory}={name}.hex")
        reports = []
        done = 0
        with ThreadPoolExecutor(jobs) as pool:
            for report in pool.map(
                lambda first: self._batch(
                    program, files, images[first : first + CHUNK], first, seed, activations
                ),
                range(0, len(images), CHUNK),
            ):
                reports.append(report)
                done += report.images
                progress(done)
        return VolumeReport(
            "cxxrtl",
            images=done,
            activations=sum(report.activations for report in reports),
            cycles=reports[0].cycles,
            clock_cycles=sum(report.clock_cycles for report in reports),
            seconds=sum(report.seconds for report in reports),
        )

    def _batch(
        self,
        program: Program,
        files: list[str],
        images: npt.NDArray[Any],
        first: int,
        seed: int,
        activations: bool,
    ) -> VolumeReport:
        """Run some of the images in a process of their own, from reset."""
        job = expectations(program, images)
        pixels, results, writeback = job["pixels"], job["results"], job["writeback"]
        source, found = self._run / f"pixels{first}.bin", self._run / f"found{first}.bin"
        pixels.tofile(source)
        run = first // program.batch
        numbers = [seed, run, len(pixels), pixels.shape[1], results.shape[1]]
        numbers += [writeback.shape[1], job["cycles"], int(activations)]
        command = [str(self._run / "harness"), *map(str, numbers), str(source), str(found)]
        command += files
        done = subprocess.run(command, cwd=self._run, capture_output=True, text=True, check=False)
        if done.returncode == BROKEN:
            raise _difference(f"{done.stderr.strip()}; files: {self._run}")
        if done.returncode == REFUSED:
            raise SqhwError(f"{done.stderr.strip()}; files: {self._run}")
        if done.returncode:
            raise SqhwError(f"{self._run / 'harness'} ends with code {done.returncode}")
        width = COUNTS_BYTES + results.shape[1] + (writeback.shape[1] if activations else 0)
        records = np.fromfile(found, dtype=np.uint8).reshape(len(pixels), width)
        _compare(job, records, run, activations)
        source.unlink()
        found.unlink()
        clock_cycles, seconds = done.stdout.split()
        return VolumeReport(
            "cxxrtl",
            images=len(images),
            activations=int((writeback != ANYTHING).sum()) if activations else 0,
            cycles=job["cycles"],
            clock_cycles=int(clock_cycles),
            seconds=float(seconds),
        )


def _compare(
    job: dict[str, Any], records: npt.NDArray[np.uint8], first: int, activations: bool
) -> None:
    """Compare the records of a batch with what must come out."""
    counts = records[:, :COUNTS_BYTES].copy().view("<u4")
    results = records[:, COUNTS_BYTES : COUNTS_BYTES + job["results"].shape[1]]
    written = records[:, COUNTS_BYTES + results.shape[1] :]
    for index, (counted, counter) in enumerate(counts.tolist()):
        if counter != counted:
            raise _difference(
                f"run {first + index}: the engine counted {counter} cycles, the bench {counted}"
            )
        if counted != job["cycles"]:
            raise _difference(f"run {first + index}: {counted} cycles, predicted {job['cycles']}")
    if activations:
        expected = job["writeback"]
        _equal(
            "activation", (written != expected) & (expected != ANYTHING), expected, written, first
        )
    _equal("result", results != job["results"], job["results"], results, first)


def _equal(
    what: str,
    differs: npt.NDArray[np.bool_],
    expected: npt.NDArray[Any],
    found: npt.NDArray[np.uint8],
    first: int,
) -> None:
    if differs.any():
        run, at = (int(index) for index in np.argwhere(differs)[0])
        raise _difference(
            f"run {first + run}: {what} {at} is {found[run, at]} instead of {expected[run, at]}"
        )


def _difference(reason: str) -> SqhwError:
    return SqhwError(f"the RTL differs from the simulator under cxxrtl; {reason}")


def _yosys_folder() -> Path:
    spec = importlib.util.find_spec("pyosys")
    if spec is None or not spec.submodule_search_locations:
        raise SqhwError("the Python package pyosys is not installed; run: pip install sqhw[rtl]")
    return Path(next(iter(spec.submodule_search_locations)))
