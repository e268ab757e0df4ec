"""The examples of the README run as they stand."""

import re
from pathlib import Path

from typer.testing import CliRunner

from sqhw.cli.commands import app
from sqhw.compress import load_float

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
IMPORT = (ROOT / "docs" / "import.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_python_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    assert load_float("float.safetensors").input_shape == (1, 8, 8)


def test_example_of_the_import(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python", IMPORT)
    exec(compile(example, "import.md", "exec"), {})
    assert "the softmax at the end is left out" in capsys.readouterr().out
    network = load_float("mine.safetensors")
    assert (network.mean, network.std) == ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    assert "softmax" in network.metadata["notes"]


def test_commands_and_options_exist():
    """Every `sqhw` line names a command, and options that it has."""
    lines = [
        line.split("#")[0].split()
        for block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("sqhw ")
    ]
    assert len(lines) >= 6
    for _, command, *arguments in lines:
        result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
        assert result.exit_code == 0
        text = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
        for argument in arguments:
            if argument.startswith("--"):
                assert argument in text, (command, argument)
