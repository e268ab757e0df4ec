"""Bytes, activations and cycles that do not change unless a decision says why."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from golden_networks import ENGINES, golden_images, golden_networks

from sqhw.compiler.program import compile_network
from sqhw.cost_models.schedule import schedule
from sqhw.export.build import write_rom
from sqhw.network.quantized_file import load_network, save_network
from sqhw.sim.reference import run
from sqhw.sim.simulator import Simulator

TESTS = Path(__file__).parent.parent
GOLDEN = TESTS / "golden"
RESULTS = TESTS.parent / "benchmarks/compression/results"
#: Activations and cycles of networks: those of the golden files and some that benchmarks kept.
FACTS = json.loads((GOLDEN / "facts.json").read_text())
NAMES = sorted(ENGINES)


def _digest(maps):
    """Return the digest of the maps of all tensors, in order of their names."""
    digest = hashlib.sha256()
    for name in sorted(maps):
        digest.update(np.ascontiguousarray(maps[name], dtype="<i8").tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_network_file_has_the_golden_bytes(name, tmp_path):
    save_network(golden_networks()[name], tmp_path / "net.safetensors")
    assert (tmp_path / "net.safetensors").read_bytes() == _file(name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_golden_file_loads(name, tmp_path):
    save_network(load_network(_file(name)), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == _file(name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_rom_images_have_the_golden_bytes(name, tmp_path):
    write_rom(compile_network(load_network(_file(name)), ENGINES[name]), tmp_path)
    for rom in ("weights", "params", "codebook"):
        assert (tmp_path / f"{rom}.hex").read_text() == (GOLDEN / name / f"{rom}.hex").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_reference_and_simulator_give_the_golden_activations(name):
    network = load_network(_file(name))
    images = golden_images(network)
    single = [run(network, image) for image in images]
    reference = {tensor: np.stack([maps[tensor] for maps in single]) for tensor in single[0]}
    assert _digest(reference) == FACTS[name]["activations"]
    assert _digest(Simulator(network).run(images)) == FACTS[name]["activations"]
    assert schedule(network, ENGINES[name]).cycles == FACTS[name]["cycles"]


@pytest.mark.parametrize("name", sorted(set(FACTS) - set(ENGINES)))
def test_kept_results_give_the_golden_activations_and_cycles(name):
    network = load_network(RESULTS / f"{name}.safetensors")
    images = golden_images(network)
    assert _digest(Simulator(network).run(images)) == FACTS[name]["activations"]
    assert schedule(network, network.facts.engine).cycles == FACTS[name]["cycles"]


def _file(name):
    return GOLDEN / name / "network.safetensors"
