"""Layers that real networks have, from an ONNX file to the simulator.

Each file is compared with the evaluator of the `onnx` package, and its quantized network with the
reference and with PyTorch.
"""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_files import model, node, saved

from sqhw.compiler.program import compile_network
from sqhw.compress import load_float, quantize, save_float
from sqhw.cost_models.rom import rom_cost
from sqhw.frontends import import_onnx
from sqhw.frontends.folding.float_walk import logits
from sqhw.machine.config import EngineConfig
from sqhw.sim.reference import run
from sqhw.sim.simulator import Simulator

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (4, 3, 13, 11)).astype(np.float32)


def weights(*shape):
    return (RNG.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def conv(source, made, kernel=(3, 3), **attributes):
    """Return a convolution whose weights are named like its output."""
    return node(
        "Conv", f"{source} {made}_w {made}_b", made, kernel_shape=list(kernel), **attributes
    )


def arrays(**layers):
    """Return weights and biases of convolutions by name, from the shapes of the weights."""
    found = {}
    for name, shape in layers.items():
        found |= {f"{name}_w": weights(*shape), f"{name}_b": weights(shape[0])}
    return found


END = [
    node("GlobalAveragePool", "end", "mean"),
    node("Flatten", "mean", "flat"),
    node("Gemm", "flat fc_w fc_b", "y", transB=1),
]
FIRST = [conv("x", "a"), node("Relu", "a", "r")]
#: Nodes between the first convolution and the end, with the shapes of their weights.
CASES = {
    "padded maximum": (
        [node("MaxPool", "r", "end", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)],
        {},
    ),
    "padded maximum before the ReLU": (
        [
            conv("r", "c"),
            node("MaxPool", "c", "p", kernel_shape=[3, 3], pads=[1] * 4),
            node("Relu", "p", "end"),
        ],
        {"c": (6, 6, 3, 3)},
    ),
    "maximum in ceil mode": (
        [node("MaxPool", "r", "end", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1)],
        {},
    ),
    "oblong windows": (
        [
            node("MaxPool", "r", "p", kernel_shape=[1, 3]),
            node("AveragePool", "p", "end", kernel_shape=[2, 1]),
        ],
        {},
    ),
    "average that counts its padding": (
        [
            node(
                "AveragePool",
                "r",
                "end",
                kernel_shape=[3, 3],
                strides=[2, 2],
                pads=[1] * 4,
                count_include_pad=1,
            )
        ],
        {},
    ),
    "strides of two sizes": (
        [
            conv("r", "c", pads=[1, 0, 1, 0], strides=[2, 1]),
            node("Relu", "c", "cr"),
            node("MaxPool", "cr", "end", kernel_shape=[3, 1], strides=[3, 1], pads=[1, 0, 0, 0]),
        ],
        {"c": (6, 6, 3, 3)},
    ),
    "global maximum": ([node("GlobalMaxPool", "r", "end")], {}),
    "dilation": ([conv("r", "end", dilations=[2, 3], pads=[2, 3, 2, 3])], {"end": (6, 6, 3, 3)}),
    "concatenation (fire module)": (
        [
            conv("r", "s", (1, 1)),
            node("Relu", "s", "sr"),
            conv("sr", "e1", (1, 1)),
            node("Relu", "e1", "e1r"),
            conv("sr", "e3", pads=[1] * 4),
            node("Relu", "e3", "e3r"),
            node("Concat", "e1r e3r", "end", axis=1),
        ],
        {"s": (3, 6, 1, 1), "e1": (4, 3, 1, 1), "e3": (2, 3, 3, 3)},
    ),
    "concatenation (inception)": (
        [
            conv("r", "b1", (1, 1)),
            conv("r", "b2", pads=[1] * 4),
            node("MaxPool", "r", "p", kernel_shape=[3, 3], pads=[1] * 4),
            conv("p", "b3", (1, 1)),
            node("Concat", "b1 b2 b3 p", "j", axis=1),
            node("Relu", "j", "end"),
        ],
        {"b1": (2, 6, 1, 1), "b2": (3, 6, 3, 3), "b3": (1, 6, 1, 1), "end": (12, 1, 1, 1)},
    ),
    "concatenation of what others read (dense block)": (
        [
            conv("r", "c", pads=[1] * 4),
            node("Relu", "c", "cr"),
            node("Concat", "r cr", "j", axis=1),
            conv("j", "d", pads=[1] * 4),
            node("Concat", "j d", "end", axis=1),
        ],
        {"c": (2, 6, 3, 3), "d": (2, 8, 3, 3), "end": (10, 1, 1, 1)},
    ),
    "sum of two maxima": (
        [
            node("MaxPool", "r", "p", kernel_shape=[2, 2]),
            node("AveragePool", "r", "q", kernel_shape=[2, 2]),
            node("Add", "p q", "end"),
        ],
        {},
    ),
    "ReLU of a map that is read without it": (
        [conv("r", "c", pads=[1] * 4), node("Relu", "c", "cr"), node("Add", "c cr", "end")],
        {"c": (6, 6, 3, 3)},
    ),
    "slope below 0": (
        [conv("r", "c"), node("LeakyRelu", "c", "end", alpha=0.1)],
        {"c": (6, 6, 3, 3)},
    ),
    "slopes of channels": ([conv("r", "c"), node("PRelu", "c slope", "end")], {"c": (6, 6, 3, 3)}),
    "bounds on both sides of 0": (
        [conv("r", "c"), node("Clip", "c low high", "end")],
        {"c": (6, 6, 3, 3)},
    ),
    "upper bound": ([conv("r", "c"), node("Min", "c high", "end")], {"c": (6, 6, 3, 3)}),
    "hard sigmoid": (
        [conv("r", "c"), node("HardSigmoid", "c", "end", alpha=0.3)],
        {"c": (6, 6, 3, 3)},
    ),
}


def file(name, folder):
    nodes, shapes = CASES[name]
    known = arrays(a=(6, 3, 3, 3), **shapes)
    outputs = shapes.get("end", (6,))[0]
    known |= {"fc_w": weights(5, outputs), "fc_b": weights(5)}
    known |= {"slope": np.linspace(-0.5, 1, 6).astype(np.float32).reshape(6, 1, 1)}
    known |= {"low": np.float32(-0.4), "high": np.float32(0.3)}
    used = {input for at in (*FIRST, *nodes, *END) for input in at.input}
    known = {name: array for name, array in known.items() if name in used}
    made = model([*FIRST, *nodes, *END], known, (1, 3, 13, 11))
    return made, saved(made, folder)


@pytest.mark.parametrize("name", CASES)
def test_float_networks_compute_the_file(name, tmp_path):
    made, path = file(name, tmp_path)
    network = import_onnx(path)
    evaluator = ReferenceEvaluator(made)
    right = np.concatenate([evaluator.run(None, {"x": image[None] / 255})[0] for image in PIXELS])
    found = logits(network, PIXELS)
    assert np.abs(found - right).max() < 1e-5


#: Cases that are quantized without ``--evidence``.
QUICK = ("padded maximum before the ReLU", "concatenation (inception)", "slope below 0")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.evidence) for n in CASES]
)
def test_quantized_networks_run_and_keep_the_scores(name, tmp_path):
    path = tmp_path / "float.safetensors"
    save_float(import_onnx(file(name, tmp_path)[1]), path)
    network = load_float(path)
    engine = EngineConfig(
        lanes=16, bank_depth=2048, groups=True, residuals=True, mult_bits=12, param_addr_bits=14
    )
    small = quantize(network, PIXELS, engine)
    found = Simulator(small, 1).run(PIXELS.astype(np.int64))
    right = run(small, PIXELS[0].astype(np.int64))
    for tensor, values in right.items():
        assert (found[tensor][0] == values).all(), tensor
    program = compile_network(small, engine)
    assert program.rom_bits == rom_cost(small, engine).rom
    scale = small.layers[-1].output_scale
    scores, given = found[small.layers[-1].name].reshape(4, -1) * scale, logits(network, PIXELS)
    assert np.abs(scores - given).max() < 0.1 * np.abs(given).max()
