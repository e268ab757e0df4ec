import hashlib
import json
from contextlib import suppress
from dataclasses import fields, replace

import numpy as np
import pytest
from float_networks import residual_network
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save
from strategies import networks, random_network

from sqhw.compress import save_float
from sqhw.errors import SqhwError
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Gap
from sqhw.network import quantized_file as network_file
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual
from sqhw.network.quantized_file import load_network, save_network


def example(**changes):
    weight = np.array([[[[4]], [[0]]], [[[-3]], [[4]]]], np.int8)
    conv = Conv(
        name="c1",
        source="input",
        weight=weight,
        bias=np.array([10, -10], np.int32),
        multiplier=np.array([1, 3], np.int32),
        shift=np.array([0, 2], np.int32),
        stride=1,
        padding=(0, 0, 0, 0),
        codebook=(-3, 4),
        stream=Gap(1, 1),
        output=ActivationFormat(4, signed=True),
        weight_scale=np.array([0.1, 1 / 3]),
        output_scale=0.1,
        kind="linear",
        residual=Residual("input", weight=3, stride=1, first=0),
    )
    mean = replace(
        conv,
        name="a1",
        source="p1",
        weight=np.ones((2, 1, 2, 2), np.int8),
        codebook=(1,),
        kind="avgpool",
        groups=2,
        residual=None,
    )
    layers = (conv, MaxPool("p1", "c1", kernel=2, stride=2), mean)
    network = QuantizedNetwork(
        "example", (2, 4, 5), ActivationFormat(8, signed=False), layers, {"note": "größer"}
    )
    return replace(network, **changes)


def assert_same(found, expected):
    assert type(found) is type(expected)
    for field in fields(expected):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "layers":
            assert len(a) == len(b)
            for one, other in zip(a, b, strict=True):
                assert_same(one, other)
        elif isinstance(b, np.ndarray):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        else:
            assert (a, type(a)) == (b, type(b))


def test_loads_back_identical(tmp_path):
    save_network(example(), tmp_path / "net.safetensors")
    assert_same(load_network(tmp_path / "net.safetensors"), example())
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@given(networks(branches=True), st.dictionaries(st.text(), st.text(), max_size=3), st.text())
def test_any_network_loads_back_identical(tmp_path_factory, network, metadata, name):
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    network = replace(network, metadata=metadata, name=name)
    save_network(network, path)
    assert_same(load_network(path), network)


def test_saved_twice_gives_the_same_bytes(tmp_path):
    for seed in range(10):
        for name in ("a", "b"):
            save_network(random_network(seed), tmp_path / name)
        save_network(load_network(tmp_path / "a"), tmp_path / "c")
        contents = {(tmp_path / name).read_bytes() for name in "abc"}
        assert len(contents) == 1


def test_views_are_saved_by_value(tmp_path):
    # safetensors copies memory, so it would save the elements of these in another order.
    conv, *others = example().layers
    transposed = np.ascontiguousarray(conv.weight.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
    strided = np.repeat(conv.bias, 2)[::2]
    network = example(layers=(replace(conv, weight=transposed, bias=strided), *others))
    save_network(network, tmp_path / "net")
    assert_same(load_network(tmp_path / "net"), example())


def test_a_network_without_weights(tmp_path):
    network = example(layers=(MaxPool("p", "input", 1, 1),))
    save_network(network, tmp_path / "net")
    assert_same(load_network(tmp_path / "net"), network)


@pytest.mark.parametrize(
    ("pool", "version"),
    [
        (MaxPool("p", "input", 2, 2), 1),
        (MaxPool("p", "input", (2, 1), 2), 2),
        (MaxPool("p", "input", 2, (2, 1)), 2),
        (MaxPool("p", "input", 2, 2, (1, 1, 0, 0)), 2),
    ],
)
def test_the_newer_version_is_of_networks_that_the_older_cannot_hold(tmp_path, pool, version):
    network = example(layers=(pool,))
    path = tmp_path / "net"
    save_network(network, path)
    with safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()["sqhw"])["version"] == version
    assert_same(load_network(path), network)


def message(path):
    with pytest.raises(SqhwError) as error:
        load_network(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@given(st.data())
def test_any_changed_byte_is_noticed_or_harmless(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("net") / "net"
    save_network(example(), path)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    # A changed blank of the header's padding, for one, is harmless.
    with suppress(SqhwError):
        assert_same(load_network(path), example())


@given(st.integers(0, 1 << 20))
def test_any_truncation_is_noticed(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("net") / "net"
    save_network(example(), path)
    content = path.read_bytes()
    path.write_bytes(content[: length % len(content)])
    assert message(path).startswith("not a safetensors file, or a damaged one (")


@pytest.mark.parametrize("content", [b"", b"PNG", b"\xff" * 99])
def test_another_kind_of_file(tmp_path, content):
    path = tmp_path / "net"
    path.write_bytes(content)
    assert message(path).startswith("not a safetensors file, or a damaged one (")


def test_no_file(tmp_path):
    assert message(tmp_path / "net") == "no such file"
    assert message(tmp_path) == "this is a directory"


def test_a_float_network_is_told_from_a_quantized_one(tmp_path):
    path = tmp_path / "net"
    save_float(residual_network(), path)
    assert message(path) == (
        "a network of floats (from sqhw train or import), not a quantized network; quantize it "
        "first (sqhw compress)"
    )


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_somebody_else(tmp_path, metadata):
    path = tmp_path / "net"
    path.write_bytes(save({"w": np.zeros(3, np.float32)}, metadata))
    assert message(path).startswith(
        "a safetensors file of plain tensors (such as 'w'), not one that sqhw saved; if it is the "
        "state dict of a network of the zoo, run `sqhw import NAME --checkpoint FILE`"
    )


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3"])
def test_tensor_type_that_numpy_lacks(tmp_path, dtype):
    path = tmp_path / "net"
    header = {
        "__metadata__": {"sqhw": json.dumps({"format": network_file.FORMAT, "version": 1})},
        "w": {"dtype": dtype, "shape": [2], "data_offsets": [0, 4 if dtype == "BF16" else 2]},
    }
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * (4 if "B" in dtype else 2))
    assert message(path) == "tensor 'w' has a type or a shape that sqhw does not use"


def checksum(description, tensors):
    """Return the checksum as the module's documentation says it, written independently."""
    content = json.dumps(description, sort_keys=True).encode()
    for name, array in sorted(tensors.items()):
        content += f"\n{name} {array.dtype} {array.shape}\n".encode() + array.tobytes()
    return hashlib.sha256(content).hexdigest()


def forge(tmp_path, edit, *, sign=True):
    """Write the example with header and tensors edited, with the right checksum if `sign`."""
    path = tmp_path / "net"
    save_network(example(), path)
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["sqhw"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    edit(header, tensors)
    if sign:
        header["sha256"] = checksum(header["network"], tensors)
    path.write_bytes(save(tensors, {"sqhw": json.dumps(header)}))
    return message(path)


def test_not_json(tmp_path):
    path = tmp_path / "net"
    for text in ("{", '{"a": NaN}', '{"a": 1, "a": 1}', f'{{"a": {"9" * 5000}}}'):
        path.write_bytes(save({}, {"sqhw": text}))
        assert message(path).startswith("its metadata is damaged: not JSON: ")
    path.write_bytes(save({}, {"sqhw": "[" * 100000}))
    assert message(path) == "its metadata is damaged: nested more than 32 deep"


def header_field(name, value):
    return lambda header, tensors: header.__setitem__(name, value)


def network_field(name, value):
    return lambda header, tensors: header["network"].__setitem__(name, value)


def layer_field(name, value):
    return lambda header, tensors: header["network"]["layers"][0].__setitem__(name, value)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (header_field("format", "x"), "its format is not 'sqhw-quantized-network'"),
        (
            header_field("version", 3),
            "format version 3 is newer than this sqhw, which reads up to 2; update sqhw",
        ),
        (header_field("version", 0), "format version 0 does not exist"),
        (header_field("version", "1"), "field 'version' must be int, not '1'"),
        (header_field("version", True), "field 'version' must be int, not True"),
        (
            network_field("layers", {}),
            "field 'layers' must be list, not {}",
        ),
        (network_field("layers", [7]), "layer number 1: must be dict, not 7"),
        (network_field("layers", [{}]), "layer number 1: field 'kind' is missing"),
        (network_field("name", 7), "field 'name' must be str, not 7"),
        (
            network_field("input_shape", [2, 4]),
            "field 'input_shape' must be a list of 3 whole numbers, not [2, 4]",
        ),
        (
            network_field("input_format", {"bits": 9, "signed": True}),
            "field 'input_format': activation bits must be 2 to 8, not 9",
        ),
        (network_field("metadata", {"a": 1}), "field 'metadata.a' must be str, not 1"),
        (
            layer_field("kind", "deconv"),
            "layer 'c1': unknown kind 'deconv'; known: conv, linear, avgpool, maxpool",
        ),
        (
            layer_field("codebook", [-3, 4.0]),
            "layer 'c1': field 'codebook' must be a list of whole numbers, not [-3, 4.0]",
        ),
        (
            layer_field("stream", {"gap_bits": 13, "code_bits": 1}),
            "layer 'c1': field 'stream': gap_bits must be 0 to 12, not 13",
        ),
        (layer_field("output_scale", 1), "layer 'c1': field 'output_scale' must be float, not 1"),
        (layer_field("groups", 3), "layer 'c1': groups must divide its 2 output channels, not 3"),
        (layer_field("groups", True), "layer 'c1': field 'groups' must be int, not True"),
        (layer_field("groups", None), "layer 'c1': field 'groups' must be int, not None"),
        (layer_field("residual", 3), "layer 'c1': field 'residual' must be dict, not 3"),
        (
            layer_field("residual", {"source": "input"}),
            "layer 'c1': field 'residual.weight' is missing",
        ),
        # rules of sqhw.network.quantized
        (layer_field("stride", 3), "layer 'c1': stride must be 1 or 2, not 3"),
        (layer_field("codebook", [-3, 5]), "layer 'c1': weight 4 is not in its codebook"),
    ],
)
def test_wrong_content(tmp_path, edit, text):
    assert forge(tmp_path, edit) == text


@pytest.mark.parametrize("name", ["weight", "bias", "multiplier", "shift", "weight_scale"])
def test_missing_tensor(tmp_path, name):
    found = forge(tmp_path, lambda header, tensors: tensors.pop(f"c1.{name}"))
    assert found == f"layer 'c1': tensor 'c1.{name}' is missing"


def test_tensor_of_another_type(tmp_path):
    def edit(header, tensors):
        tensors["c1.bias"] = tensors["c1.bias"].astype(np.int64)

    assert forge(tmp_path, edit) == "layer 'c1': tensor 'c1.bias' must be int32, not int64"


def test_tensor_too_many(tmp_path):
    def edit(header, tensors):
        tensors["c2.bias"] = tensors["c1.bias"]

    assert forge(tmp_path, edit) == "tensor 'c2.bias' belongs to no layer"


def test_changed_weight_that_breaks_no_rule(tmp_path):
    def edit(header, tensors):
        tensors["c1.weight"][0, 0] = -3

    found = forge(tmp_path, edit, sign=False)
    assert found == "damaged: its content does not match its checksum"


def without(*path):
    """Return an edit that takes a field of layer c1 away."""

    def edit(header, tensors):
        record = header["network"]["layers"][0]
        for name in path[:-1]:
            record = record[name]
        del record[path[-1]]

    return edit


@pytest.mark.parametrize("name", ["groups", "residual"])
def test_missing_field(tmp_path, name):
    assert forge(tmp_path, without(name)) == f"layer 'c1': field {name!r} is missing"


@pytest.mark.parametrize("name", ["source", "weight", "stride", "first"])
def test_missing_residual_field(tmp_path, name):
    found = forge(tmp_path, without("residual", name))
    assert found == f"layer 'c1': field 'residual.{name}' is missing"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("source", 1, "field 'residual.source' must be str, not 1"),
        ("weight", 3.0, "field 'residual.weight' must be int, not 3.0"),
        ("stride", True, "field 'residual.stride' must be int, not True"),
        ("first", None, "field 'residual.first' must be int, not None"),
        # rules of sqhw.network.quantized
        ("source", "a1", "adds tensor 'a1', which no earlier layer makes"),
        ("weight", 128, "residual weight must be 1 to 127, not 128"),
        ("first", 1, "adds the 2 channels of 'input' from channel 1 on, it has 2"),
    ],
)
def test_wrong_residual_field(tmp_path, name, value, text):
    def edit(header, tensors):
        header["network"]["layers"][0]["residual"][name] = value

    assert forge(tmp_path, edit) == f"layer 'c1': {text}"


@pytest.mark.parametrize("kind", ["conv", "linear", "avgpool"])
def test_every_kind_loads_back(tmp_path, kind):
    conv, *others = example().layers
    network = example(layers=(replace(conv, kind=kind), *others))
    save_network(network, tmp_path / "net")
    assert_same(load_network(tmp_path / "net"), network)


def test_numpy_integers_are_saved_as_numbers(tmp_path):
    conv, *others = example().layers
    skip = Residual("input", np.int64(3), np.int32(1), np.int8(0))
    network = example(layers=(replace(conv, residual=skip), *others[:1]))
    save_network(network, tmp_path / "net")
    loaded = load_network(tmp_path / "net").layers[0]
    assert loaded.residual == Residual("input", 3, 1, 0)
    assert type(loaded.residual.weight) is int


def test_missing_directory(tmp_path):
    with pytest.raises(SqhwError, match=r"^cannot write .*: directory .* does not exist$"):
        save_network(example(), tmp_path / "no" / "net")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"weight_scale": np.ones(2, np.float32)},
            "layer 'c1': weight_scale must be float64, not float32",
        ),
        (
            {"output_scale": float("nan")},
            "network 'example' cannot be saved: Out of range float values are not JSON compliant",
        ),
    ],
)
def test_what_could_not_be_read_back_is_not_saved(tmp_path, changes, text):
    conv, *others = example().layers
    network = example(layers=(replace(conv, **changes), *others))
    with pytest.raises(SqhwError) as error:
        save_network(network, tmp_path / "net")
    assert str(error.value).removesuffix(": nan") == text
    assert not (tmp_path / "net").exists()
