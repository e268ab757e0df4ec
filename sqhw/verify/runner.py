"""Runs the generated RTL in a simulator under cocotb, against the bit-accurate simulator."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.atomic import make_folder
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError, unknown_name
from sqhw.manifest import check_same_pieces
from sqhw.network import INPUT
from sqhw.program import Program
from sqhw.rom_pieces import Piece, piece_names
from sqhw.seeds import check_seed
from sqhw.sim.simulator import Simulator
from sqhw.verify.expected import writeback
from sqhw.verify.tools import has_icarus, verilator_environment

SIMULATORS = ("verilator", "icarus")
BENCH_TOP = "sqhw_bench"
SOURCES = ("sqhw_engine.v", "sqhw_rom.v", "sqhw_ram.v")
#: Amaranth's Verilog leaves widening to IEEE 1364 and gives defaults before a case statement.
WAIVERS = """`verilator_config
lint_off -rule WIDTHEXPAND
lint_off -rule WIDTHTRUNC
lint_off -rule CASEINCOMPLETE
"""


@dataclass(frozen=True)
class RtlReport:
    """What an RTL run has shown.

    Parameters
    ----------
    simulator : str
        ``verilator`` or ``icarus``.
    images : int
        Images run; all results equal the simulator's.
    activations : int
        Activations compared, all layers; all equal.
    cycles : int
        Cycles measured for each run, of one image or of a batch, equal to the prediction.
    """

    simulator: str
    images: int
    activations: int
    cycles: int


class RtlBench:
    """The RTL built once for a simulator; it runs any network whose ROM images it is given.

    Parameters
    ----------
    rtl : path
        Folder with the Verilog files that `sqhw.build.write_rtl` wrote.
    work : path
        Folder for the simulator's files.
    simulator : str
        ``verilator`` or ``icarus``.
    requantizers : int
        Of the engine's configuration: the bytes that it writes back a cycle.

    Raises
    ------
    SqhwError
        If the simulator or a Verilog file is missing, or the RTL does not build; the message
        names the log.
    """

    def __init__(
        self, rtl: Path, work: Path, simulator: str = "verilator", requantizers: int = 1
    ) -> None:
        if simulator not in SIMULATORS:
            raise unknown_name("simulator", simulator, (*SIMULATORS, "cxxrtl"))
        if simulator == "icarus" and not has_icarus():
            raise SqhwError("Icarus Verilog is not installed; run: apt-get install iverilog")
        for name in SOURCES:
            if not (rtl / name).is_file():
                raise SqhwError(f"{rtl / name} is missing; write it with `sqhw rtl`")
        self.simulator = simulator
        self._rtl = rtl
        self._parameters = {"WB_BITS": 8 * requantizers}
        writable = "rom_write_en" in (rtl / SOURCES[0]).read_text()
        self._defines = {"WRITABLE": 1} if writable else {}
        self._run = (work / simulator).absolute()
        self._build = self._run / "build"
        self._environment: Mapping[str, str] = {}
        shutil.rmtree(self._run, ignore_errors=True)
        make_folder(self._build)
        verilog = [(rtl / name).absolute() for name in SOURCES]
        bench = self._run / "sqhw_bench.v"
        bench.write_text(files("sqhw.verify").joinpath("sqhw_bench.v").read_text())
        verilog.append(bench)
        arguments: list[str] = []
        if simulator == "verilator":
            self._environment = verilator_environment(work / "tools")
            waivers = self._run / "waivers.vlt"
            waivers.write_text(WAIVERS)
            verilog.insert(0, waivers)
            arguments = ["--x-initial", "unique"]  # what is not reset or written is random
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
                    f"{self.simulator} does not build the RTL ({error}); see {log}"
                ) from None

    def run(
        self, program: Program, images: npt.NDArray[Any], roms: Path, seed: int = 0
    ) -> RtlReport:
        """Run images and compare activations, results and cycles with simulator and schedule.

        Parameters
        ----------
        program : Program
            What the ROM images were made from.
        images : ndarray of int, shape (images, channels, height, width)
            A multiple of the program's batch.
        roms : path
            Folder with the ROM images.
        seed : int
            Of the pauses on the streams.

        Raises
        ------
        SqhwError
            If a ROM image is missing, ROM images or Verilog were written for another engine
            configuration, or the RTL differs; the message says where and names the log.
        """
        check_seed(seed)
        pieces = check_job(program, images, self._rtl, roms)
        for rom, parts in pieces.items():
            for name in (f"{name}.hex" for name in piece_names(rom, parts)):
                if not (roms / name).is_file():
                    raise SqhwError(f"{roms / name} is missing; write it with `sqhw rom`")
                shutil.copy(roms / name, self._run / name)
        job = expectations(program, images)
        np.savez(self._run / "job.npz", seed=seed, batch=program.batch, **job)
        log, report = self._run / "simulation.log", self._run / "report.json"
        report.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        if not self._simulate(log, seed) or not report.is_file():
            raise SqhwError(
                f"the RTL differs from the simulator under {self.simulator}; {_reason(log)}"
            )
        found = json.loads(report.read_text())
        return RtlReport(self.simulator, found["images"], found["activations"], found["cycles"])

    def _random(self, seed: int) -> list[str]:
        """Return the arguments that give undefined bits a random value."""
        if self.simulator != "verilator":
            return []
        return ["+verilator+rand+reset+2", f"+verilator+seed+{seed % 2**31 + 1}"]

    def _simulate(self, log: Path, seed: int) -> bool:
        """Run the bench; return whether it ran and passed."""
        from cocotb_tools.check_results import get_results

        with _environment(self._environment):
            try:
                results = self._runner.test(
                    hdl_toplevel=BENCH_TOP,
                    test_module="sqhw.verify.bench",
                    build_dir=self._build,
                    test_dir=self._run,
                    plusargs=self._random(seed),
                    log_file=log,
                )
                return get_results(results) == (1, 0)
            except (SystemExit, RuntimeError, OSError):
                return False


def check_job(
    program: Program, images: npt.NDArray[Any], rtl: Path, roms: Path
) -> dict[str, tuple[Piece, ...]]:
    """Check that images, ROM images and Verilog suit a program; return the pieces of the ROMs.

    Raises
    ------
    SqhwError
        If they do not; the message names the number or the folder.
    """
    if len(images) == 0:
        raise SqhwError("there is no image to run; give at least one")
    if len(images) % program.batch:
        raise SqhwError(
            f"the program runs {program.batch} images at a time; {len(images)} is no multiple"
        )
    return check_same_pieces(rtl, roms, program.engine)


def expectations(program: Program, images: npt.NDArray[Any]) -> dict[str, Any]:
    """Return what goes into the engine and what must come out.

    Parameters
    ----------
    program : Program
    images : ndarray of int, shape (images, channels, height, width)

    Returns
    -------
    dict
        ``pixels`` and ``results``, ndarrays of uint8 of shape (runs, bytes); ``writeback``,
        int16 of shape (runs, bytes), see `sqhw.verify.expected`; ``cycles`` of a run.
    """
    tensors = Simulator(program.network).run(images)
    last = program.network.layers[-1].name
    batch = program.batch
    streams = [
        writeback(
            program.tilings,
            {name: tensor[start : start + batch] for name, tensor in tensors.items()},
        )
        for start in range(0, len(images), batch)
    ]
    return {
        "pixels": _in_stream_order(tensors[INPUT], batch),
        "writeback": np.stack(streams),
        "results": _in_stream_order(tensors[last], batch),
        "cycles": schedule(program.network, program.engine, batch).cycles,
    }


def _in_stream_order(maps: npt.NDArray[Any], batch: int) -> npt.NDArray[np.uint8]:
    """Return maps (n, c, h, w) as bytes (n / batch, batch * h * w * c), pixel by pixel."""
    runs = maps.transpose(0, 2, 3, 1).reshape(len(maps) // batch, -1)
    return runs.astype(np.int64).astype(np.uint8)  # two's complement


def _reason(log: Path) -> str:
    """Return the assertion of the bench, or where to look."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    found = [line for line in text.splitlines() if "AssertionError:" in line]
    reason = found[-1].split("AssertionError:", 1)[1].strip() if found else "no result"
    return f"{reason}; log: {log}"


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
