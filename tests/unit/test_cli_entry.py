"""How the command line ends where something outside of it fails: one sentence, the right code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import refuse, run

from sqhw.cli import console, entry

INTERRUPTED_AT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv = ["sqhw", "size", "digits-cnn"]
from sqhw.cli import main
main()
"""


@pytest.mark.parametrize(
    "module", ["sqhw.errors", "typer", "sqhw.report.tables", "numpy", "tomllib"]
)
def test_interrupted_while_python_imports(module):
    code = INTERRUPTED_AT.format(module=module)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 130
    assert found.stdout == ""
    assert found.stderr.startswith("sqhw: interrupted")
    assert found.stderr.count("\n") == 1


def sqhw(*arguments, **streams):
    command = [sys.executable, "-m", "sqhw", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, **streams)


@pytest.mark.parametrize("arguments", [("devices",), ("devices", "--json"), ("size", "--help")])
def test_standard_output_on_a_full_device(arguments):
    with Path("/dev/full").open("w") as full:
        found = sqhw(*arguments, stdout=full)
    assert found.returncode == 1
    assert found.stderr in (
        "sqhw: cannot write to standard output: No space left on device\n",
        "sqhw: cannot write: No space left on device\n",
    )


@pytest.mark.parametrize("arguments", [("devices",), ("size", "--help")])
def test_a_reader_that_has_gone(arguments):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        found = sqhw(*arguments, stdout=nobody)
    assert (found.returncode, found.stderr) == (141, "")


def test_closed_streams():
    command = f"{sys.executable} -m sqhw devices >&- 2>&-"
    assert subprocess.run(["sh", "-c", command]).returncode == 0


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PermissionError(13, "Permission denied", "/x/y"), 1, "/x/y: Permission denied"),
        (OSError(28, "No space left on device"), 1, "cannot write: No space left on device"),
        (OSError(36, "File name too long", "z"), 1, "z: File name too long"),
        (OSError("no number"), 1, "no number"),
        (MemoryError(), 1, "there is not enough memory for this"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_no_step_has_a_sentence_for(monkeypatch, capsys, error, code, text):
    def fail():
        raise error

    monkeypatch.setattr("sqhw.steps.devices.devices", fail)
    found, out, err = run(monkeypatch, capsys, "devices")
    assert (found, out, err) == (code, "", f"sqhw: {text}\n")


@pytest.mark.parametrize(
    ("command", "option", "rest"),
    [
        ("compress", (), "; a training that is started with --resume FILE can be continued"),
        ("train", ("--resume=x",), "; the same command goes on after the last complete epoch"),
        ("compress", ("--resume", "x"), "; the same command goes on after the last complete epoch"),
        ("verify", (), ""),
        ("rom", (), ""),
    ],
)
def test_only_a_training_can_be_resumed(monkeypatch, command, option, rest):
    monkeypatch.setattr(sys, "argv", ["sqhw", command, "net", "--out", "compress", *option])
    assert entry._interrupted() == f"interrupted{rest}"


def test_a_fault_of_the_program_still_shows_where(monkeypatch, capsys):
    monkeypatch.setattr("sqhw.steps.devices.devices", lambda: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["sqhw", "devices"])
    with pytest.raises(ZeroDivisionError):
        entry.main()


def test_a_stage_that_is_long_is_told_when_it_begins(capsys):
    with console.progress() as report:
        report("verilator: build", 0, 1, "a minute or more")
        assert capsys.readouterr().err == "verilator: build 0/1 a minute or more\n"
        for done in range(1, 4):
            report("run", done, 4, "")
        assert capsys.readouterr().err == ""
        report("run", 4, 4, "")
    assert capsys.readouterr().err == "run 4/4 \n"


def test_names_are_no_markup(capsys):
    """A file of that name would end a run in an error about unbalanced tags."""
    with console.progress() as report:
        report("report", 1, 1, "net[/a].safetensors")
    assert "net[/a].safetensors" in capsys.readouterr().err


def test_a_file_name_that_is_no_utf_8(monkeypatch, capsys, tmp_path):
    message = refuse(monkeypatch, capsys, "simulate", f"{tmp_path}/\udcff")
    assert message == f"{tmp_path}/\\udcff: no such file"
