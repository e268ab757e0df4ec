"""Activation functions that are tables: each link equal, from real numbers to ROM images."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from exported_networks import compiled, runtime_scores
from hypothesis import given
from onnx.reference import ReferenceEvaluator
from onnx_files import model, node, saved
from strategies import networks_with_images, random_images, random_network
from torch.nn import functional

from sqhw.compiler.program import compile_network
from sqhw.compress import import_module, quantize
from sqhw.compress.qat.quantized_forward import torch_logits
from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom
from sqhw.export.networks.registry import WRITERS
from sqhw.frontends import import_onnx
from sqhw.frontends.folding.float_walk import logits
from sqhw.frontends.torch_module.float_module import FUNCTIONS as ON_TENSORS
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import table_words
from sqhw.machine.number import ActivationFormat
from sqhw.network.activations import FUNCTIONS, NOT_NEGATIVE, function_values, table_of
from sqhw.network.float_file import load_float, save_float
from sqhw.network.quantized_file import load_network, save_network
from sqhw.sim import reference
from sqhw.sim.simulator import Simulator

ENGINE = EngineConfig(
    lanes=8, bank_depth=2048, param_addr_bits=12, groups=True, residuals=True, tables=True
)
S8 = ActivationFormat(8, signed=True)
RNG = np.random.default_rng(0)


def tabled(**limits):
    """Return a random network with a table."""
    networks = (random_network(seed, tables=True, **limits) for seed in range(99))
    return next(found for found in networks if any(layer.table for layer in found.convs))


#: Values of functions at 1 and at -2, of the definitions in PyTorch's documentation.
KNOWN = {
    "tanh": (0.761594, -0.964028),
    "sigmoid": (0.731059, 0.119203),
    "hard_swish": (4 / 6, -1 / 3),
    "silu": (0.731059, -0.238406),
    "gelu": (0.841345, -0.045500),
    "gelu_tanh": (0.841192, -0.045402),
    "elu": (1.0, -0.864665),
    "softplus": (1.313262, 0.126928),
    "mish": (0.865098, -0.252502),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_the_papers_and_of_torch(name):
    np.testing.assert_allclose(function_values(name, np.array([1.0, -2.0])), KNOWN[name], atol=6e-7)
    x = np.linspace(-9, 9, 601)
    np.testing.assert_allclose(
        ON_TENSORS[name](torch.from_numpy(x)).numpy(), function_values(name, x), atol=1e-12
    )
    assert (function_values(name, x).min() >= 0) == (name in NOT_NEGATIVE)


def test_a_table_has_the_rounded_values():
    table = table_of("tanh", 1 / 32, 1 / 127, S8)
    assert table[128] == 0
    assert table[128 + 32] == round(127 * 0.761594)
    assert table[0] == -127
    assert table[255] == 127
    assert table_of("sigmoid", 1 / 32, 1 / 255, ActivationFormat(8, signed=False))[128] == 128


@given(networks_with_images(tables=True, max_layers=3))
def test_simulator_and_torch_equal_the_reference(drawn):
    network, images = drawn
    found = Simulator(network, 1).run(images)
    for image, pixels in enumerate(images):
        for name, expected in reference.run(network, pixels).items():
            np.testing.assert_array_equal(found[name][image], expected, err_msg=name)
    last = found[network.layers[-1].name].reshape(len(images), -1)
    np.testing.assert_array_equal(Simulator(network, 1).logits(images), last)
    np.testing.assert_array_equal(torch_logits(network, images), last)


def test_rom_bits_are_those_of_the_cost_model_and_unused_tables_take_none():
    network = tabled()
    program = compile_network(network, ENGINE)
    assert program.rom_bits == rom_cost(network, ENGINE).rom
    tables = sum(bool(layer.table) for layer in network.convs)
    bare = tuple(replace(one, table=()) if one in network.convs else one for one in network.layers)
    without = compile_network(replace(network, layers=bare), ENGINE)
    assert program.depths["params"] - without.depths["params"] == tables * table_words(ENGINE)
    plain = replace(ENGINE, tables=False)
    assert "tables" not in plain.to_dict()
    with pytest.raises(SqhwError, match=r"^layer '.*': its activation function is a table, this "):
        compile_network(network, plain)


def test_files_keep_tables(tmp_path):
    network = tabled()
    save_network(network, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors")
    assert [layer.table for layer in again.convs] == [layer.table for layer in network.convs]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ((0,) * 255, "a table has 256 entries, not 255"),
        ((128,) * 256, "entries of its table must be -128 to 127, found 128 to 128"),
    ],
)
def test_wrong_tables_are_refused(table, message):
    network = tabled()
    layer = replace(network.convs[0], output=S8, table=table)
    with pytest.raises(SqhwError, match=message):
        replace(network, layers=(layer,))


def test_c_and_exact_onnx_equal_the_simulator(tmp_path):
    network = tabled(max_layers=3)
    for name, content in WRITERS["c"](network, "net").items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run([compiled(tmp_path, "net")], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("PASS: 0 of ")
    images = random_images(network, 1, 4)
    scores = Simulator(network, 1).logits(images)
    kind = np.int8 if network.input_format.signed else np.uint8
    (content,) = WRITERS["exact"](network, "net").values()
    (tmp_path / "exact.onnx").write_bytes(content)
    found = runtime_scores(tmp_path / "exact.onnx", images.astype(kind))
    np.testing.assert_array_equal(found, scores)


# Imports


def weights(*shape):
    return (RNG.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def arrays(**layers):
    """Return weights and biases of convolutions by name, from the shapes of the weights."""
    found = {f"{name}_w": weights(*shape) for name, shape in layers.items()}
    return found | {f"{name}_b": weights(shape[0]) for name, shape in layers.items()}


SPELLINGS = {
    "silu": [node("Sigmoid", "c", "s"), node("Mul", "c s", "end")],
    "hard_swish": [
        node("HardSigmoid", "c", "s", alpha=1 / 6, beta=0.5),
        node("Mul", "s c", "end"),
    ],
    "gelu": [
        node("Div", "c root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"),
        node("Mul", "c a", "m"), node("Mul", "m half", "end"),
    ],
    "mish": [node("Softplus", "c", "p"), node("Tanh", "p", "t"), node("Mul", "c t", "end")],
    "tanh": [node("Tanh", "c", "end")],
    "gelu_tanh": [
        node("Pow", "c three", "p"), node("Mul", "p small", "q"), node("Add", "c q", "r"),
        node("Mul", "r long", "u"), node("Tanh", "u", "t"), node("Add", "t one", "a"),
        node("Mul", "c half", "h"), node("Mul", "h a", "end"),
    ],
}  # fmt: skip


def spelled(name, folder):
    """Return an ONNX file with an activation function spelled out, and its path."""
    nodes = [
        node("Conv", "x c_w c_b", "c"), *SPELLINGS[name], node("Flatten", "end", "f"),
        node("Gemm", "f fc_w fc_b", "y", transB=1),
    ]  # fmt: skip
    known = arrays(c=(4, 2, 3, 3)) | {"fc_w": weights(3, 4 * 9), "fc_b": weights(3)}
    known |= {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
    known |= {"three": np.float32(3), "small": np.float32(0.044715)}
    known["long"] = np.float32((2 / np.pi) ** 0.5)
    used = {source for one in nodes for source in one.input}
    made = model(nodes, {at: one for at, one in known.items() if at in used}, (1, 2, 5, 5))
    return made, saved(made, folder)


@pytest.mark.parametrize("name", SPELLINGS)
def test_functions_are_found_however_they_are_spelled(name, tmp_path):
    made, path = spelled(name, tmp_path)
    network = import_onnx(path)
    assert [layer.activation for layer in network.convs] == [name, None]
    pixels = np.random.default_rng(1).integers(0, 256, (3, 2, 5, 5))
    runtime = ReferenceEvaluator(made)
    right = np.concatenate([runtime.run(None, {"x": (one[None] / 255).astype(np.float32)})[0]
                            for one in pixels])  # fmt: skip
    assert np.abs(logits(network, pixels) - right).max() < 1e-5


def test_products_that_are_no_function_are_refused(tmp_path):
    nodes = [
        node("Conv", "x c_w c_b", "c"), node("Conv", "x d_w d_b", "d"), node("Mul", "c d", "y"),
    ]  # fmt: skip
    known = arrays(c=(4, 2, 3, 3), d=(4, 2, 3, 3))
    with pytest.raises(SqhwError, match=r"Mul '.*' multiplies two computed values"):
        import_onnx(saved(model(nodes, known, (1, 2, 5, 5)), tmp_path))


class Net(torch.nn.Module):
    """Activation functions behind a convolution, and behind a skip connection."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.one, self.two = torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 1)
        self.end = torch.nn.Linear(4 * 25, 3)

    def forward(self, x):
        """Return scores."""
        x = functional.silu(self.one(x))
        return self.end(torch.tanh(self.two(x) + x).flatten(1))


def test_a_module_is_quantized_and_keeps_its_scores(tmp_path):
    network = import_module(Net(), (2, 5, 5), name="net")
    assert [layer.activation for layer in network.convs] == ["silu", "tanh", None]
    save_float(network, tmp_path / "net.safetensors")
    assert load_float(tmp_path / "net.safetensors").convs[0].activation == "silu"
    pixels = np.random.default_rng(1).integers(0, 256, (64, 2, 5, 5)).astype(np.uint8)
    small = quantize(network, pixels, ENGINE)
    assert [bool(layer.table) for layer in small.convs][-3:] == [True, True, False]
    right = logits(network, pixels)
    found = Simulator(small, 1).logits(pixels) * small.convs[-1].output_scale
    np.testing.assert_array_equal(torch_logits(small, pixels), Simulator(small, 1).logits(pixels))
    assert np.abs(found - right).max() < 0.06 * (right.max() - right.min())
    write_rom(compile_network(small, ENGINE), tmp_path)
