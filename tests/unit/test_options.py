"""The options of the steps: one table of names and defaults, under the command line and Python."""

import subprocess
import sys
from dataclasses import MISSING, fields

import pytest
from command_line import run
from typer.main import get_command

from sqhw.cli.commands import app
from sqhw.cli.options import OPTIONS
from sqhw.compress import CompressSettings, TrainSettings
from sqhw.steps.options import CompressOptions, TrainOptions

CLASSES = list(OPTIONS)


@pytest.mark.parametrize("options", CLASSES, ids=lambda one: one.__name__)
def test_every_field_is_an_option_of_a_command(options):
    assert list(OPTIONS[options]) == [field.name for field in fields(options)]
    required = {field.name for field in fields(options) if field.default is MISSING}
    name = options.__name__.removesuffix("Options").lower()
    command = get_command(app).commands[name]
    assert {p.name for p in command.params if p.required} == required
    assert [p.name for p in command.params if p.name not in ("json", "help")] == list(
        OPTIONS[options]
    )


@pytest.mark.parametrize(
    ("options", "settings"),
    [(CompressOptions, CompressSettings), (TrainOptions, TrainSettings)],
)
def test_defaults_are_those_of_the_method(options, settings):
    defaults = {field.name: field.default for field in fields(settings)}
    shared = [field for field in fields(options) if field.name in defaults]
    assert len(shared) >= 2
    assert {f.name: f.default for f in shared} == {f.name: defaults[f.name] for f in shared}


def test_options_are_quick_to_import():
    code = "import sys, sqhw.steps.options; print('numpy' in sys.modules, 'typer' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False False\n"


def test_a_batch_has_a_limit_of_its_own(monkeypatch, capsys):
    code, _, error = run(monkeypatch, capsys, "train", "--batch", "65537")
    assert code == 2
    assert "less than or equal to 65536" in error
