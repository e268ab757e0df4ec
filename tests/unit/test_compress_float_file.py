"""The file of a float network: round trip, and one sentence for every damage."""

import json
import re
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save, save_file

from sqhw.compress import (
    FloatConv,
    FloatNetwork,
    MaxPool,
    float_network,
    load_float,
    save_float,
)
from sqhw.errors import SqhwError
from sqhw.files.digest import network_digest
from sqhw.files.tensor_file import QUANTIZED_KEY
from sqhw.network.floats import FloatResidual


@pytest.fixture
def network():
    rng = np.random.default_rng(0)
    return FloatNetwork(
        name="small",
        input_shape=(2, 6, 6),
        input_max=255,
        mean=(0.1, 0.2),
        std=(0.5, 0.25),
        layers=(
            FloatConv(
                "conv1",
                "input",
                rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
                rng.normal(size=4).astype(np.float32),
                stride=2,
                padding=(0, 1, 0, 1),
                relu=True,
                ceiling=6.0,
                groups=2,
            ),
            FloatConv(
                "conv2",
                "conv1",
                rng.normal(size=(6, 4, 1, 1)).astype(np.float32),
                rng.normal(size=6).astype(np.float32),
                residual=FloatResidual("input", stride=2, first=3),
            ),
            MaxPool("pool", "conv2", 2, 1),
            FloatConv(
                "avg",
                "pool",
                np.full((6, 1, 2, 2), 0.25, np.float32),
                np.zeros(6, np.float32),
                kind="avgpool",
                groups=6,
            ),
            FloatConv(
                "fc",
                "avg",
                rng.normal(size=(5, 6, 1, 1)).astype(np.float32),
                np.zeros(5, np.float32),
                kind="linear",
            ),
        ),
        metadata={"seed": "0"},
    )


def test_round_trip_is_exact(network, tmp_path):
    path = tmp_path / "net.safetensors"
    save_float(network, path)
    back = load_float(path)
    for name in ("name", "input_shape", "input_max", "mean", "std", "metadata"):
        assert getattr(back, name) == getattr(network, name)
    for a, b in zip(network.layers, back.layers, strict=True):
        assert type(a) is type(b)
        for field in fields(a):
            one, other = getattr(a, field.name), getattr(b, field.name)
            assert np.array_equal(one, other), (a.name, field.name)
            assert type(one) is type(other), (a.name, field.name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]


def test_saving_twice_gives_the_same_bytes(network, tmp_path):
    save_float(network, tmp_path / "a")
    save_float(network, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_named(network, tmp_path, keep):
    path = tmp_path / "net"
    save_float(network, path)
    path.write_bytes(path.read_bytes()[:keep])
    message = f"^{re.escape(str(path))}: not a safetensors file, or a damaged one"
    with pytest.raises(SqhwError, match=message):
        load_float(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SqhwError, match=r"nowhere: no such file$"):
        load_float(tmp_path / "nowhere")


def test_other_safetensors_are_told_apart(tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "other")
    with pytest.raises(
        SqhwError, match=r"other: a safetensors file of plain tensors \(such as 'x'\), "
    ):
        load_float(tmp_path / "other")


def test_files_of_other_kinds_are_named(network, tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "small", {QUANTIZED_KEY: "{}"})
    with pytest.raises(SqhwError, match=r"small: a quantized network .*, not a float network; "):
        load_float(tmp_path / "small")
    save_float(network, tmp_path / "float")
    with pytest.raises(SqhwError, match=r"float: not the state dict of a module but a network"):
        float_network("digits-cnn", tmp_path / "float")


def change(path, edit):
    """Rewrite the topology of a saved network, with the right checksum."""
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        header = json.loads(file.metadata()["sqhw_float_network"])
    edit(header["network"], tensors)
    with suppress(ValueError):  # infinity, which is refused before the checksum is looked at
        header["sha256"] = network_digest(header["network"], tensors)
    path.write_bytes(save(tensors, {"sqhw_float_network": json.dumps(header)}))


def test_an_unknown_layer_kind_names_layer_kind_and_what_is_supported(network, tmp_path):
    path = tmp_path / "net"
    save_float(network, path)
    change(path, lambda topology, tensors: topology["layers"][2].update(kind="sumpool"))
    with pytest.raises(
        SqhwError,
        match=r": layer 'pool': unknown kind 'sumpool'; known: .*, avgpool, maxpool$",
    ):
        load_float(path)


@pytest.mark.parametrize("version", [1, 4, "2"])
def test_another_version_is_refused(network, tmp_path, version):
    path = tmp_path / "net"
    save_float(network, path)
    change(path, lambda topology, tensors: topology.update(version=version))
    with pytest.raises(SqhwError, match=rf": format version {version!r}, this sqhw reads 2 and 3$"):
        load_float(path)


def layer_of(index, **values):
    return lambda topology, tensors: topology["layers"][index].update(values)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t, a: a.pop("fc.weight"), "layer 'fc': tensor 'fc.weight' is missing"),
        (
            lambda t, a: a.update({"fc.bias": np.zeros(5)}),
            "layer 'fc': tensor 'fc.bias' must be float32, not float64",
        ),
        (
            lambda t, a: a.update({"more": np.zeros(5, np.float32)}),
            "tensor 'more' belongs to no layer",
        ),
        (lambda t, a: t.pop("mean"), "field 'mean' is missing"),
        (lambda t, a: t.update(layers=3), "field 'layers' must be list, not 3"),
        (lambda t, a: t.update(layers=[3]), "layer number 1: must be dict, not 3"),
        (
            lambda t, a: t.update(input_shape=[1, 2]),
            "field 'input_shape' must be a list of 3 whole numbers, not [1, 2]",
        ),
        (
            lambda t, a: t.update(input_shape=[2, 6.0, 6]),
            "field 'input_shape' must be a list of 3 whole numbers, not [2, 6.0, 6]",
        ),
        (lambda t, a: t.update(mean=["0"]), "field 'mean[0]' must be float, not '0'"),
        (lambda t, a: t.update(name=5), "field 'name' must be str, not 5"),
        (lambda t, a: t.update(metadata={"a": 1}), "field 'metadata.a' must be str, not 1"),
        (lambda t, a: t["layers"][0].pop("source"), "layer 'conv1': field 'source' is missing"),
        (layer_of(0, relu="false"), "layer 'conv1': field 'relu' must be bool, not 'false'"),
        (layer_of(0, relu=1), "layer 'conv1': field 'relu' must be bool, not 1"),
        (layer_of(0, groups=True), "layer 'conv1': field 'groups' must be int, not True"),
        (
            layer_of(0, stride=2.0),
            "layer 'conv1': field 'stride' must be a list of 2 whole numbers, not 2.0",
        ),
        (layer_of(0, ceiling="6"), "layer 'conv1': field 'ceiling' must be float, not '6'"),
        (layer_of(0, dilation=2), "layer 'conv1': unknown field 'dilation'; "),
        (layer_of(1, residual=[1]), "layer 'conv2': field 'residual' must be dict, not [1]"),
        (
            layer_of(1, padding=[0, 0]),
            "layer 'conv2': field 'padding' must be a list of 4 whole numbers, not [0, 0]",
        ),
        (
            lambda t, a: t["layers"][1]["residual"].update(stride=None),
            "layer 'conv2': field 'residual.stride' must be int, not None",
        ),
    ],
)
def test_a_missing_or_senseless_field_is_named(network, tmp_path, edit, message):
    path = tmp_path / "net"
    save_float(network, path)
    change(path, edit)
    with pytest.raises(SqhwError) as caught:
        load_float(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("layer", "values", "message"),
    [
        (0, {"groups": 0}, "groups must divide its 4 output channels, not 0"),
        (0, {"groups": 3}, "groups must divide its 4 output channels, not 3"),
        (0, {"groups": 1}, "weight is for 1 input channels, its input has 2"),
        (0, {"padding": [0, -1, 0, 0]}, r"padding must be four numbers >= 0, not \(0, -1, 0, 0\)"),
        (0, {"ceiling": -1}, "a ceiling needs a ReLU and must be positive, .*: -1.0"),
        (0, {"ceiling": 5e-324}, "a ceiling needs a ReLU and must be positive, .*: 5e-324"),
        (0, {"padding": [20000] * 4}, r"padding must be 0 to 1023, not \(20000, "),
        (2, {"name": "n" * 2000}, "a name of 2,000 characters"),
        (0, {"stride": 0}, "stride must be 1 or 2, not 0"),
        (0, {"kind": "avgpool"}, "an average pooling must have one filter a channel, of weights"),
        (0, {"source": "pool"}, "reads tensor 'pool', which no earlier layer makes"),
        (1, {"residual": {"source": "conv2", "stride": 1, "first": 0}}, "adds tensor 'conv2', whi"),
        (1, {"residual": {"source": "input", "stride": 1, "first": 0}}, "adds tensor 'input' of"),
        (1, {"residual": {"source": "input", "stride": 2, "first": 5}}, "adds the 2 channels of"),
        (1, {"residual": {"source": "input", "stride": 2, "first": -1}}, "adds the 2 channels of"),
        (2, {"kernel": 0}, "kernel must be at least 1, not 0"),
        (2, {"kernel": 10**19}, "its window is larger than its input map"),
        (2, {"name": "conv1"}, "the name is used twice"),
        (3, {"groups": 3}, "weight is for 3 input channels, its input has 6"),
    ],
)
def test_hostile_layers_are_named(network, tmp_path, layer, values, message):
    path = tmp_path / "net"
    save_float(network, path)
    change(path, lambda topology, tensors: topology["layers"][layer].update(values))
    with pytest.raises(SqhwError, match=rf"net: layer '\w+'(\.\.\.)?: {message}"):
        load_float(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_shape": [2, 0, 6]}, "input shape must be"),
        ({"input_max": 256}, "input_max must be 1 to 255, not 256"),
        ({"mean": [0.0] * 3}, "mean must have 1 or 2 values, not 3"),
        ({"std": [1.0, 1e300]}, "std must be"),
        ({"std": [1.0, 0.0]}, "std must be positive, .* not"),
    ],
)
def test_hostile_networks_are_named(network, tmp_path, values, message):
    path = tmp_path / "net"
    save_float(network, path)
    change(path, lambda topology, tensors: topology.update(values))
    with pytest.raises(SqhwError, match=f"net: network 'small'.* {message}"):
        load_float(path)


def test_deep_json_is_damage(tmp_path):
    path = tmp_path / "net"
    path.write_bytes(save({"x": np.zeros(1)}, {"sqhw_float_network": "[" * 200_000}))
    with pytest.raises(SqhwError, match=r"its metadata is damaged: nested more than 32 deep$"):
        load_float(path)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "-1e400"])
def test_numbers_that_are_none_are_damage(network, tmp_path, value):
    path = tmp_path / "net"
    save_float(network, path)
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        header = file.metadata()["sqhw_float_network"]
    assert '"ceiling": 6.0' in header
    header = header.replace('"ceiling": 6.0', f'"ceiling": {value}')
    path.write_bytes(save(tensors, {"sqhw_float_network": header}))
    with pytest.raises(SqhwError, match=r"net: its metadata is damaged: not JSON: "):
        load_float(path)


def test_one_changed_bit_is_damage(network, tmp_path):
    path = tmp_path / "net"
    save_float(network, path)
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    with pytest.raises(SqhwError, match=r"net: damaged: its content does not match its checksum$"):
        load_float(path)


def test_weights_that_are_not_those_of_an_average_pooling_are_refused(network):
    mean = network.layers[3]
    weight = mean.weight.copy()
    weight[2, 0, 1, 1] = 0.5
    layers = (*network.layers[:3], replace(mean, weight=weight))
    with pytest.raises(SqhwError, match=r"^layer 'avg': an average pooling must have one filter"):
        replace(network, layers=layers)
    assert network.weights == 4 * 9 + 6 * 4 + 5 * 6
    assert network.float_bits == 32 * (network.weights + 4 + 6 + 5)


def test_a_file_of_version_2_loads_and_is_written_again_as_it_was(tmp_path):
    golden = Path(__file__).parents[1] / "golden" / "float.safetensors"
    network = load_float(golden)
    first, second, pool, average, last = network.layers
    assert (network.name, network.mean, network.std) == ("golden", (0.5, 0.25), (0.5, 1.0))
    assert (first.ceiling, first.padding, first.groups) == (6.0, (0, 1, 0, 1), 2)
    assert second.residual == FloatResidual("input", stride=2, first=3)
    assert (pool.kernel, average.kind, last.kind) == (2, "avgpool", "linear")
    save_float(network, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == golden.read_bytes()


@pytest.mark.parametrize(
    ("pool", "version"),
    [
        (MaxPool("most", "conv1", 2, 2), 2),
        (MaxPool("most", "conv1", (2, 1), 2), 3),
        (MaxPool("most", "conv1", 2, (2, 1)), 3),
        (MaxPool("most", "conv1", 2, 2, (1, 0, 1, 0)), 3),
    ],
)
def test_the_newer_version_is_of_networks_that_the_older_cannot_hold(
    network, tmp_path, pool, version
):
    last = FloatConv("last", "most", np.ones((1, 4, 1, 1), np.float32), np.zeros(1, np.float32))
    path, found = tmp_path / "net", []
    save_float(replace(network, layers=(network.layers[0], pool, last)), path)
    change(path, lambda topology, tensors: found.append(topology["version"]))
    assert found == [version]
    assert load_float(path).layers[1] == pool
