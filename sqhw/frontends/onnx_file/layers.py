"""Handlers of layers with weights: convolutions, fully connected layers, batch normalisation."""

import numpy as np

from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.operators import Affine, Convolution, Linear
from sqhw.frontends.neutral.quantization import Quantization
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.reader import Reader
from sqhw.frontends.onnx_file.values import Known, Value, reshaped, transposed
from sqhw.frontends.onnx_file.windows import line_axis, windows_of


def conv(read: Reader, node: Node) -> Value:
    """Read a Conv."""
    bias = read.optional(node, 2, "bias")
    return convolution(read, node, read.single(node, 0), read.known(node, 1, "weights"), bias)


def convolution(
    read: Reader,
    node: Node,
    value: Value,
    weight: Known,
    bias: Known | None,
    grid: Quantization | None = None,
) -> Value:
    """Add a convolution; of maps of one axis it has height or width 1."""
    x = read.as_map(node, value)
    shape = read.shape(x)
    if weight.array.ndim != len(shape):
        raise Unsupported(f"has weights of shape {weight.array.shape} for a value of {shape}")
    axis = line_axis(x.axes)
    windows = windows_of(node, shape, axis, weight.array.shape[2:])
    if len(shape) == 3:
        out, inputs, size = weight.array.shape
        full = (out, inputs, 1, size) if axis == 2 else (out, inputs, size, 1)
        weight = reshaped(weight, full)
    if weight.array.shape[2:] != windows.kernel:
        raise Unsupported(f"has weights {weight.array.shape} for a kernel of {windows.kernel}")
    return read.add(
        node,
        Convolution,
        x,
        grid=grid,
        weight=weight.constant,
        bias=None if bias is None else bias.constant,
        stride=windows.stride,
        padding=windows.padding,
        dilation=windows.dilation,
        groups=node.integer("group", 1),
    )


def gemm(read: Reader, node: Node) -> Value:
    """Read a Gemm: ``alpha * x @ weight + beta * bias``."""
    if node.integer("transA", 0):
        raise Unsupported("has transA = 1, which mixes the images", "export without it")
    weight = read.known(node, 1, "weights")
    if weight.array.ndim != 2:
        raise Unsupported(f"has weights of shape {weight.array.shape}")
    if not node.integer("transB", 0):
        weight = transposed(weight, (1, 0))
    weight = _scaled(weight, node.real("alpha", 1.0))
    bias = read.optional(node, 2, "bias")
    if bias is not None:
        bias = _scaled(_spread(bias, len(weight.array)), node.real("beta", 1.0))
    return linear(read, node, read.single(node, 0), weight, bias)


def _scaled(known: Known, factor: float) -> Known:
    return known if factor == 1 else Known(known.values * np.float64(factor), name=known.name)


def _spread(bias: Known, outputs: int) -> Known:
    """Return a bias with one value an output."""
    if bias.array.shape == (outputs,):
        return bias
    if bias.array.shape == (1, outputs):
        return reshaped(bias, (outputs,))
    if bias.array.size != 1:
        raise Unsupported(f"has a bias of shape {bias.array.shape} for {outputs} outputs")
    return Known(np.full(outputs, bias.values.reshape(-1)[0]), name=bias.name)


def matmul(read: Reader, node: Node) -> Value:
    """Read a MatMul whose second factor are weights."""
    if isinstance(read.values.get(node.inputs[0]), Known):
        raise Unsupported(
            "multiplies constants by a value, which mixes positions",
            "write the weights as the second factor",
        )
    if isinstance(read.values.get(node.inputs[1]), Value):
        raise Unsupported("multiplies two computed values (attention)", "use layers with weights")
    weight = read.known(node, 1, "weights")
    if weight.array.ndim != 2:
        raise Unsupported(f"has weights of shape {weight.array.shape}, not of two axes")
    return linear(read, node, read.single(node, 0), transposed(weight, (1, 0)), None)


def linear(
    read: Reader,
    node: Node,
    value: Value,
    weight: Known,
    bias: Known | None,
    grid: Quantization | None = None,
) -> Value:
    """Add a fully connected layer; on the channels of a map it is a 1x1 convolution.

    Parameters
    ----------
    read : Reader
    node : Node
    value : Value
    weight : Known, shape (outputs, inputs)
    bias : Known, shape (outputs,), optional
    grid : Quantization, optional
        Grid of the output.
    """
    shape = read.shape(value)
    if len(shape) < 2 or shape[-1] != weight.array.shape[1]:
        raise Unsupported(
            f"has weights for {weight.array.shape[1]} values, its input of shape {shape} has "
            f"{shape[-1]} in its last axis"
        )
    offset = None if bias is None else bias.constant
    if all(size == 1 for size in shape[1:-1]):
        x = read.as_vector(node, value)
        return read.add(node, Linear, x, grid=grid, weight=weight.constant, bias=offset)
    if value.axes[-1] != 0:
        raise Unsupported("multiplies rows or columns of a map", "flatten the map before it")
    kernel = reshaped(weight, (*weight.array.shape, 1, 1)).constant
    return read.add(node, Convolution, value, grid=grid, weight=kernel, bias=offset)


def batch_norm(read: Reader, node: Node) -> Value:
    """Read a BatchNormalization with running statistics."""
    if node.integer("training_mode", 0) or (node.version >= 14 and node.uses(1)):
        raise Unsupported("is in training mode", "export the model in eval mode (model.eval())")
    if node.version < 9 and not node.integer("spatial", 1):
        raise Unsupported("has spatial = 0, statistics for each pixel")
    x = read.single(node, 0)
    gain, offset, mean, variance = (
        read.known(node, at, what).values.astype(np.float64)
        for at, what in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    channels = read.shape(x)[1]
    if any(part.shape != (channels,) for part in (gain, offset, mean, variance)):
        raise Unsupported(f"has statistics that do not fit {channels} channels")
    with np.errstate(all="ignore"):  # what is not finite is refused as a constant
        scale = gain / np.sqrt(variance + node.real("epsilon", 1e-5))
        shift = offset - mean * scale
    return affine(read, node, x, scale, shift)


def affine(read: Reader, node: Node, x: Value, scale: np.ndarray, shift: np.ndarray) -> Value:
    """Multiply the channels, the first axis after that of the images, and add."""
    rank = len(read.shape(x)) - 2
    parts = [
        Constant(node.name, read.aligned(part.reshape(1, -1, *(1,) * rank), x))
        for part in (scale, shift)
    ]
    return read.add(node, Affine, x, scale=parts[0], shift=parts[1])
