"""`sqhw import` of TensorFlow Lite files: what is written, compared and refused."""

import json

import numpy as np
import pytest
from command_line import run
from tflite_files import TfliteFile, conv_options, float_cnn, int8_cnn

from sqhw.compiler.program import compile_network
from sqhw.errors import SqhwError
from sqhw.frontends import neutral as n
from sqhw.frontends.folding.float_walk import logits
from sqhw.frontends.neutral.dequantize import dequantized
from sqhw.frontends.tflite.model import parse_model
from sqhw.frontends.tflite.reader import graph_of
from sqhw.frontends.tflite.running import run_integers
from sqhw.network.float_file import load_float
from sqhw.network.quantized_file import load_network
from sqhw.sim import reference
from sqhw.sim.simulator import Simulator
from sqhw.steps.import_network import import_network
from sqhw.steps.import_quantized import COMMON_DEVICE
from sqhw.steps.options import ImportOptions, RomOptions, SizeOptions
from sqhw.steps.rom import rom
from sqhw.steps.size import size_network


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(int8_cnn())
    return path


def test_int8_file_becomes_a_network_that_compiles(model, tmp_path):
    out = tmp_path / "network.safetensors"
    result = import_network(ImportOptions(network=str(model), out=out))
    network = load_network(out)
    assert (result["file"], result["format"], result["layers"]) == (str(out), "tflite", 9)
    check = result["quantized"]
    assert check["kernels"] == "TFLite reference kernels"
    assert (check["images"], check["random"]) == (8, True)
    assert [row["layer"] for row in check["layers"]][:2] == ["conv_2d_0", "conv_2d_1"]
    assert max(row["largest"] for row in check["layers"]) <= 2
    assert network.facts.engine.mult_bits == 16
    assert network.facts.device is None
    assert network.facts.layer_weights["conv_2d_0"] == 6 * 2 * 9
    assert "zero point 211" in network.facts.notes
    compile_network(network, network.facts.engine)
    image = np.random.default_rng(0).integers(0, 256, network.input_shape)
    last = network.layers[-1].name
    assert (reference.run(network, image)[last] == Simulator(network).run(image[None])[last]).all()


@pytest.mark.parametrize("named", [None, COMMON_DEVICE, "iCE40UP5K"])
def test_the_size_is_that_of_the_images(model, tmp_path, named):
    """Multipliers of 16 bits, wider than those of trained networks, are in every proposal."""
    out = tmp_path / "network.safetensors"
    import_network(ImportOptions(network=str(model), out=out, device=named))
    options = SizeOptions(network=str(out), device=named or COMMON_DEVICE)
    found = size_network(options)["devices"][0]
    images = rom(RomOptions(network=out, out=tmp_path / "rom", device=options.device))
    memory = found["memory"]
    bits = sum(memory[part]["bits"] for part in ("weights", "constants", "codebooks"))
    assert bits == images["rom_bits_exported"]


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({"output": "y"}, "--output"),
        ({"input_shape": "2x9x7"}, "--input-shape"),
        ({"mean": "5"}, "--mean"),
        ({"std": "3"}, "--std"),
        ({"floats": True, "check": True}, "--check"),
        ({"check_only": True, "data": "digits"}, "--data"),
    ],
)
def test_options_without_effect_are_refused(model, tmp_path, options, left_out):
    out = tmp_path / "network.safetensors"
    with pytest.raises(SqhwError, match=f"{model}: .*; leave {left_out} out$"):
        import_network(ImportOptions(network=str(model), out=out, **options))
    assert not out.exists()


def test_accuracy_of_both_is_told_for_data(model, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 2, 9, 7)).astype(np.uint8)
    path = tmp_path / "data.npz"
    np.savez(path, images=images, labels=np.arange(60) % 4)
    options = ImportOptions(
        network=str(model), out=tmp_path / "network.safetensors", data=f"npz:{path}"
    )
    check = import_network(options)["quantized"]
    assert check["random"] is False
    assert check["images"] > 0
    assert abs(check["accuracy"] - check["kernels_accuracy"]) <= 2 / check["images"]


def test_check_only_writes_nothing(model, tmp_path):
    out = tmp_path / "network.safetensors"
    result = import_network(ImportOptions(network=str(model), out=out, check_only=True))
    assert result["file"] == ""
    assert not out.exists()


def test_layers_that_the_engine_lacks_are_named(tmp_path):
    file = TfliteFile()
    x = file.tensor((1, 12, 12, 2), np.int8, scale=0.5, zero_point=-128)
    weight = file.constant(np.ones((3, 3, 3, 2), np.int8), scale=[0.1] * 3, zero_point=[0] * 3)
    y = file.tensor((1, 4, 4, 3), np.int8, scale=0.25, zero_point=-128)
    table, fields = conv_options(stride=3)
    file.operator("CONV_2D", [x, weight], y, table, **fields)
    path = tmp_path / "model.tflite"
    path.write_bytes(file.written([x], [y]))
    with pytest.raises(SqhwError, match=r"model.tflite: Convolution 'conv_2d_0' has stride \(3, 3"):
        import_network(ImportOptions(network=str(path), out=tmp_path / "n.safetensors"))


def test_float_file_becomes_a_float_network(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(float_cnn(np.random.default_rng(0)))
    out = tmp_path / "float.safetensors"
    result = import_network(ImportOptions(network=str(path), out=out, check=True))
    assert len(load_float(out).layers) == result["layers"] == 3
    assert result["check"]["difference"] <= 1e-4 * result["check"]["largest"]


def test_command_prints_a_row_for_each_layer(model, tmp_path, monkeypatch, capsys):
    out = tmp_path / "network.safetensors"
    arguments = ("import", model, "--out", out, "--device", "LFE5U-85F")
    code, text, _ = run(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "compared with TFLite reference kernels on 8 random images" in text
    assert "fully_connected_7" in text
    assert load_network(out).facts.device == "LFE5U-85F"
    _, printed, _ = run(monkeypatch, capsys, "import", model, "--check-only", "--json")
    assert json.loads(printed)["operators"] == 9


def test_a_quantized_file_becomes_floats_to_compress_further(model, tmp_path):
    out = tmp_path / "float.safetensors"
    result = import_network(ImportOptions(network=str(model), out=out, floats=True))
    network = load_float(out)
    assert "quantized weights were converted to real numbers" in result["notes"]
    # The zero point of the input is 83, its lowest integer -128, its scale 0.5.
    assert network.mean == pytest.approx((211 / 255,))
    assert network.std == pytest.approx((1 / (255 * 0.5),))
    images = np.random.default_rng(9).integers(0, 256, (40, 2, 9, 7))
    floats = logits(network, images)
    found = graph_of(parse_model(int8_cnn()), "net")
    grid = found.tensors[found.output].quantization
    right = grid.reals(run_integers(found, images - 128)[found.output]).reshape(40, -1)
    inside = np.abs(right) < 0.9 * np.abs(right).max()
    assert np.corrcoef(floats[inside], right[inside])[0, 1] > 0.95


def test_bipolar_activations_are_no_floats():
    operators = [n.Quantize(name="sign", inputs=("x",), output="sign")]
    grid = n.Quantization(np.float64(1), np.int64(0), 1, True, bipolar=True)
    tensors = {"x": n.Tensor((1, 2, 2)), "sign": n.Tensor((1, 2, 2), grid)}
    graph = n.Graph("net", "test", "x", "sign", tensors, tuple(operators))
    with pytest.raises(SqhwError, match="layer 'sign': makes -1 and"):
        dequantized(graph)
