"""Exported networks: C, QDQ, QONNX and exact ONNX beside the simulator, and in again."""

import subprocess
from dataclasses import replace

import numpy as np
import onnx
import pytest
from command_line import refuse, run
from exported_networks import (
    compiled,
    digits_network,
    program_scores,
    runtime_scores,
    wide_network,
)
from golden_networks import golden_networks
from strategies import random_images, random_network

from sqhw.data import load_dataset
from sqhw.export.networks.arena import places
from sqhw.export.networks.c_weights import MAX_GAP, entries
from sqhw.export.networks.exact import digits
from sqhw.export.networks.registry import WRITERS
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.onnx_file.convert import read_onnx
from sqhw.names import EXPORT_FORMATS
from sqhw.network.graph import INPUT
from sqhw.network.quantized_file import load_network, save_network
from sqhw.sim.simulator import Simulator
from sqhw.steps.export import export
from sqhw.steps.import_network import import_network
from sqhw.steps.options import ExportOptions, ImportOptions


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a folder with a network's file and its exports in all formats."""
    folder = tmp_path_factory.mktemp("exported")
    save_network(digits_network(), folder / "net.safetensors")
    formats = ",".join(EXPORT_FORMATS)
    made = export(ExportOptions(network=folder / "net.safetensors", format=formats, out=folder))
    assert made["formats"] == list(EXPORT_FORMATS)
    assert sorted(made["files"]) == sorted(map(str, folder.glob("net[._]*[hcx]")))
    return folder


@pytest.fixture(scope="module")
def images():
    return load_dataset("digits").test.images


@pytest.fixture(scope="module")
def scores(images):
    return scores_of(digits_network(), images)


def scores_of(network, images):
    made = Simulator(network).run(images)[network.layers[-1].name]
    return made.reshape(len(images), -1)


def test_the_network_tells_images_apart(scores):
    assert len(np.unique(scores.argmax(1))) >= 4
    assert len(np.unique(scores)) > 50


def test_c_equals_the_simulator_on_the_whole_test_set(exported, images, scores):
    program = compiled(exported, "net")
    np.testing.assert_array_equal(program_scores(program, images), scores)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "PASS: 0 of 40 scores of 4 images differ\n"


@pytest.mark.parametrize("seed", [1, 2, 15])
def test_c_equals_the_simulator_on_random_networks(tmp_path, seed):
    network = random_network(seed)
    for name, content in WRITERS["c"](network, "a-b.c d").items():
        (tmp_path / name).write_bytes(content)
    images = random_images(network, seed, 5)
    made = program_scores(compiled(tmp_path, "a-b.c d"), images)
    np.testing.assert_array_equal(made, scores_of(network, images))


def test_exact_onnx_equals_the_simulator_at_any_optimisation(exported, images, scores):
    for optimised in (False, True):
        made = runtime_scores(exported / "net_exact.onnx", images, optimised=optimised)
        np.testing.assert_array_equal(made, scores)


def test_exact_onnx_of_sums_beyond_float32(tmp_path):
    network = wide_network()
    assert network.acc_bounds()["first"] > 1 << 25
    (content,) = WRITERS["exact"](network, "wide").values()
    images = random_images(network, 0, 20).astype(np.uint8)
    np.testing.assert_array_equal(runtime_scores(content, images), scores_of(network, images))


def test_qdq_equals_the_simulator_but_for_halves(exported, images, scores):
    made = runtime_scores(exported / "net_qdq.onnx", images)
    assert np.abs(made - scores).max() <= 1
    assert (made != scores).sum() <= 8  # of 3,590: sums that lie on a half, or next to one


def test_qonnx_equals_the_simulator(exported, images, scores):
    graph = read_onnx(exported / "net_qonnx.onnx")
    made = evaluate(graph, images, np.float32)[graph.output].reshape(len(images), -1)
    np.testing.assert_array_equal(made, scores)


@pytest.mark.parametrize("form", ["qdq", "qonnx"])
def test_an_export_comes_in_again_with_equal_scores(exported, images, scores, form):
    back = exported / f"back_{form}.safetensors"
    made = import_network(ImportOptions(network=str(exported / f"net_{form}.onnx"), out=back))
    network = load_network(back)
    assert [layer.kind for layer in network.layers if layer.name == "fc"] == ["linear"]
    assert sum(layer.residual is not None for layer in network.convs) == 2
    np.testing.assert_array_equal(scores_of(network, images), scores)
    if form == "qonnx":
        assert "the network is exact" in made["notes"][-1]


@pytest.mark.parametrize("name", ["qdq", "qonnx", "exact"])
def test_files_are_valid_onnx_and_the_same_each_time(name):
    network = golden_networks()["residual"]
    (content,) = WRITERS[name](network, "net").values()
    onnx.checker.check_model(onnx.load_from_string(content))
    assert (content,) == tuple(WRITERS[name](network, "net").values())


def test_entries_decode_to_the_weights():
    rng = np.random.default_rng(0)
    for density in (0, 0.001, 0.02, 0.4, 0.6, 1):
        weight = rng.integers(1, 9, 4000).astype(np.int8) * (rng.random(4000) < density)
        made = entries(weight.astype(np.int8))
        decoded = np.zeros(4000, np.int8)
        if made.gap is None:
            decoded = made.weight
        else:
            places_ = np.cumsum(made.gap.astype(int) + 1) - 1
            decoded[places_] = made.weight
            assert made.gap.max(initial=0) <= MAX_GAP
        np.testing.assert_array_equal(decoded, weight)
        assert (made.gap is None) == (density > 0.5)


def test_maps_that_are_in_use_do_not_overlap():
    network = digits_network()
    offsets, length = places(network)
    shapes = network.shapes()
    names = list(offsets)
    last = {name: at for at, layer in enumerate(network.layers, 1) for name in layer.sources}
    for at, name in enumerate(names):
        begin, end = offsets[name], offsets[name] + int(np.prod(shapes[name]))
        assert end <= length
        for other in names[:at]:
            if last[other] >= at or other == INPUT:
                own = offsets[other], offsets[other] + int(np.prod(shapes[other]))
                assert own[1] <= begin or end <= own[0]


def test_digits_of_weights_add_up():
    weight = np.random.default_rng(1).integers(-128, 128, (2, 90_000)).astype(np.int8)
    parts = digits(weight, 255)
    assert all(np.abs(digit).sum(axis=1).max() * 255 < 1 << 24 for _, digit in parts)
    np.testing.assert_array_equal(sum(factor * digit for factor, digit in parts), weight)


def test_bad_formats_and_names(tmp_path, monkeypatch, capsys):
    path = tmp_path / "net.safetensors"
    save_network(golden_networks()["chain"], path)

    def refused(*options):
        return refuse(monkeypatch, capsys, "export", path, *options)

    assert "tflite" in refused("--format", "c,tflite", "--out", tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "b" / "net.h").mkdir(parents=True)
    assert "net.h" in refused("--out", tmp_path / "b")
    assert [one.name for one in (tmp_path / "b").iterdir()] == ["net.h"]
    code, out, _ = run(monkeypatch, capsys, "export", path, "--out", tmp_path / "c")
    assert (code, out.splitlines()[0]) == (0, f"wrote {tmp_path / 'c' / 'net.h'}")


def test_names_of_networks_and_layers_may_have_any_character(tmp_path):
    network = digits_network()
    layers = tuple(
        replace(layer, name="fc*/ \"é'") if layer.name == "fc" else layer
        for layer in network.layers
    )
    network = replace(network, name='*/ #error "\\', layers=layers)
    for name, content in WRITERS["c"](network, "1*").items():
        (tmp_path / name.replace("*", "x")).write_bytes(content.replace(b'"1*', b'"1x'))
    assert compiled(tmp_path, "1x").is_file()
