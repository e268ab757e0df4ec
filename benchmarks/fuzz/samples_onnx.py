"""Valid ONNX files to mutate: one of floats, and two quantized ones."""

from pathlib import Path

import numpy as np

from tests.onnx_files import model, node, saved


def write_float(folder: Path) -> Path:
    """Write a convolutional network with a chain of shapes, as PyTorch exports it."""
    rng = np.random.default_rng(0)
    nodes = [
        node("Sub", "x mean", "a"),
        node("Conv", "a w1", "c1", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", "c1 g b m v", "n1", epsilon=1e-3),
        node("Relu", "n1", "r1"),
        node("Conv", "r1 w2 b2", "c2", pads=[1, 1, 1, 1]),
        node("Add", "c2 r1", "s"),
        node("Clip", "s low high", "r2"),
        node("MaxPool", "r2", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", "p", "shape"),
        node("Gather", "shape zero", "n", axis=0),
        node("Unsqueeze", "n axes", "n1d"),
        node("Concat", "n1d minus", "wanted", axis=0),
        node("Reshape", "p wanted", "f"),
        node("Gemm", "f w3 b3", "o", transB=1),
        node("Softmax", "o", "y", axis=1),
    ]
    arrays = {
        "mean": np.float32([0.1, 0.2, 0.3]).reshape(3, 1, 1),
        "w1": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        **{key: rng.uniform(0.5, 2, 4).astype(np.float32) for key in "gbmv"},
        "w2": rng.normal(size=(4, 4, 3, 3)).astype(np.float32),
        "b2": np.zeros(4, np.float32),
        "low": np.float32(0),
        "high": np.float32(6),
        "zero": np.array(0),
        "axes": np.array([0]),
        "minus": np.array([-1]),
        "w3": rng.normal(size=(5, 16)).astype(np.float32),
        "b3": np.zeros(5, np.float32),
    }
    return saved(model(nodes, arrays), folder)


def write_quantized(folder: Path) -> Path:
    """Write a network between quantizers of ONNX, and of QONNX."""
    rng = np.random.default_rng(0)
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "a"),
        node("DequantizeLinear", "w sw zw", "wf", axis=0),
        node("Conv", "a wf", "c"),
        node("Relu", "c", "r"),
        node("QuantizeLinear", "r s z", "q1"),
        node("Clip", "q1 low high", "q2"),
        node("DequantizeLinear", "q2 s z", "b"),
        node("Flatten", "b", "f"),
        node("Quant", "w2 one zero four", "w3", domain="onnx.brevitas"),
        node("Transpose", "w3", "w4", perm=[1, 0]),
        node("MatMul", "f w4", "y"),
    ]
    arrays = {
        "s": np.float32(0.1),
        "z": np.int8(3),
        "w": rng.integers(-9, 9, (4, 3, 1, 1)).astype(np.int8),
        "sw": np.float32([0.1, 0.2, 0.3, 0.4]),
        "zw": np.zeros(4, np.int8),
        "low": np.int8(-7),
        "high": np.int8(7),
        "w2": rng.normal(size=(5, 64)).astype(np.float32),
        "one": np.float32(0.5),
        "zero": np.float32(0),
        "four": np.float32(4),
    }
    return saved(model(nodes, arrays, (1, 3, 4, 4), opset=19), folder)
