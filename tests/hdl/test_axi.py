"""The engine on AXI against the simulator and the register table; the cases are in axi_bench.py."""

import json
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner
from strategies import random_images, random_network, reads_with_one_stride

from sqhw.compiler.program import Program, compile_network
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ROMS
from sqhw.verify.job import job_of
from sqhw.verify.runner import verilator_options, write_configuration
from sqhw.verify.tools import has_icarus, verilator_environment

ENGINE = EngineConfig(
    lanes=4, requantizers=2, max_batch=2, writable=True, groups=True, residuals=True,
    param_addr_bits=10, weight_addr_bits=11,
)  # fmt: skip
WIDE = "writable, wide words"
CONFIGS = {
    "writable": ENGINE,
    WIDE: replace(ENGINE, lanes=16, word_bits=40, groups=False, residuals=False),
    "ROM": replace(ENGINE, writable=False, max_batch=1),
    "two cores": replace(ENGINE, lanes=2, cores=2),
}
#: Mark of the engines in the other simulator, see `make evidence`.
EVIDENCE = pytest.mark.evidence
SPARE_WORDS = 3


def small_program(seed: int, engine: EngineConfig, batch: int) -> Program:
    """Compile the first small network, from a seed upwards, that has several pixels and results."""
    for index in count(1000 * seed):
        limits = {"groups": engine.groups, "residuals": engine.residuals}
        network = random_network(index, max_size=6, max_layers=3, **limits)
        shape = network.shapes()[network.layers[-1].name]
        pixels = int(np.prod(network.input_shape))
        if reads_with_one_stride(network) and pixels >= 4 and np.prod(shape) >= 2:
            print(f"network seed {index}")
            return compile_network(network, engine, batch)
    raise AssertionError


def write_job(folder, engine: EngineConfig, seed: int) -> dict[str, int]:
    """Write the job, and the ROM images of its first network; return the depths of the ROMs."""
    programs = {
        "a": small_program(seed, engine, engine.max_batch),
        "b": small_program(seed + 1, engine, 1),
    }
    depths = {
        name: max(program.image(name).depth for program in programs.values()) + SPARE_WORDS
        for name in ROMS
    }
    job = {
        "seed": seed,
        "engine": json.dumps(engine.to_dict()),
        "depths": [depths[name] for name in ROMS],
    }
    for key, program in programs.items():
        images = random_images(program.network, seed, 3 * program.batch)
        expected = job_of(program, images)
        for name in ("pixels", "results", "cycles"):
            job[f"{name}_{key}"] = getattr(expected, name)
        for image in program.images:
            job[f"{image.name}_{key}"] = [f"{word:x}" for word in image.words]
    np.savez(folder / "job.npz", **job)
    write_rom(programs["a"].padded(depths), folder)
    return depths


def run(simulator: str, engine: EngineConfig, seed: int, folder) -> None:
    """Build the RTL and run every bench, once."""
    depths = write_job(folder, engine, seed)
    write_rtl(engine, depths, folder, "axi")
    verilator = simulator == "verilator"
    sources = sorted(folder.glob("*.v"))
    if verilator:
        sources.insert(0, write_configuration("sqhw_axi", folder))
    runner = get_runner(simulator)
    runner.build(
        sources=sources,
        hdl_toplevel="sqhw_axi",
        build_dir=folder / "build",
        defines={} if verilator else {"YOSYS": 1},  # undefined words where yosys may choose any
        build_args=verilator_options(optimize=False) if verilator else [],
        timescale=("1ns", "1ps"),
        log_file=folder / "build.log",
    )
    results = runner.test(
        hdl_toplevel="sqhw_axi",
        test_module="hdl.axi_bench",
        build_dir=folder / "build",
        test_dir=folder,
        plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed + 1}"] * verilator,
        log_file=folder / "test.log",
    )
    count, failures = get_results(results)
    assert failures == 0, folder / "test.log"
    assert count >= 10


@pytest.mark.skipif(not has_icarus(), reason="Icarus is not installed: apt-get install iverilog")
@pytest.mark.parametrize(
    "name", ["writable", "ROM", "two cores", pytest.param(WIDE, marks=EVIDENCE)]
)
def test_icarus(name, tmp_path):
    run("icarus", CONFIGS[name], 1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [WIDE, *(pytest.param(name, marks=EVIDENCE) for name in ("writable", "ROM"))]
)
def test_verilator(name, tmp_path, monkeypatch):
    for variable, value in verilator_environment(tmp_path / "tools", optimize=False).items():
        monkeypatch.setenv(variable, value)
    run("verilator", CONFIGS[name], 2, tmp_path)


def test_an_unknown_interface_is_refused(tmp_path):
    with pytest.raises(SqhwError) as error:
        write_rtl(ENGINE, {"weights": 1, "params": 64, "codebook": 1}, tmp_path / "rtl", "axi4")
    assert str(error.value) == "unknown interface 'axi4'; did you mean 'axi'?"
    assert not (tmp_path / "rtl").exists()
