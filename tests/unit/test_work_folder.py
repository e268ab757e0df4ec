"""The working folder of `sqhw verify`: one process at a time, and errors that name ``--work``."""

import errno
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from sqhw.cli.demo import run_demo
from sqhw.errors import SqhwError
from sqhw.export.build import write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.steps.options import DemoOptions, VerifyOptions
from sqhw.steps.verify import verify
from sqhw.verify import work_folder as module
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.runner import RtlBench
from sqhw.verify.tools import has_icarus
from sqhw.verify.work_folder import check_space, work_folder

ENGINE = EngineConfig(lanes=2, word_bits=18)
HOLD = """
import sys
from pathlib import Path
from sqhw.verify.work_folder import work_folder
with work_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that has the folder ``work``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "work")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_folder_in_use_is_refused(tmp_path, holder):
    with pytest.raises(SqhwError) as error, work_folder(tmp_path / "work"):
        pass
    assert str(error.value) == (
        f"the working folder {tmp_path / 'work'} is in use by another `sqhw verify`; name another "
        "one with --work"
    )


def test_a_killed_process_leaves_the_folder_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    with work_folder(tmp_path / "work") as folder:
        assert folder.is_dir()


def test_a_process_may_take_it_again(tmp_path):
    for _ in range(2):
        with work_folder(tmp_path):
            pass


def test_a_full_disk_names_the_option(tmp_path):
    with pytest.raises(SqhwError) as error, work_folder(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(error.value) == (
        f"cannot write to the working folder {tmp_path}: No space left on device; free some space "
        "or name another one with --work"
    )


def test_what_a_full_disk_cut_off_is_no_fault_of_the_rtl(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(SqhwError, match=r"^cannot write to the working folder"):
        with work_folder(tmp_path):
            raise SqhwError("the RTL differs from the simulator")
    assert not list(tmp_path.glob(".probe*"))


def test_other_errors_stay(tmp_path):
    with pytest.raises(SqhwError, match=r"^the RTL differs$"), work_folder(tmp_path):
        raise SqhwError("the RTL differs")


@pytest.mark.parametrize("name", ["a b", "50%", "a;b", "cost$", "x:y", "it's"])
def test_verilator_in_a_path_that_make_does_not_stand_is_refused(tmp_path, name):
    work = tmp_path / name
    with pytest.raises(SqhwError, match=r"^Verilator cannot build in .* folder with --work$"):
        RtlBench(tmp_path, work)
    with pytest.raises(SqhwError, match=r"^Verilator cannot build in .* folder with --work$"):
        verify(VerifyOptions(network=Path("none"), rtl=tmp_path, work=work))
    assert not work.exists()


@pytest.mark.parametrize("simulator", ["verilator", "icarus", "cxxrtl"])
@pytest.mark.parametrize("name", ["line\nbreak", "tab\there", "re\rturn", "es\x1bcape"])
def test_a_line_break_in_the_path_is_refused(tmp_path, monkeypatch, name, simulator):
    """Also in the working directory, which a relative path lies in."""
    rule = r"^cannot verify in '[ -~]*': the path has '.*' in it; name another folder with --work$"
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    for work in (Path("work"), tmp_path / name / "work"):
        with pytest.raises(SqhwError, match=rule):
            verify(
                VerifyOptions(network=Path("none"), rtl=tmp_path, work=work, simulator=simulator)
            )
        with pytest.raises(SqhwError, match=rule):
            bench_of(simulator)(tmp_path, work)
        assert not work.exists()


def bench_of(simulator):
    return VolumeBench if simulator == "cxxrtl" else partial(RtlBench, simulator=simulator)


def theirs(tmp_path, kind):
    """Return a working folder, and a file of somebody else where the simulator's files go."""
    work, other = tmp_path / "work", tmp_path / "other"
    for folder in (work, other):
        folder.mkdir()
    if kind == "folder":
        other = work / "icarus"
        other.mkdir()
    else:
        (work / "icarus").symlink_to("../other" if kind == "link" else "../none")
    file = other / "thesis.txt"
    file.write_text("precious")
    return work, file


@pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("kind", ["folder", "link", "dangling link"])
def test_files_of_somebody_else_are_not_deleted(tmp_path, kind):
    write_rtl(ENGINE, {"weights": 16, "params": 16, "codebook": 16}, tmp_path / "rtl")
    work, file = theirs(tmp_path, kind)
    with pytest.raises(SqhwError, match=r"icarus .* name another folder with --work"):
        RtlBench(tmp_path / "rtl", work, "icarus")
    assert file.read_text() == "precious"
    assert not (tmp_path / "none").exists()


def test_cxxrtl_deletes_none_either(tmp_path):
    (tmp_path / "cxxrtl").mkdir()
    (tmp_path / "cxxrtl/thesis.txt").write_text("precious")
    with pytest.raises(SqhwError, match=r"cxxrtl has files .* name another folder with --work"):
        VolumeBench(tmp_path, tmp_path)
    assert (tmp_path / "cxxrtl/thesis.txt").read_text() == "precious"


def test_the_probe_of_a_full_disk_leaves_files_alone(tmp_path):
    (tmp_path / ".probe").write_text("precious")
    check_space(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_the_demo_overwrites_no_files_of_somebody_else(tmp_path):
    (tmp_path / "network.safetensors").write_text("precious")
    with pytest.raises(SqhwError, match=r"has files that sqhw did not write .* with --out, or"):
        run_demo(DemoOptions(out=tmp_path))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_the_demo_refuses_it_before_it_trains(tmp_path):
    with pytest.raises(SqhwError) as error:
        run_demo(DemoOptions(out=tmp_path / "my demo"))
    assert str(error.value) == (
        f"Verilator cannot build in {tmp_path}/my demo/sim: the path has a space in it; name "
        "another folder with --out"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [-1, 2**64, 10**30])
@pytest.mark.parametrize("simulator", ["verilator", "icarus", "cxxrtl"])
def test_seeds_beyond_64_bits_are_refused_first(tmp_path, seed, simulator):
    with pytest.raises(SqhwError, match=r"^--seed must be 0 to 18446744073709551615 .*, not "):
        verify(
            VerifyOptions(
                network=Path("none"),
                rtl=tmp_path,
                work=tmp_path / "w",
                simulator=simulator,
                seed=seed,
            )
        )


@pytest.mark.parametrize("text", ["", "<testsuites>", None])
def test_half_a_file_of_results_is_no_pass(tmp_path, text):
    """A disk that became full in the middle."""
    results = tmp_path / "results.xml"
    if text is not None:
        results.write_text(text)
    bench = object.__new__(RtlBench)
    bench.simulator = "icarus"
    bench._environment = {}
    bench._run = bench._build = tmp_path
    bench._runner = SimpleNamespace(test=lambda **arguments: results)
    assert not bench._simulate(tmp_path / "simulation.log", 0, 1)
