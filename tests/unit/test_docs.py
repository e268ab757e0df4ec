"""The examples of the README run as they stand."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from onnx_files import model, node, saved
from torch import nn
from typer.testing import CliRunner

from sqhw.cli.commands import app
from sqhw.compress import load_float
from sqhw.export.image_set import ImageRecord
from sqhw.export.images.registry import image_formats
from sqhw.verify.tools import has_icarus

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
    convolution = node("Conv", "x w", "y")
    file = model([convolution], {"w": np.ones((2, 3, 8, 8), np.float32)})
    saved(file, tmp_path, "model.onnx")
    of_file, of_program, example = blocks("python", IMPORT)
    found = {}
    exec(compile(of_file, "import.md", "exec"), found)
    assert found["network"].std == (0.229, 0.224, 0.225)
    exec(compile(of_program, "import.md", "exec"), {"module": nn.Conv2d(3, 2, 32)})
    run = CliRunner().invoke(app, ["import", "model.pt2", "--out", "program.safetensors"])
    assert run.exit_code == 0
    assert load_float("program.safetensors").layers[0].weight.shape == (2, 3, 32, 32)
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
        result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "110"})
        assert result.exit_code == 0
        text = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
        for argument in arguments:
            if argument.startswith("--"):
                assert argument in text, (command, argument)


@pytest.fixture
def folder(tmp_path):
    """A folder to work in that looks like the repository to the commands of the README."""
    for name in ("benchmarks", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def section(heading):
    """Return the text of a section of the README."""
    return re.search(rf"^## {heading}$(.*?)^## ", README, re.DOTALL | re.MULTILINE)[1]


def shell(commands, folder):
    """Run lines as a shell does, with the commands of this environment; return what they print."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "110"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_sizing_a_memory(folder, capsys):
    text = section("Size a memory")
    (commands,), (table,) = blocks("sh", text), blocks("text", text)
    output = shell(commands, folder)
    assert table in output
    (example,) = blocks("python memory", text)
    exec(compile(example, "README.md", "exec"), {})
    assert f"`{capsys.readouterr().out.strip()}`" in text


@pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")
def test_running_the_rtl_in_cocotb(folder):
    text = section("Run the RTL in cocotb")
    commands, bench = blocks("sh", text)
    shell(commands, folder)
    output = shell(bench, folder)
    assert "\nPASS\n" in output
    assert "TESTS=1 PASS=1 FAIL=0 SKIP=0" in output
    for name in ("bench", "run"):
        (example,) = blocks(f"python {name}", text)
        (folder / "build" / "tiny" / f"{name}.py").write_text(example)
    output = shell("cd build/tiny; python run.py", folder)
    assert "TESTS=1 PASS=1 FAIL=0 SKIP=0" in output
    (line,) = re.findall(r"^It prints `(.*)`, and then cocotb", text, re.MULTILINE)
    assert f"\n{line}\n" in output


def test_exporting_rom_images(folder):
    text = section("Export ROM images")
    commands, more = blocks("sh", text)
    output = shell(commands, folder)
    (bits,) = re.findall(r"([\d,]+) bit, as many as", text)
    assert f"exported {bits} bit, cost model {bits} bit" in output
    images = {f"weights_{index}.hex" for index in range(8)} | {"params.hex", "codebook.hex"}
    assert {path.name for path in (folder / "build" / "images").iterdir()} == images | {"rom.json"}
    for name in ("weights_0.hex", "weights_7.hex", "params.hex", "codebook.hex", "rom.json"):
        assert f"`{name}`" in text
    shell(more, folder)
    assert (folder / "build" / "quartus" / "weights.mif").exists()
    assert {path.name for path in (folder / "build" / "own").iterdir()} == {
        "weights.h",
        "images.json",
    }


def test_page_on_images_for_other_tools(folder):
    page = (ROOT / "docs" / "rom-images.md").read_text()
    (commands,) = blocks("sh", page)
    shell(commands, folder)
    assert (folder / "build" / "tiny-images" / "params.coe").exists()
    assert (folder / "build" / "own-memory" / "weights.h").exists()
    table = re.findall(r"^\| `([\w-]+)` \| `weights(\.[\w.]+)` \|", page, re.MULTILINE)
    formats = image_formats()
    assert table == [(name, form.suffix) for name, form in formats.items()]
    fields_of_page = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", page, re.MULTILINE)
    assert fields_of_page == [field.name for field in fields(ImageRecord)]
    limits = {name: (form.max_width, form.max_depth) for name, form in formats.items()}
    assert limits["lattice-mem"] == (256, 65536)
    assert limits["quartus-hex"] == (2040, 65536)
    assert limits["c"] == limits["npy"] == (64, None)
    rest = set(formats) - {"lattice-mem", "quartus-hex", "c", "npy"}
    assert {limits[name] for name in rest} == {(None, None)}


def test_the_first_table_has_the_figures_of_the_demo_and_of_the_benchmarks():
    head = README[: README.index("## Start")]
    activations = [int(n.replace(",", "")) for n in re.findall(r"\(([\d,]+) activations\)", README)]
    assert len(activations) == 2
    assert f"0 of {sum(activations):,} activations differ" in head
    (logits,) = re.findall(r"images \(([\d,]+) logits\)", README)
    assert f"0 of {logits} logits" in head
    for measured, predicted in re.findall(r"([\d,]+) measured, ([\d,]+) predicted", README):
        assert f"{predicted} predicted and {measured} measured" in head
    shapes = (ROOT / "benchmarks" / "cost_memory" / "RESULTS.md").read_text()
    (points, mismatches) = re.search(r"\| all +\| +\| +([\d,]+) \| +(\d+) \|", shapes).groups()
    assert mismatches == "0"
    assert f"[{points} shapes]" in head
    runs = (ROOT / "benchmarks" / "cost_cycles" / "RESULTS.md").read_text()
    networks, _, count, _, differences = re.search(
        r"\| all +\| +(\d+) \| +(\d+) \| +(\d+) \| +([\d,]+) \| +(\d+) \|", runs
    ).groups()
    assert differences == "0"
    assert (
        f"[{count} runs](benchmarks/cost_cycles/RESULTS.md) of {networks} random networks" in head
    )
