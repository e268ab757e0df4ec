"""The emitted Verilog under other linters: no warning beyond the waivers that it carries."""

import os
import re
import subprocess
import sys

import pytest
from hdl.support import in_four

from sqhw.export.build import write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import top_module, verilog_files
from sqhw.verify.tools import has_icarus, verilator_environment

DEPTHS = {"weights": 300, "params": 100, "codebook": 30}
FULL = EngineConfig(
    lanes=8, requantizers=2, max_batch=2, taps_per_entry=2, lut_lanes=3, groups=True, residuals=True
)
#: Configuration, interface, whether the ROMs are in pieces, name.
ENGINES = {
    "plain": (EngineConfig(lanes=4), "plain", False, "sqhw"),
    "in pieces": (FULL, "plain", True, "cam"),
    "axi": (EngineConfig(lanes=4, max_gap_bits=0), "axi", False, "sqhw"),
    "axi, writable": (EngineConfig(lanes=4, maxpool=False, writable=True), "axi", False, "cam"),
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, tmp_path_factory):
    """Return a folder with an engine, its top module and its Verilog files."""
    config, interface, in_pieces, name = ENGINES[request.param]
    folder = tmp_path_factory.mktemp("lint")
    pieces = in_four(config, DEPTHS) if in_pieces else None
    write_rtl(config, DEPTHS, folder, interface, pieces, name)
    return folder, top_module(name, interface), verilog_files(name, interface)


def output_of(command, folder, **environment):
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_verilator(engine, tmp_path):
    folder, top, sources = engine
    environment = verilator_environment(tmp_path)
    command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *sources]
    code, said = output_of(command, folder, **environment)
    assert "%" not in said
    assert code == 0


@pytest.mark.skipif(not has_icarus(), reason="Icarus is not installed: apt-get install iverilog")
@pytest.mark.parametrize("language", ["2005", "2012"])
def test_icarus(engine, language, tmp_path):
    folder, top, sources = engine
    command = ["iverilog", "-Wall", f"-g{language}", "-s", top, "-o", tmp_path / "out", *sources]
    assert output_of(command, folder) == (0, "")


def test_yosys(engine, tmp_path):
    """The linter reads the images of ROMs too."""
    folder, top, sources = engine
    for name in re.findall(r'\.FILE\("(.*)"\)', (folder / sources[0]).read_text()):
        (folder / name).write_text("0\n")
    script = (
        "from pyosys import libyosys\n"
        "design = libyosys.Design()\n"
        f"for line in ['read_verilog {' '.join(sources)}', 'hierarchy -check -top {top}', 'proc', "
        "'check -assert']:\n"
        "    design.run_pass(line)\n"
    )
    code, said = output_of([sys.executable, "-c", script], folder)
    assert not re.search("warning", said, re.IGNORECASE)
    assert "Found and reported 0 problems" in said
    assert code == 0


def test_waivers_end_with_the_file(tmp_path):
    """A linter is as strict as before with the files that it reads next."""
    write_rtl(EngineConfig(lanes=4), DEPTHS, tmp_path)
    (tmp_path / "next.v").write_text(
        "module next (input wire [3:0] a, output wire [1:0] b);\n  assign b = a;\nendmodule\n"
    )
    environment = verilator_environment(tmp_path / "tools")
    for file in verilog_files("sqhw"):
        command = ["verilator", "--lint-only", "-Wall", "--top-module", "next", file, "next.v"]
        code, said = output_of(command, tmp_path, **environment)
        assert code
        assert set(re.findall(r"%Warning-(\w+): ([\w.]+)", said)) == {
            ("WIDTHTRUNC", "next.v"), ("UNUSEDSIGNAL", "next.v"),
        }, said  # fmt: skip
