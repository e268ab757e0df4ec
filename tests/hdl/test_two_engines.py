"""Two engines of other configurations and networks in one design and one simulation folder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner
from hdl.support import in_four, random_program
from strategies import random_images

from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import DEFAULT_NAME, top_module
from sqhw.verify.job import job_of
from sqhw.verify.runner import WAIVERS
from sqhw.verify.tools import has_icarus, verilator_environment

ENGINES = {
    "a": EngineConfig(lanes=4, bank_depth=256, groups=True),
    "b": EngineConfig(lanes=2, bank_depth=512, acc_bits=26, max_gap_bits=4),
}
LIMITS = {
    "a": {"residuals": False},
    "b": {"residuals": False, "groups": False, "max_gap_bits": 4},
}
FRAMES = 2


def write_engines(names, folder) -> dict[str, str]:
    """Write both engines, each in a folder of its own, and their files into one; return tops."""
    job = {"limit": 0}
    for side, name in names.items():
        engine = ENGINES[side]
        program = random_program(3, engine, max_size=6, max_layers=3, **LIMITS[side])
        pieces = in_four(engine, program.depths) if side == "b" else None
        own = folder / side
        write_rtl(engine, program.depths, own, pieces=pieces, name=name)
        write_rom(program, own, pieces, name)
        for kind in ("rtl", "rom"):
            assert json.loads((own / f"{kind}.json").read_text())["name"] == name
        for path in own.glob("*.*"):
            target = folder / path.name
            assert path.suffix == ".json" or not target.exists(), path.name
            shutil.copy(path, target)
        expected = job_of(program, random_images(program.network, 5, FRAMES))
        job[f"pixels_{side}"], job[f"results_{side}"] = expected.pixels, expected.results
        # A result comes every few cycles.
        job["limit"] += FRAMES * (expected.cycles + sum(expected.sizes) * 50 + 1000)
    np.savez(folder / "job.npz", **job)
    return {f"ENGINE_{side.upper()}": top_module(name) for side, name in names.items()}


def run(simulator, names, folder) -> None:
    """Build both engines at once and run them at the same time."""
    tops = write_engines(names, folder)
    bench = Path(__file__).with_name("two_engines.v")
    verilator = simulator == "verilator"
    waivers = folder / "waivers.vlt"
    waivers.write_text(WAIVERS)
    runner = get_runner(simulator)
    runner.build(
        sources=[waivers] * verilator + [bench, *sorted(folder.glob("*.v"))],
        hdl_toplevel="two_engines",
        build_dir=folder / "build",
        defines=tops,
        build_args=["-CFLAGS", "-O0"] * verilator,  # a short run: compiling takes the time
        timescale=("1ns", "1ps"),
        log_file=folder / "build.log",
    )
    results = runner.test(
        hdl_toplevel="two_engines",
        test_module="hdl.two_engines_bench",
        build_dir=folder / "build",
        test_dir=folder,
        log_file=folder / "test.log",
    )
    assert get_results(results) == (1, 0), folder / "test.log"


@pytest.mark.skipif(not has_icarus(), reason="Icarus is not installed: apt-get install iverilog")
def test_icarus(tmp_path):
    run("icarus", {"a": "cam", "b": "mic"}, tmp_path)


def test_verilator(tmp_path, monkeypatch):
    """One of them has the name that engines have by default."""
    for variable, value in verilator_environment(tmp_path / "tools", optimize=False).items():
        monkeypatch.setenv(variable, value)
    run("verilator", {"a": DEFAULT_NAME, "b": "mic"}, tmp_path)
