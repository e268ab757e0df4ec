"""The command line as a user runs it."""

import json
import subprocess
import sys

import pytest

from sqhw.cli import main

#: Script that runs commands in a process that does not find a package, and prints exit code and
#: output of each. `sys.modules["torch"] = None` would break SciPy, which looks into `sys.modules`.
WITHOUT = """
import contextlib, io, json, sys
from importlib.machinery import PathFinder

find, missing = PathFinder.find_spec, sys.argv[1]
PathFinder.find_spec = lambda name, *more: None if name == missing else find(name, *more)
from sqhw.cli import main

results = []
for arguments in json.loads(sys.argv[2]):
    sys.argv = ["sqhw", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    results.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(results))
"""


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


def run_without(package, *commands):
    """Return (exit code, standard output, standard error) of commands without a package."""
    texts = json.dumps([[str(argument) for argument in command] for command in commands])
    run = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT, package, texts],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])
