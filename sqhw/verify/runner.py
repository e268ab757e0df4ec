"""Runs the generated RTL in a simulator under cocotb, against the bit-accurate simulator."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
import numpy.typing as npt

from sqhw.atomic import make_folder
from sqhw.compiler.program import Program
from sqhw.environment.extras import need_package
from sqhw.errors import SqhwError, unknown_name
from sqhw.export.manifest import cores_of, name_of
from sqhw.files.own_folder import empty_own
from sqhw.machine.naming import image_name, top_module
from sqhw.machine.rom_pieces import piece_names
from sqhw.names import SIMULATORS
from sqhw.seeds import check_seed
from sqhw.verify.job import check_job, job_of
from sqhw.verify.sources import BENCH_TOP, check_sources, copy_bench, copy_sources
from sqhw.verify.stimulus import most_cycles, reset_count, stimulus
from sqhw.verify.tool_log import said
from sqhw.verify.tools import has_icarus, verilator_environment
from sqhw.verify.waits import SECONDS
from sqhw.verify.work_folder import check_work_path

#: Time limit of a simulator: seconds to start, then the fewest clock cycles a second.
START_SECONDS, SLOWEST = 300, 100
#: Configuration of Verilator. The warnings are off because Amaranth's Verilog leaves widening to
#: IEEE 1364 and gives defaults before a case statement. Python reads and sets signals of the top.
CONFIGURATION = """`verilator_config
lint_off -rule WIDTHEXPAND
lint_off -rule WIDTHTRUNC
lint_off -rule CASEINCOMPLETE
public_flat_rw -module "{top}" -var "*"
"""


@dataclass(frozen=True)
class RtlReport:
    """The result of an RTL run.

    Parameters
    ----------
    simulator : str
        ``verilator`` or ``icarus``.
    images : int
        Images run; all results equal the simulator's.
    activations : int
        Activations compared in all layers; all are equal.
    cycles : int
        Cycles measured for each run, of one image or of a batch, equal to the prediction.
    resets : int
        Frames that ended in a reset at a random moment; the run after each was right.
    """

    simulator: str
    images: int
    activations: int
    cycles: int
    resets: int


class RtlBench:
    """The RTL built once for a simulator; it runs any network whose ROM images it is given.

    Parameters
    ----------
    rtl : path
        Folder with the Verilog files that `sqhw.export.build.write_rtl` wrote.
    work : path
        Folder for the simulator's files.
    simulator : str
        ``verilator`` or ``icarus``.
    requantizers : int
        Bytes that the engine writes back a cycle, from its configuration.
    optimize : bool
        Whether Verilator's code is compiled for speed; see `verilator_environment`.

    Raises
    ------
    SqhwError
        If the simulator or a Verilog file is missing, the engine has several cores, or the RTL does
        not build; the message names the log.
    """

    def __init__(
        self,
        rtl: Path,
        work: Path,
        simulator: str = "verilator",
        requantizers: int = 1,
        *,
        optimize: bool = True,
    ) -> None:
        if simulator not in SIMULATORS or simulator == "cxxrtl":
            raise unknown_name("simulator", simulator, SIMULATORS)
        need_package("cocotb", f"verification with {simulator}")
        check_work_path(work, simulator)
        if simulator == "icarus" and not has_icarus():
            raise SqhwError("Icarus Verilog is not installed; run: apt-get install iverilog")
        sources = check_sources(rtl)
        cores = cores_of(rtl)
        if cores > 1:
            raise SqhwError(
                f"the bench of {simulator} drives one core, the Verilog in {rtl} has {cores}; take "
                "--simulator cxxrtl"
            )
        self._name = name_of(rtl)
        self.simulator = simulator
        self._rtl = rtl
        self._parameters = {"WB_BITS": 8 * requantizers}
        self._defines: dict[str, object] = {"ENGINE": top_module(self._name)}
        if "rom_write_en" in (rtl / sources[0]).read_text():
            self._defines["WRITABLE"] = 1
        self._run = empty_own((work / simulator).absolute(), "--work")
        self._build = self._run / "build"
        self._environment: Mapping[str, str] = {}
        make_folder(self._build)
        verilog = [*copy_sources(rtl, self._run), copy_bench(self._run)]
        arguments: list[str] = []
        if simulator == "verilator":
            self._environment = verilator_environment(self._run / "tools", optimize=optimize)
            verilog.insert(0, write_configuration(BENCH_TOP, self._run))
            arguments = verilator_options(optimize=optimize)
        self._build_verilog(verilog, arguments)

    def _build_verilog(self, verilog: list[Path], arguments: list[str]) -> None:
        from cocotb_tools.runner import get_runner

        log = self._run / "build.log"
        with _environment(self._environment):
            self._runner = get_runner(self.simulator)
            try:
                self._runner.build(
                    sources=verilog,
                    hdl_toplevel=BENCH_TOP,
                    build_dir=self._build,
                    always=True,
                    parameters=self._parameters,
                    defines=self._defines,
                    timescale=("1ns", "1ps"),
                    build_args=arguments,
                    log_file=log,
                )
            except (SystemExit, RuntimeError, OSError) as error:
                raise SqhwError(
                    f"{self.simulator} does not build the RTL ({error}), {said(log)}; see {log}"
                ) from None

    def run(
        self, program: Program, images: npt.NDArray[Any], roms: Path, seed: int = 0
    ) -> RtlReport:
        """Run images and compare activations, results and cycles with simulator and schedule.

        Parameters
        ----------
        program : Program
            Program that the ROM images were made from.
        images : ndarray of int, shape (images, channels, height, width)
            A multiple of the program's batch.
        roms : path
            Folder with the ROM images.
        seed : int
            Seed of the pauses on the streams.

        Raises
        ------
        SqhwError
            If a ROM image is missing, ROM images or Verilog were written for another engine
            configuration, or the RTL differs; the message says where and names the log.
        """
        check_seed(seed)
        pieces = check_job(program, images, self._rtl, roms)
        for rom, parts in pieces.items():
            for piece in piece_names(image_name(self._name, rom), parts):
                name = f"{piece}.hex"
                if not (roms / name).is_file():
                    raise SqhwError(f"{roms / name} is missing; write it with `sqhw rom`")
                shutil.copy(roms / name, self._run / name)
        job = job_of(program, images)
        frames = stimulus(seed, len(job.pixels), *job.sizes, job.waits)
        np.savez(
            self._run / "job.npz",
            seed=np.uint64(seed),
            frames=frames,
            pixels=job.pixels,
            results=job.results,
            writeback=job.writeback,
            cycles=job.cycles,
            waits=astuple(job.waits),
        )
        log, report = self._run / "simulation.log", self._run / "report.json"
        report.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        limit = START_SECONDS + most_cycles(frames, *job.sizes, job.waits) // SLOWEST
        begin = time.monotonic()
        passed = self._simulate(log, seed, limit)
        try:
            found = json.loads(report.read_text()) if passed else None
        except (OSError, ValueError):
            found = None
        if found is None:
            hangs = time.monotonic() - begin >= limit
            reason = f"the simulation hangs: it did not end within {limit} s" if hangs else None
            raise SqhwError(
                f"the RTL differs from the simulator under {self.simulator}; "
                f"{reason or _reason(log)}; log: {log}"
            )
        return RtlReport(
            self.simulator,
            images=found["runs"] * program.batch,
            activations=found["activations"],
            cycles=found["cycles"],
            resets=reset_count(frames),
        )

    def _random(self, seed: int) -> list[str]:
        """Return the arguments that give undefined bits a random value."""
        if self.simulator != "verilator":
            return []
        return ["+verilator+rand+reset+2", f"+verilator+seed+{seed % 2**31 + 1}"]

    def _simulate(self, log: Path, seed: int, limit: int) -> bool:
        """Run the bench, for some seconds at most; return whether it ran and passed."""
        from cocotb_tools.check_results import get_results

        with _environment(self._environment):
            try:
                results = self._runner.test(
                    hdl_toplevel=BENCH_TOP,
                    test_module="sqhw.verify.bench",
                    build_dir=self._build,
                    test_dir=self._run,
                    plusargs=self._random(seed),
                    extra_env={SECONDS: str(limit)},
                    log_file=log,
                )
                return get_results(results) == (1, 0)
            except (SystemExit, RuntimeError, OSError, ParseError):  # no results, or a part of them
                return False


def write_configuration(top: str, folder: Path) -> Path:
    """Write Verilator's configuration file for a design, and return its path.

    Parameters
    ----------
    top : str
        Name of the top module, whose signals a bench reads and sets.
    folder : path
    """
    path = folder / "verilator.vlt"
    path.write_text(CONFIGURATION.format(top=top))
    return path


def verilator_options(*, optimize: bool = True) -> list[str]:
    """Return the options of Verilator for a bench.

    Registers that are neither reset nor written are random. Signals below the top are not
    accessible: cocotb's runner asks for all of them, which triples the C++.

    Parameters
    ----------
    optimize : bool
        Whether the C++ is cut into files that are compiled at the same time; see
        `verilator_environment`. One file takes less processor time, as the headers are read once.
    """
    split = [] if optimize else ["--output-split", "0"]
    return ["--x-initial", "unique", "--no-public-flat-rw", *split]


def _reason(log: Path) -> str:
    """Return the message of the bench's assertion."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    found = [line for line in text.splitlines() if "AssertionError:" in line]
    return found[-1].split("AssertionError:", 1)[1].strip() if found else "no result"


@contextmanager
def _environment(additions: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables and put the old ones back."""
    before = dict(os.environ)
    os.environ.update(additions)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
