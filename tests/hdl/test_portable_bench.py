"""The bench to take along passes as written, and names the place of what was broken."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import refuse, run
from hdl.support import random_program

from sqhw.compiler.program import compile_network
from sqhw.export.file_set import check_set
from sqhw.export.manifest import check_manifest
from sqhw.machine.config import EngineConfig
from sqhw.machine.rom_pieces import whole
from sqhw.network.quantized_file import load_network
from sqhw.sim.simulator import Simulator
from sqhw.steps.options import RtlOptions
from sqhw.steps.rtl import bench_images, rtl
from sqhw.verify.portable.project import TEMPLATES, BenchOptions, verilog_text, write_bench
from sqhw.verify.tools import has_icarus

pytestmark = pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")
GOLDEN = Path(__file__).parents[1] / "golden"
CHAIN = GOLDEN / "chain" / "network.safetensors"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a folder with the bench of the chain."""
    folder = tmp_path_factory.mktemp("bench")
    rtl(RtlOptions(network=CHAIN, bench=folder))
    return folder


@pytest.fixture
def bench(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "bench"))


def plain(folder):
    """Return exit code and lines of the bench in Verilog alone."""
    made = subprocess.run(["make", "-s", "plain"], cwd=folder, capture_output=True, text=True)
    return made.returncode, made.stdout.splitlines(), made.stderr


def cocotb(folder, simulator="icarus"):
    """Return exit code and output of the cocotb bench, run as a user does, without our path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = ["make", f"SIM={simulator}", f"PYTHON={sys.executable}"]
    made = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return made.returncode, made.stdout + made.stderr


def networks_with_one_weight_changed(network, index):
    """Yield networks that differ in one weight of a layer; the streams keep their lengths."""
    layer = network.layers[index]
    for at in map(tuple, np.argwhere(layer.weight == 20)):
        weight = layer.weight.copy()
        weight[at] = -60
        layers = list(network.layers)
        layers[index] = replace(layer, weight=weight)
        yield replace(network, layers=tuple(layers))


def changed(folder, index):
    """Put the weight ROM of a network that differs in one weight into a bench.

    Return the images' maps of both networks.
    """
    network = load_network(CHAIN)
    images, name = bench_images(network), network.layers[index].name
    right = Simulator(network).run(images)
    for other in networks_with_one_weight_changed(network, index):
        wrong = Simulator(other).run(images)
        if (wrong[name] != right[name]).any():
            break
    words = [
        compile_network(one, one.facts.engine).image("weights").words for one in (network, other)
    ]
    assert sum(old != new for old, new in zip(*words, strict=True)) == 1
    (folder / "weights.hex").write_text("".join(f"{word:04x}\n" for word in words[1]))
    return right, wrong


def test_the_bench_passes(bench):
    code, lines, errors = plain(bench)
    assert (code, lines[-1]) == (0, "PASS"), (lines, errors)
    assert lines[-2] == "4 images: 67 activations, 3 results and 240 cycles each as expected"
    code, text = cocotb(bench)
    assert code == 0, text
    assert "TESTS=1 PASS=1 FAIL=0 SKIP=0" in text


DIFFERENCE = re.compile(
    r"DIFFERENCE in image (\d+), layer (\w+), channel (\d+), row (\d+), column (\d+): "
    r"(\w\w) instead of (\w\w) \(hex\)"
)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_broken_word_is_reported_at_its_place(bench, layer):
    right, wrong = changed(bench, layer)
    name = ("conv", "fc")[layer]
    code, lines, _ = plain(bench)
    assert code != 0
    assert lines[-1] == "FAIL"
    image, found, *place, is_, instead = DIFFERENCE.fullmatch(lines[0]).groups()
    assert found == name
    at = (int(image), *map(int, place))
    assert (int(is_, 16), int(instead, 16)) == (wrong[name][at] & 0xFF, right[name][at] & 0xFF)
    differing = np.argwhere(right[name] != wrong[name])
    assert at in [tuple(place) for place in differing.tolist()]
    if layer:  # the last layer has one position: the place is the only one that can be meant
        assert at == tuple(differing[0])
        code, text = cocotb(bench)
        assert code != 0
        assert (
            f"layer fc, channel {place[0]}, row 0, column 0 is {int(is_, 16):08b} instead" in text
        )
        assert "PASS=0 FAIL=1" in text


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        ("results.hex", 4, "7f", "DIFFERENCE in image 1, result of channel 1, row 0, column 0: "),
        ("params.hex", 1, "0000", "DIFFERENCE in image 0, layer conv, "),
        ("bench_plain.v", None, "CYCLES = 200", "image 0: waited 201 cycles for done"),
        ("bench_plain.v", None, "CYCLES = 241", "image 0: 240 cycles instead of 241"),
    ],
)
def test_everything_is_compared(bench, file, line, text, message):
    path = bench / file
    if line is None:
        path.write_text(path.read_text().replace("CYCLES = 240", text))
    else:
        lines = path.read_text().splitlines()
        lines[line] = text
        path.write_text("\n".join([*lines, ""]))
    code, lines, _ = plain(bench)
    assert code != 0
    assert any(one.startswith(message) for one in lines), lines
    assert lines[-1] == "FAIL"


ENGINES = {
    "a write port": EngineConfig(lanes=4, writable=True, param_addr_bits=10),
    "several bytes a cycle": EngineConfig(
        lanes=16, requantizers=4, residuals=True, groups=True, param_addr_bits=10, bank_depth=1024
    ),
}


@pytest.mark.parametrize("name", list(ENGINES))
def test_other_engines(tmp_path, name):
    engine = ENGINES[name]
    limits = {} if engine.groups else {"groups": False, "residuals": False}
    network = random_program(3, engine, **limits).network
    last = replace(network.layers[-1], name='say "%d" \\ é')  # no string of Verilog as it is
    network = replace(network, layers=(*network.layers[:-1], last))
    program = compile_network(network, engine)
    pieces = {image.name: whole(image.depth, image.width) for image in program.images}
    images = bench_images(program.network)
    write_bench(program, images, BenchOptions(tmp_path, pieces, "mine"))
    code, lines, errors = plain(tmp_path)
    assert (code, lines[-1]) == (0, "PASS"), (lines, errors)


def test_names_of_layers_in_verilog():
    assert verilog_text('a"%\\é\n') == 'a\\"%%\\\\??'
    assert len(verilog_text("x" * 1000)) < 80


def test_its_python_imports_nothing_of_sqhw(written):
    for name in ("cocotb_bench.py", "test_sqhw_bench.py"):
        tree = ast.parse((written / name).read_text())
        found = {
            getattr(node, "module", None) or node.names[0].name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert {module.partition(".")[0] for module in found} <= {
            "cocotb", "cocotb_tools", *sys.stdlib_module_names,
        }  # fmt: skip


def test_its_manifest(written):
    engine = load_network(CHAIN).facts.engine
    manifest = check_manifest(written, "bench", engine)
    check_set(written, "bench", manifest)
    assert (manifest["version"], manifest["cycles"], manifest["images"]) == (1, 240, 4)
    assert manifest["layers"][1] == {"name": "fc", "shape": [3, 1, 1], "signed": True}
    assert len(manifest["files"]) == len(TEMPLATES) + 5
    json.dumps(manifest)


def test_files_of_others_are_not_replaced(monkeypatch, capsys, tmp_path):
    (tmp_path / "Makefile").write_text("all:\n")
    message = refuse(monkeypatch, capsys, "rtl", CHAIN, "--bench", tmp_path)
    assert message.startswith(f"{tmp_path / 'Makefile'} is no file of a bench that sqhw wrote")
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_only_the_plain_interface_has_a_bench(monkeypatch, capsys, tmp_path):
    options = ("--bench", tmp_path / "b", "--interface", "axi")
    message = refuse(monkeypatch, capsys, "rtl", CHAIN, *options)
    assert message.startswith("the bench drives the plain interface, not axi")
    assert not (tmp_path / "b").exists()


def test_the_verilog_goes_elsewhere_only_if_asked(monkeypatch, capsys):
    found = []

    def verilog(engine, depths, folder, *_):
        found.append(folder.name)
        return []

    def bench(program, images, options):
        found.append(options.folder.name)
        return []

    monkeypatch.setattr("sqhw.steps.rtl.write_rtl", verilog)
    monkeypatch.setattr("sqhw.verify.portable.project.write_bench", bench)
    for options, folders in (
        (["--bench", "b"], ["b"]),
        (["--bench", "b", "--out", "o"], ["o", "b"]),
        ([], ["rtl"]),
    ):
        code, out, _ = run(monkeypatch, capsys, "rtl", CHAIN, *options, "--json")
        assert code == 0
        assert json.loads(out)["engine"]["lanes"] == 8
        assert found == folders
        found.clear()


@pytest.mark.evidence
def test_verilator_runs_it_too(bench):
    code, text = cocotb(bench, "verilator")
    assert code == 0, text
    assert "TESTS=1 PASS=1 FAIL=0 SKIP=0" in text
