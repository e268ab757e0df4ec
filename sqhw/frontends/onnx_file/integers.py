"""Handlers of operators on integers (QOperator): their scales become grids of the graph."""

from dataclasses import replace

import numpy as np

from sqhw.frontends.neutral.quantization import Quantization
from sqhw.frontends.onnx_file.arithmetic import summed
from sqhw.frontends.onnx_file.layers import convolution, linear
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.pooling import average, global_average_of
from sqhw.frontends.onnx_file.quantizers import linear_grid
from sqhw.frontends.onnx_file.reader import Reader
from sqhw.frontends.onnx_file.values import Known, Value, transposed


def q_conv(read: Reader, node: Node) -> Value:
    """Read a QLinearConv."""
    x = _value(read, node, 0)
    weight = _weight(read, node, 3, axis=0)
    bias = _bias(read, node, 8, read.grid(x), weight.grid)
    made = convolution(read, node, x, weight, bias, _grid(read, node, 6))
    return replace(made, integer=True)


def q_matmul(read: Reader, node: Node) -> Value:
    """Read a QLinearMatMul whose second factor are weights."""
    x = _value(read, node, 0)
    weight = _weight(read, node, 3, axis=1)
    if weight.array.ndim != 2:
        raise Unsupported(f"has weights of shape {weight.array.shape}, not of two axes")
    made = linear(read, node, x, transposed(weight, (1, 0)), None, _grid(read, node, 6))
    return replace(made, integer=True)


def q_gemm(read: Reader, node: Node) -> Value:
    """Read a QGemm of ONNX Runtime."""
    if node.integer("transA", 0) or node.real("alpha", 1.0) != 1 or not node.has(7):
        raise Unsupported("has transA, an alpha other than 1, or an output of real numbers")
    x = _value(read, node, 0)
    across = node.integer("transB", 0)
    weight = _weight(read, node, 3, axis=0 if across else 1)
    if weight.array.ndim != 2:
        raise Unsupported(f"has weights of shape {weight.array.shape}, not of two axes")
    weight = weight if across else transposed(weight, (1, 0))
    bias = _bias(read, node, 6, read.grid(x), weight.grid)
    made = linear(read, node, x, weight, bias, _grid(read, node, 7))
    return replace(made, integer=True)


def q_add(read: Reader, node: Node) -> Value:
    """Read a QLinearAdd of ONNX Runtime, of two computed values."""
    a, b = _value(read, node, 0), _value(read, node, 3)
    return replace(summed(read, node, a, b, _grid(read, node, 6)), integer=True)


def q_average(read: Reader, node: Node) -> Value:
    """Read a QLinearAveragePool of ONNX Runtime."""
    _require_channels_first(node)
    x = _value(read, node, 0)
    return replace(average(read, node, x, _grid(read, node, 3)), integer=True)


def q_global_average(read: Reader, node: Node) -> Value:
    """Read a QLinearGlobalAveragePool of ONNX Runtime."""
    _require_channels_first(node)
    x = _value(read, node, 0)
    return replace(global_average_of(read, node, x, _grid(read, node, 3)), integer=True)


def _require_channels_first(node: Node) -> None:
    if node.integer("channels_last", 0):
        raise Unsupported("has channels_last = 1", "export with channels first")


def _grid(read: Reader, node: Node, at: int) -> Quantization:
    """Return the grid that the inputs from `at` on, scale and zero point, say."""
    scale = read.known(node, at, "scale")
    zero = read.optional(node, at + 1, "zero point")
    kind = np.dtype(np.uint8) if zero is None else zero.array.dtype
    return linear_grid(node, scale, zero, kind, 0)


def _value(read: Reader, node: Node, at: int) -> Value:
    """Return a computed input with the grid that its next two inputs say."""
    value = read.input_value(node, at)
    if not value.integer:
        raise Unsupported("reads real numbers", "put a QuantizeLinear before it")
    read.set_grid(value, _grid(read, node, at + 1))
    return value


def _weight(read: Reader, node: Node, at: int, axis: int) -> Known:
    weight = read.known(node, at, "weights")
    scale, zero = read.known(node, at + 1, "scale"), read.optional(node, at + 2, "zero point")
    grid = linear_grid(node, scale, zero, weight.array.dtype, axis)
    return Known(weight.array, grid, name=weight.name)


def _bias(
    read: Reader, node: Node, at: int, source: Quantization | None, weight: Quantization | None
) -> Known | None:
    """Return the bias, 32-bit integers in units of the products."""
    bias = read.optional(node, at, "bias")
    if bias is None:
        return None
    assert source is not None
    assert weight is not None
    if source.scale.ndim:
        raise Unsupported("has an input with several scales", "use one scale for the tensor")
    scale = source.scale * weight.scale
    if scale.ndim and bias.array.shape != scale.shape:
        raise Unsupported(f"has a bias of shape {bias.array.shape} for {scale.size} scales")
    grid = Quantization(
        scale, np.zeros(scale.shape, np.int64), 32, True, axis=0 if scale.ndim else None
    )
    return Known(bias.array.astype(np.int64), grid, name=bias.name)
