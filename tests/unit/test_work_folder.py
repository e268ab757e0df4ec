"""The working folder of `sqhw verify`: one process at a time, and errors that name ``--work``."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sqhw import flow
from sqhw.cli.demo import run_demo
from sqhw.data import load_dataset
from sqhw.errors import SqhwError
from sqhw.verify import work_folder as module
from sqhw.verify.runner import RtlBench
from sqhw.verify.work_folder import work_folder

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
    assert not list(tmp_path.glob(".probe"))


def test_other_errors_stay(tmp_path):
    with pytest.raises(SqhwError, match=r"^the RTL differs$"), work_folder(tmp_path):
        raise SqhwError("the RTL differs")


@pytest.mark.parametrize("name", ["a b", "tab\there", "50%", "a;b", "cost$", "x:y", "it's"])
def test_verilator_in_a_path_that_make_does_not_stand_is_refused(tmp_path, name):
    work = tmp_path / name
    with pytest.raises(SqhwError, match=r"^Verilator cannot build in .* folder with --work$"):
        RtlBench(tmp_path, work)
    with pytest.raises(SqhwError, match=r"^Verilator cannot build in .* folder with --work$"):
        flow.verify(Path("none"), load_dataset("digits"), tmp_path, work, "verilator", 1, 0)
    assert not work.exists()


def test_the_demo_refuses_it_before_it_trains(tmp_path):
    with pytest.raises(SqhwError) as error:
        run_demo(tmp_path / "my demo", "digits", "iCEBreaker", None, 1, 0)
    assert str(error.value) == (
        f"Verilator cannot build in {tmp_path}/my demo/sim: the path has a space in it; name "
        "another folder with --out"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [-1, 2**64, 10**30])
@pytest.mark.parametrize("simulator", ["verilator", "icarus", "cxxrtl"])
def test_seeds_beyond_64_bits_are_refused_first(tmp_path, seed, simulator):
    with pytest.raises(SqhwError, match=r"^--seed must be 0 to 18446744073709551615 .*, not "):
        flow.verify(
            Path("none"), load_dataset("digits"), tmp_path, tmp_path / "w", simulator, 1, seed
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
