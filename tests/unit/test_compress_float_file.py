"""The file of a float network: round trip, and one sentence for every damage."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from sqhw.compress import FloatConv, FloatMaxPool, FloatNetwork, load_float, save_float
from sqhw.errors import SqhwError


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
                rng.normal(size=(3, 2, 3, 3)).astype(np.float32),
                rng.normal(size=3).astype(np.float32),
                stride=2,
                padding=(0, 1, 0, 1),
                relu=True,
            ),
            FloatMaxPool("pool", 3, 1),
            FloatConv(
                "fc",
                rng.normal(size=(4, 3, 1, 1)).astype(np.float32),
                np.zeros(4, np.float32),
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
    for a, b in zip(network.convs, back.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)
        assert (a.name, a.stride, a.padding, a.relu, a.kind) == (
            b.name,
            b.stride,
            b.padding,
            b.relu,
            b.kind,
        )
    assert back.layers[1] == network.layers[1]
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
    message = f"^{re.escape(str(path))} is damaged or not a safetensors file$"
    with pytest.raises(SqhwError, match=message):
        load_float(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SqhwError, match=r"nowhere: no such file$"):
        load_float(tmp_path / "nowhere")


def test_other_safetensors_are_told_apart(tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "other")
    with pytest.raises(SqhwError, match=r"safetensors file, but not of an sqhw float network$"):
        load_float(tmp_path / "other")


def change(path, edit):
    """Rewrite the topology of a saved network."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        header = json.loads(file.metadata()["sqhw_float_network"])
    edit(header["network"], tensors)
    path.write_bytes(save(tensors, {"sqhw_float_network": json.dumps(header)}))


def test_an_unknown_layer_kind_names_layer_kind_and_what_is_supported(network, tmp_path):
    path = tmp_path / "net"
    save_float(network, path)
    change(path, lambda topology, tensors: topology["layers"][1].update(kind="avgpool"))
    with pytest.raises(
        SqhwError,
        match=r"layer 'pool' is of unknown kind 'avgpool'; supported: conv, linear, maxpool$",
    ):
        load_float(path)


def test_a_later_version_is_refused(network, tmp_path):
    path = tmp_path / "net"
    save_float(network, path)
    change(path, lambda topology, tensors: topology.update(version=2))
    with pytest.raises(SqhwError, match=r"has format version 2, this sqhw reads 1$"):
        load_float(path)


def test_a_missing_tensor_or_field_is_damage(network, tmp_path):
    path = tmp_path / "net"
    for edit in (
        lambda topology, tensors: tensors.pop("fc.weight"),
        lambda topology, tensors: topology.pop("mean"),
        lambda topology, tensors: topology.update(layers=3),
        lambda topology, tensors: topology.update(input_shape=[1, 2]),
    ):
        save_float(network, path)
        change(path, edit)
        with pytest.raises(SqhwError, match="is damaged: its topology does not read"):
            load_float(path)


def test_one_changed_bit_is_damage(network, tmp_path):
    path = tmp_path / "net"
    save_float(network, path)
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    with pytest.raises(SqhwError, match=r"is damaged: its content does not match its checksum$"):
        load_float(path)


def test_layers_that_do_not_fit_are_refused(network):
    from dataclasses import replace

    with pytest.raises(SqhwError, match=r"^layer 'fc': weight has shape .* input has 2 channels$"):
        replace(network, layers=(network.layers[2],))
