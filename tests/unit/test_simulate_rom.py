"""`sqhw simulate --rom` and `--trace`: what is in the images, and what is inside the network."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import small_networks
from strategies import random_images, random_network

from sqhw.compiler.program import compile_network
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized_file import save_network
from sqhw.report.tables import simulate_lines
from sqhw.sim import reference, trace
from sqhw.sim.simulator import Simulator
from sqhw.steps.options import SimulateOptions
from sqhw.steps.program import labelled
from sqhw.steps.simulate import simulate
from sqhw.steps.simulate_rom import rom_network
from sqhw.steps.simulate_trace import trace_of

ENGINE = EngineConfig(
    lanes=8, bank_depth=4096, acc_bits=32, mult_bits=16, groups=True, residuals=True
)


def sparse_network(seed):
    network = random_network(seed, max_padding=1, max_stride=1, branches=True)
    return labelled(network, ENGINE, small_networks.DEVICE, {})


@pytest.mark.parametrize("seed", range(6))
def test_numbers_come_from_the_images(seed, tmp_path):
    network = sparse_network(seed)
    write_rom(compile_network(network, ENGINE), tmp_path)
    found = rom_network(tmp_path, network)
    assert found is not network
    images = random_images(network, seed, 2)
    np.testing.assert_array_equal(
        Simulator(found).logits(images), Simulator(network).logits(images)
    )
    for decoded, layer in zip(found.convs, network.convs, strict=True):
        for name in ("weight", "bias", "multiplier", "shift"):
            np.testing.assert_array_equal(getattr(decoded, name), getattr(layer, name))


@pytest.mark.parametrize("seed", range(6))
def test_a_folder_of_images_is_enough(seed, tmp_path):
    network = sparse_network(seed)
    write_rom(compile_network(network, ENGINE), tmp_path)
    found = rom_network(tmp_path)
    for decoded, layer in zip(found.layers, network.layers, strict=True):
        assert decoded.name == layer.name
        for name in ("weight", "bias", "multiplier", "shift", "codebook", "stream", "output"):
            if hasattr(layer, name):
                np.testing.assert_array_equal(getattr(decoded, name), getattr(layer, name))
    images = random_images(network, seed, 2)
    for name, maps in Simulator(network).run(images).items():
        np.testing.assert_array_equal(Simulator(found).run(images)[name], maps)


def test_images_alone_of_every_kind_of_layer(tmp_path):
    network = labelled(small_networks.network(), small_networks.ENGINE, small_networks.DEVICE, {})
    write_rom(compile_network(network, small_networks.ENGINE, 2), tmp_path)
    images = random_images(network, 0, 3)
    np.testing.assert_array_equal(
        Simulator(rom_network(tmp_path)).logits(images), Simulator(network).logits(images)
    )


def forged(folder, change):
    """Change the graph of a manifest."""
    path = folder / "rom.json"
    manifest = json.loads(path.read_text())
    change(manifest["graph"])
    path.write_text(json.dumps(manifest))


#: Changes of the graph, with what the refusal says. The network begins with a convolution.
FORGERIES = {
    "newer": (lambda graph: graph.update(version=2), "version 2 is newer than this sqhw"),
    "type": (lambda graph: graph.update(layers={}), "'layers' must be list"),
    "kind": (lambda graph: graph["layers"][0].update(kind="x"), "unknown kind 'x'"),
    "field": (lambda graph: graph["layers"][0].pop("kernel"), "'kernel' is missing"),
    "kernel": (lambda graph: graph["layers"][0].update(kernel=[1 << 30, 1]), "each side must be"),
    "huge": (lambda graph: graph["layers"][0].update(kernel=[60000, 60000]), "all layers may have"),
    "codebook": (lambda graph: graph["layers"][0].update(codebook_values=0), "must be 1 to 256"),
    "longer": (lambda graph: graph["layers"][0].update(codebook_values=256), "codebook"),
    "source": (lambda graph: graph["layers"][0].update(source="nowhere"), "nowhere"),
    "padding": (
        lambda graph: graph["layers"][0].update(padding=[1, 1, 3, 3], kernel=[3, 3]),
        "layer|digest",
    ),
    "output": (
        lambda graph: graph["layers"][-1].update(output={"bits": 3, "signed": True}),
        "digest of params.hex in rom.json is another",
    ),
    "shape": (lambda graph: graph["input_shape"].reverse(), "layer|digest"),
    "more": (
        lambda graph: graph["layers"].extend(
            {**graph["layers"][0], "name": f"more{at}"} for at in range(99)
        ),
        "layer 'more0'",
    ),
    "fewer": (lambda graph: graph["layers"].clear(), "layer"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_graph_that_images_contradict_is_refused(name, tmp_path):
    network = labelled(small_networks.network(), small_networks.ENGINE, small_networks.DEVICE, {})
    write_rom(compile_network(network, small_networks.ENGINE), tmp_path)
    change, expected = FORGERIES[name]
    forged(tmp_path, change)
    with pytest.raises(SqhwError, match=expected) as error:
        rom_network(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "rom.json"))


def test_a_manifest_without_a_graph_is_refused(tmp_path):
    write_rom(compile_network(sparse_network(1), ENGINE), tmp_path)
    path = tmp_path / "rom.json"
    manifest = json.loads(path.read_text())
    del manifest["graph"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(SqhwError, match="does not have the graph of the network; write the images"):
        rom_network(tmp_path)
    assert rom_network(tmp_path, sparse_network(1)).name == "random"


@pytest.mark.parametrize("rom", ["weights", "params", "codebook"])
def test_images_that_are_changed_with_their_digest_are_refused(rom, tmp_path):
    """Whatever the words say, there is one sentence and no traceback."""
    write_rom(compile_network(sparse_network(1), ENGINE), tmp_path)
    path, manifest = tmp_path / f"{rom}.hex", json.loads((tmp_path / "rom.json").read_text())
    lines = path.read_text().splitlines()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(15):
        changed = list(lines)
        at = int(random.integers(len(lines)))
        changed[at] = "".join(random.permutation(list("0123456789abcdef"))[: len(lines[0])])
        path.write_text("\n".join(changed) + "\n")
        manifest["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (tmp_path / "rom.json").write_text(json.dumps(manifest))
        try:
            rom_network(tmp_path)
        except SqhwError:
            refused += 1
    assert refused


def test_a_network_or_a_folder_is_needed():
    with pytest.raises(SqhwError, match="no network to simulate; name a quantized network, or"):
        simulate(SimulateOptions())


def test_a_network_of_every_kind_of_layer(tmp_path):
    network = labelled(small_networks.network(), small_networks.ENGINE, small_networks.DEVICE, {})
    write_rom(compile_network(network, small_networks.ENGINE, 2), tmp_path)
    assert rom_network(tmp_path, network).nonzeros == network.nonzeros


def test_images_of_another_network_are_refused(tmp_path):
    network = sparse_network(0)
    write_rom(compile_network(network, ENGINE), tmp_path)
    conv = network.convs[0]
    layers = [
        replace(layer, bias=layer.bias + 1) if layer is conv else layer for layer in network.layers
    ]
    other = replace(network, layers=tuple(layers))
    with pytest.raises(SqhwError, match=r"are not those of network 'random': the digest of params"):
        rom_network(tmp_path, other)


def test_a_truncated_image_is_refused(tmp_path):
    network = sparse_network(3)
    write_rom(compile_network(network, ENGINE), tmp_path)
    path = tmp_path / "params.hex"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SqhwError, match=r"params\.hex is not the file that .*rom\.json"):
        rom_network(tmp_path, network)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(SqhwError, match=r"rom\.json is missing beside the ROM images"):
        rom_network(tmp_path, sparse_network(3))


@pytest.mark.parametrize("seed", range(6))
def test_the_trace_is_that_of_the_reference(seed):
    network = sparse_network(seed)
    images = random_images(network, seed, 11)
    maps = [reference.run(network, image) for image in images]
    for layer in trace.trace(network, images):
        values = np.stack([tensors[layer.name] for tensors in maps])
        assert layer.histogram.sum() == values.size
        assert layer.zeros == (values == 0).mean()
        low, high = layer.lowest, layer.lowest + len(layer.histogram) - 1
        assert layer.saturated == ((values == low).sum(), (values == high).sum())
        if layer.bound is not None:
            assert -layer.bound <= layer.lowest_sum <= layer.highest_sum <= layer.bound


def test_the_range_of_sums():
    network = small_networks.network()
    images = np.full((1, *network.input_shape), 255)
    first = trace.trace(network, images)[0]
    bias = int(network.layers[0].bias[0])
    assert (first.lowest_sum, first.highest_sum) == (bias + 12 * 255, bias + 27 * 255)
    assert first.bound == first.highest_sum


def test_the_lines_of_a_trace():
    network = small_networks.network()
    images = random_images(network, 0, 3)
    lines = simulate_lines(
        {
            "images": 3,
            "simulator_accuracy": 1.0,
            "torch_accuracy": 1.0,
            "compared_with": "PyTorch",
            "images_compared": 3,
            "images_that_differ": 0,
            "logits_compared": 30,
            "rom": "build/rom",
            "trace": trace_of(network, images, 50.0),
        }
    )
    assert "  weights and constants decoded from the ROM images in build/rom" in lines
    assert "trace of 3 images" in lines
    assert lines[-1] == "  all maps of image 0 equal those of the NumPy reference"


def test_the_first_mismatch_is_located(monkeypatch):
    network = small_networks.network()
    image = random_images(network, 0, 1)[0]
    right = reference.run

    def wrong(network, image):
        tensors = right(network, image)
        tensors["depth"][3, 2, 1] += 1
        return tensors

    monkeypatch.setattr(reference, "run", wrong)
    found = trace.first_mismatch(network, image)
    assert (found.layer, found.channel, found.row, found.column) == ("depth", 3, 2, 1)
    assert found.reference == found.simulator + 1
    assert str(found).startswith("layer 'depth', channel 3, row 2, column 1: simulator ")


@pytest.mark.parametrize("compare", [0, 2, None])
def test_as_many_images_are_compared_as_asked_for(compare, tmp_path):
    network = labelled(small_networks.network(), small_networks.ENGINE, small_networks.DEVICE, {})
    save_network(network, tmp_path / "net.safetensors")
    images = random_images(network, 0, 60).astype(np.uint8)
    classes = int(np.prod(network.shapes()[network.layers[-1].name]))
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(60) % classes)
    options = SimulateOptions(
        network=tmp_path / "net.safetensors", data=f"npz:{tmp_path / 'data.npz'}", compare=compare
    )
    result = simulate(options)
    expected = result["images"] if compare is None else compare
    assert result["images_compared"] == expected
    assert ("torch_accuracy" in result) == (compare is None)
    said = {
        0: "  no logits compared with another computation (--compare 0)",
        2: f"  the first images only; all of them with --compare {result['images']}",
        None: f"  simulator == PyTorch on {expected} of {expected} images",
    }[compare]
    assert any(line.startswith(said) for line in simulate_lines(result))
