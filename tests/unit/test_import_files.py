"""`sqhw import FILE`: what it writes, compares and refuses."""

import json

import numpy as np
import pytest
from command_line import refuse, run
from onnx_files import model, node, saved

from sqhw.frontends import import_onnx
from sqhw.network.float_file import load_float

RNG = np.random.default_rng(5)


def digits(*, tail=()):
    """A network for images of 1x8x8."""
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f v", "s"),
        node("Softmax", "s", "y"),
        *tail,
    ]
    arrays = {
        "w": RNG.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "b": RNG.normal(size=4).astype(np.float32),
        "v": RNG.normal(size=(4, 10)).astype(np.float32),
    }
    return model(nodes, arrays, (1, 1, 8, 8))


def test_a_file_becomes_a_float_network(monkeypatch, capsys, tmp_path):
    path, out = saved(digits(), tmp_path), tmp_path / "new/float.safetensors"
    command = ["import", path, "--input-max", 16, "--mean", 0.1, "--std", 0.5, "--out", out]
    code, text, _ = run(monkeypatch, capsys, *command)
    assert code == 0
    assert text.startswith("net: 76 weights, 4 operators in 3 layers, wrote ")
    assert "  note: layer 'Softmax:y': the softmax at the end is left out" in text
    found = load_float(out)
    right = import_onnx(path, input_max=16, mean=(0.1,), std=(0.5,))
    assert (found.input_max, found.mean, found.std) == (16, (0.1,), (0.5,))
    for a, b in zip(found.convs, right.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)


def test_it_is_compared_with_another_program(monkeypatch, capsys, tmp_path):
    path, out = saved(digits(), tmp_path), tmp_path / "float.safetensors"
    command = ["import", path, "--input-max", 16, "--out", out, "--check", "--data", "digits"]
    code, text, _ = run(monkeypatch, capsys, *command, "--json")
    assert code == 0
    check = json.loads(text)["check"]
    assert check["images"] == 8 + 256
    assert 0 < check["difference"] < 1e-4 * check["largest"]
    assert check["accuracy"] == check["program_accuracy"]
    code, text, _ = run(monkeypatch, capsys, *command)
    assert "  check: largest difference from " in text
    assert "  accuracy: " in text


def test_the_evaluator_of_onnx_does_where_there_is_no_runtime(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sqhw.frontends.onnx_file.oracle.has_package", lambda name: False)
    out = tmp_path / "float.safetensors"
    command = ["import", saved(digits(), tmp_path), "--out", out, "--check", "--json"]
    code, text, _ = run(monkeypatch, capsys, *command)
    assert code == 0
    assert json.loads(text)["check"]["program"].startswith("the reference evaluator of onnx")


def test_check_only_writes_nothing(monkeypatch, capsys, tmp_path):
    out = tmp_path / "float.safetensors"
    command = ["import", saved(digits(), tmp_path), "--check-only", "--out", out]
    code, text, _ = run(monkeypatch, capsys, *command)
    assert code == 0
    assert "all can be imported; nothing written" in text
    tail = [node("Resize", "y a b", "z"), node("GRU", "z a b", "u")]
    made = digits(tail=tail)
    made.graph.output[0].name = "u"
    made.graph.initializer.extend(model([], {"a": np.zeros(0), "b": np.zeros(0)}).graph.initializer)
    message = refuse(monkeypatch, capsys, "import", saved(made, tmp_path), *command[2:])
    assert "Resize 'Resize:z' is not supported" in message
    assert "GRU 'GRU:u' is not supported" in message
    assert not out.exists()


def test_shapes_left_open_are_named(monkeypatch, capsys, tmp_path):
    made = digits()
    for dim in made.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "size"
    path, out = saved(made, tmp_path), tmp_path / "float.safetensors"
    message = refuse(monkeypatch, capsys, "import", path, "--out", out)
    assert "name the shape with input_shape (--input-shape)" in message
    command = ["import", path, "--out", out, "--input-shape", "1x8x8", "--check"]
    assert run(monkeypatch, capsys, *command)[0] == 0
    assert load_float(out).input_shape == (1, 8, 8)
    code, _, err = run(monkeypatch, capsys, *command[:-2], "8 x 8")
    assert code == 2
    assert "must read as sizes" in err


def test_other_files_are_named(monkeypatch, capsys, tmp_path):
    out = tmp_path / "float.safetensors"
    for name, content, what in (
        ("net.h5", b"\x89HDF\r\n\x1a\n" + bytes(20), "this is a Keras or HDF5 file"),
        (
            "net.bin",
            b"something else",
            "neither an ONNX nor a TensorFlow Lite file, nor one of torch.export.save",
        ),
        ("net.onnx", b"something else", "not an ONNX file"),
    ):
        (tmp_path / name).write_bytes(content)
        message = refuse(monkeypatch, capsys, "import", tmp_path / name, "--out", out)
        assert message.startswith(f"{tmp_path / name}: ")
        assert what in message
    message = refuse(monkeypatch, capsys, "import", tmp_path / "none.onnx", "--out", out)
    assert message == f"{tmp_path / 'none.onnx'}: no such file"
    path = saved(digits(), tmp_path)
    message = refuse(monkeypatch, capsys, "import", path, "--out", path)
    assert "same file" in message
    message = refuse(monkeypatch, capsys, "import", path, "--checkpoint", path, "--out", out)
    assert message.endswith("a model's file has its own weights; leave --checkpoint out")


@pytest.mark.parametrize("name", ["resnet8", "no-such-network"])
def test_names_without_a_suffix_are_of_the_zoo(monkeypatch, capsys, tmp_path, name):
    out = tmp_path / "float.safetensors"
    code, text, err = run(monkeypatch, capsys, "import", name, "--out", out)
    assert (code, out.exists()) == ((0, True) if name == "resnet8" else (1, False))
    assert "random weights (no --checkpoint)" in text or "unknown network" in err


@pytest.mark.parametrize("options", [["--check-only"], ["--check"], ["--data", "digits"]])
def test_options_without_effect_are_refused(monkeypatch, capsys, tmp_path, options):
    out = tmp_path / "float.safetensors"
    message = refuse(monkeypatch, capsys, "import", "resnet8", *options, "--out", out)
    why = "it is a network of the zoo, and the option is for models' files"
    assert message == f"resnet8: {why}; leave {options[0]} out"
    if options != ["--check-only"]:
        path = saved(digits(), tmp_path)
        command = ["import", path, "--check-only", *options, "--out", out]
        assert message != refuse(monkeypatch, capsys, *command)
    assert not out.exists()


def test_texts_that_are_not_unicode(monkeypatch, capsys, tmp_path):
    path = saved(digits(), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Softmax", b"Softma\xff"))
    message = refuse(monkeypatch, capsys, "import", path, "--out", tmp_path / "out.safetensors")
    assert message.startswith(f"{path}: a damaged ONNX file: field 'op_type' has a text")
