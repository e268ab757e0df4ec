"""Handlers of concatenations, and of activations with a slope below 0."""

import numpy as np

from sqhw.frontends.neutral.concatenation import Concatenation, Leaky
from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.operators import Affine, Clip
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.reader import Reader
from sqhw.frontends.onnx_file.values import Value


def concat(read: Reader, node: Node) -> Value:
    """Read a Concat of channels."""
    values = [read.single(node, at) for at in range(len(node.inputs))]
    if len(values) == 1:
        return values[0]
    ranks = {len(value.axes) for value in values}
    axis = node.integer("axis", 1)
    axis += len(values[0].axes) + 1 if axis < 0 else 0
    if len(ranks) > 1 or not 0 < axis <= len(values[0].axes):
        raise Unsupported(f"joins values of {sorted(rank + 1 for rank in ranks)} axes")
    if len(values[0].axes) > 1:
        values = [read.as_map(node, value) for value in values]
    if any(value.axes[axis - 1] != 0 for value in values) or len({v.axes for v in values}) > 1:
        raise Unsupported(f"joins values along axis {axis}, other than the channels")
    return read.add(node, Concatenation, *values)


def leaky_relu(read: Reader, node: Node) -> Value:
    """Read a LeakyRelu."""
    slope = np.full((1, 1, 1), node.real("alpha", 0.01))
    return read.add(node, Leaky, read.single(node, 0), slope=Constant(node.name, slope))


def prelu(read: Reader, node: Node) -> Value:
    """Read a PRelu with one slope, or one a channel."""
    value = read.single(node, 0)
    slope = read.aligned(np.asarray(read.known(node, 1, "slope").values), value)
    if slope.shape[1:] != (1, 1):
        raise Unsupported(f"has slopes of shape {slope.shape}", "use one slope, or one a channel")
    return read.add(node, Leaky, value, slope=Constant(node.name, slope))


def hard_sigmoid(read: Reader, node: Node) -> Value:
    """Read a HardSigmoid: a factor, a summand and the bounds 0 and 1."""
    scale, shift = (
        Constant(node.name, np.full((1, 1, 1), node.real(name, default)))
        for name, default in (("alpha", 0.2), ("beta", 0.5))
    )
    moved = read.add(node, Affine, read.single(node, 0), scale=scale, shift=shift)
    return read.add(node, Clip, moved, low=0.0, high=1.0)
