"""Two engines of different configurations and networks in one design and one simulation folder.

The design is Verilog with two engines written separately, or an Amaranth module with both.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner
from hdl.support import in_four, random_program
from strategies import random_images

from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import rom_widths
from sqhw.machine.naming import DEFAULT_NAME, top_module
from sqhw.machine.rom_pieces import whole
from sqhw.rtl.emit import component_verilog
from sqhw.rtl.engine import Engine
from sqhw.verify.job import job_of
from sqhw.verify.runner import verilator_options, write_configuration
from sqhw.verify.tools import has_icarus, verilator_environment

ENGINES = {
    "a": EngineConfig(lanes=4, bank_depth=256, groups=True),
    "b": EngineConfig(lanes=2, bank_depth=512, acc_bits=26, max_gap_bits=4),
}
LIMITS = {
    "a": {"residuals": False},
    "b": {"residuals": False, "groups": False, "max_gap_bits": 4},
}
#: Names of the engines; one is the default.
NAMES = {"a": DEFAULT_NAME, "b": "mic"}
FRAMES = 2


def in_one(engine, depths):
    return {rom: whole(depths[rom], width) for rom, width in rom_widths(engine).items()}


#: Functions that cut ROMs, by engine: one piece each, and four pieces each.
PIECES = {"a": in_one, "b": in_four}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the folder of the files of both engines, and their ROMs."""
    folder = tmp_path_factory.mktemp("engines")
    return folder, write_engines(folder)


def write_engines(folder):
    """Write both engines, each into its own folder, and all files into one; return the ROMs."""
    job, roms = {"limit": 0}, {}
    for side, name in NAMES.items():
        engine = ENGINES[side]
        program = random_program(3, engine, max_size=6, max_layers=3, **LIMITS[side])
        roms[side] = pieces = PIECES[side](engine, program.depths)
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
    return roms


class TwoEngines(wiring.Component):
    """Both engines in one Amaranth module, with the ports of ``two_engines.v``."""

    def __init__(self, engines):
        self._engines = engines
        ports = {
            "start": In(1), "ready": Out(1), "in_valid": In(1), "in_data": In(8),
            "in_ready": Out(1), "out_valid": Out(1), "out_data": Out(8), "out_last": Out(1),
        }  # fmt: skip
        self._names = ports
        super().__init__(
            {f"{side}_{name}": port for side in engines for name, port in ports.items()}
        )

    def elaborate(self, platform):
        m = Module()
        for side, engine in self._engines.items():
            m.submodules[side] = engine
            m.d.comb += engine.out_ready.eq(1)
            for name, member in self._names.items():
                port, inner = getattr(self, f"{side}_{name}"), getattr(engine, name)
                m.d.comb += inner.eq(port) if member.flow == In else port.eq(inner)
        return m


def write_one_design(roms, folder) -> list[Path]:
    """Write both engines as one Amaranth module; return its Verilog and that of the memories."""
    engines = {side: Engine(ENGINES[side], roms[side], name) for side, name in NAMES.items()}
    top = folder / "design.v"
    top.write_text(component_verilog(TwoEngines(engines), "two_engines"))
    leaves = [folder / f"{name}_{leaf}.v" for name in NAMES.values() for leaf in ("rom", "ram")]
    return [top, *leaves]


def run(simulator, written, folder, *, one_design=False) -> None:
    """Build both engines at once and run them at the same time."""
    files, roms = written
    shutil.copytree(files, folder, dirs_exist_ok=True)
    tops = {f"ENGINE_{side.upper()}": top_module(name) for side, name in NAMES.items()}
    sources = [Path(__file__).with_name("two_engines.v"), *sorted(folder.glob("*.v"))]
    if one_design:
        sources = write_one_design(roms, folder)
    verilator = simulator == "verilator"
    if verilator:
        sources.insert(0, write_configuration("two_engines", folder))
    runner = get_runner(simulator)
    runner.build(
        sources=sources,
        hdl_toplevel="two_engines",
        build_dir=folder / "build",
        defines=tops,
        build_args=verilator_options(optimize=False) if verilator else [],
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
@pytest.mark.parametrize("one_design", [False, True])
def test_icarus(written, one_design, tmp_path):
    run("icarus", written, tmp_path, one_design=one_design)


def test_verilator(written, tmp_path, monkeypatch):
    for variable, value in verilator_environment(tmp_path / "tools", optimize=False).items():
        monkeypatch.setenv(variable, value)
    run("verilator", written, tmp_path)
