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

from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError, unknown_name
from sqhw.program import Program
from sqhw.sim.simulator import Simulator
from sqhw.verify.expected import writeback
from sqhw.verify.tools import has_icarus, verilator_environment

SIMULATORS = ("verilator", "icarus")
BENCH_TOP = "sqhw_bench"
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
        Cycles measured for each image, equal to the prediction.
    """

    simulator: str
    images: int
    activations: int
    cycles: int


def verify_rtl(
    program: Program,
    images: npt.NDArray[Any],
    rtl: Path,
    work: Path,
    simulator: str = "verilator",
    seed: int = 0,
) -> RtlReport:
    """Run images through the RTL and compare activations, results and cycles.

    Parameters
    ----------
    program : Program
        What the ROM images were made from.
    images : ndarray of uint8, shape (images, channels, height, width)
    rtl : path
        Folder with the Verilog files and the ROM images.
    work : path
        Folder for the simulator's files.
    simulator : str
        ``verilator`` or ``icarus``.
    seed : int
        Of the pauses on the streams.

    Raises
    ------
    SqhwError
        If the simulator is missing, a file is missing, the RTL does not build, or it differs;
        the last names the log.
    """
    if simulator not in SIMULATORS:
        raise unknown_name("simulator", simulator, SIMULATORS)
    if simulator == "icarus" and not has_icarus():
        raise SqhwError("Icarus Verilog is not installed; run: apt-get install iverilog")
    if len(images) == 0:
        raise SqhwError("there is no image to run; give at least one")
    names = [f"{image.name}.hex" for image in program.images]
    sources = ["sqhw_engine.v", "sqhw_rom.v", "sqhw_ram.v"]
    for name in names + sources:
        if not (rtl / name).is_file():
            raise SqhwError(f"{rtl / name} is missing; write it with `sqhw rtl` and `sqhw rom`")
    run = (work / simulator).absolute()
    build = run / "build"
    shutil.rmtree(run, ignore_errors=True)
    build.mkdir(parents=True)
    for name in names:
        shutil.copy(rtl / name, run / name)
    _write_job(program, images, run / "job.npz", seed)

    environment: Mapping[str, str] = {}
    arguments: list[str] = []
    verilog: list[Path] = [(rtl / name).absolute() for name in sources]
    bench = run / "sqhw_bench.v"
    bench.write_text(files("sqhw.verify").joinpath("sqhw_bench.v").read_text())
    verilog.append(bench)
    if simulator == "verilator":
        environment = verilator_environment(work / "tools")
        waivers = run / "waivers.vlt"
        waivers.write_text(WAIVERS)
        verilog.insert(0, waivers)
        arguments = ["-O3"]
    log = run / "simulation.log"
    with _environment(environment):
        passed = _run(simulator, verilog, arguments, build, run, log)
    report = run / "report.json"
    if not passed or not report.is_file():
        raise SqhwError(f"the RTL differs from the simulator under {simulator}; {_reason(log)}")
    found = json.loads(report.read_text())
    return RtlReport(simulator, found["images"], found["activations"], found["cycles"])


def _write_job(program: Program, images: npt.NDArray[Any], path: Path, seed: int) -> None:
    tensors = Simulator(program.network).run(images)
    last = program.network.layers[-1].name
    streams = [
        writeback(program.tilings, {name: tensor[index] for name, tensor in tensors.items()})
        for index in range(len(images))
    ]
    np.savez(
        path,
        seed=seed,
        pixels=images.transpose(0, 2, 3, 1).reshape(len(images), -1),
        writeback=np.stack(streams),
        results=tensors[last]
        .transpose(0, 2, 3, 1)
        .reshape(len(images), -1)
        .astype(np.int64)
        .astype(np.uint8),
        cycles=schedule(program.network, program.engine).cycles,
    )


def _run(
    simulator: str, verilog: list[Path], arguments: list[str], build: Path, run: Path, log: Path
) -> bool:
    """Build and run; return whether the bench ran and passed."""
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    runner = get_runner(simulator)
    try:
        runner.build(
            sources=verilog,
            hdl_toplevel=BENCH_TOP,
            build_dir=build,
            always=True,
            timescale=("1ns", "1ps"),
            build_args=arguments,
            log_file=run / "build.log",
        )
    except (SystemExit, RuntimeError, OSError) as error:
        raise SqhwError(
            f"{simulator} does not build the RTL ({error}); see {run / 'build.log'}"
        ) from None
    try:
        results = runner.test(
            hdl_toplevel=BENCH_TOP,
            test_module="sqhw.verify.bench",
            build_dir=build,
            test_dir=run,
            log_file=log,
        )
        tests, failed = get_results(results)
    except (SystemExit, RuntimeError, OSError):
        return False
    return tests == 1 and failed == 0


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
