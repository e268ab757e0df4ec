"""The command line as a user runs it."""

import sys

import pytest

from sqhw.cli import main


def run(monkeypatch, capsys, *arguments):
    """Run the command; return exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["sqhw", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    output = capsys.readouterr()
    return stop.value.code or 0, output.out, output.err


def refuse(monkeypatch, capsys, *arguments):
    """Run a command that must fail; return its one sentence."""
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert code == 1
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("sqhw: ")
    return lines[0].removeprefix("sqhw: ")
