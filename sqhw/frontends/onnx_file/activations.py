"""Handlers of activation functions, and of what may stand at the end of a network only."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sqhw.frontends.folding.notes import left_out
from sqhw.frontends.neutral.elementwise import Function, Product
from sqhw.frontends.neutral.operators import Clip
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.quantizers import clipped_integers
from sqhw.frontends.onnx_file.reader import Reader
from sqhw.frontends.onnx_file.values import Known, Value, scalar

#: Kinds that may follow what is left out at the end.
AT_THE_END = (
    *("ArgMax", "Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"),
    *("DequantizeLinear", "QuantizeLinear", "Quant", "IntQuant", "BipolarQuant", "Trunc"),
)


def relu(read: Reader, node: Node) -> Value:
    """Read a Relu."""
    return read.add(node, Clip, read.single(node, 0), low=0.0)


def clip(read: Reader, node: Node) -> Value:
    """Read a Clip of real numbers, or of the integers between two quantizers."""
    value = read.input_value(node, 0)
    low, high = bounds(read, node)
    if value.integer:
        return clipped_integers(read, node, value, low, high)
    return _clipped(read, node, value, low, high)


def bounds(read: Reader, node: Node) -> tuple[Any, Any]:
    """Return the bounds of a Clip; None where there is none."""
    if node.version < 11:
        found = [
            node.real(name, 0.0) if name in node.attributes else None for name in ("min", "max")
        ]
    else:
        found = []
        for at, what in ((1, "minimum"), (2, "maximum")):
            given = read.optional(node, at, what)
            found.append(None if given is None else scalar(np.asarray(given.values)))
            if given is not None and found[-1] is None:
                raise Unsupported(f"has several numbers as its {what}")
    # exporters write the largest numbers of a type where there is no bound
    low, high = (None if bound is None or abs(bound) > 1e30 else bound for bound in found)
    return low, high


def _clipped(read: Reader, node: Node, value: Value, low: Any, high: Any) -> Value:
    if low is None and high is None:
        return value
    low, high = (None if bound is None else float(bound) for bound in (low, high))
    return read.add(node, Clip, value, low=low, high=high)


def maximum(read: Reader, node: Node) -> Value:
    """Read a Max with a number, which is a lower bound."""
    value, bound = _bounded(read, node)
    return _clipped(read, node, value, bound, None)


def minimum(read: Reader, node: Node) -> Value:
    """Read a Min with a number, which is an upper bound."""
    value, bound = _bounded(read, node)
    return _clipped(read, node, value, None, bound)


def _bounded(read: Reader, node: Node) -> tuple[Value, float]:
    if len(node.inputs) == 2:
        for at in (0, 1):
            other = read.values.get(node.inputs[1 - at])
            if isinstance(other, Known) and (bound := scalar(np.asarray(other.values))) is not None:
                return read.single(node, at), float(bound)
    raise Unsupported("compares other than a value with a number", "use Clip, Relu or MaxPool")


def softmax(read: Reader, node: Node) -> Value:
    """Read a Softmax or LogSoftmax at the end."""
    value = read.input_value(node, 0)
    sizes = read.shape(value)
    axis = node.integer("axis", -1 if node.version >= 13 else 1)
    axis += len(sizes) if axis < 0 else 0
    wide = {at for at, size in enumerate(sizes) if at and size > 1}
    if node.version < 13:  # all axes from this one on are one
        wide = {axis if at >= axis else at for at in wide}
    if not wide <= {axis}:
        raise Unsupported(
            f"works on axis {axis} of a value of shape {sizes}, other than the classes"
        )
    return _at_the_end(read, node, value, "softmax")


def sigmoid(read: Reader, node: Node) -> Value:
    """Read a Sigmoid: an activation function, or nothing at the end."""
    if _is_computed_on(read, node):
        return read.add(node, Function, read.single(node, 0), function="sigmoid")
    return _at_the_end(read, node, read.input_value(node, 0), "sigmoid")


def _is_computed_on(read: Reader, node: Node) -> bool:
    """Return whether a node computes with the output of another, directly or moved."""
    waiting, seen = [node.outputs[0]], set[str]()
    while waiting:
        name = waiting.pop()
        for reader in read.readers.get(name, ()):
            if reader.kind not in AT_THE_END:
                return True
            waiting += [one for one in reader.outputs if one and one not in seen]
            seen.update(reader.outputs)
    return False


def function(name: str) -> Callable[[Reader, Node], Value]:
    """Return the handler of a function of single numbers."""

    def read_function(read: Reader, node: Node) -> Value:
        return read.add(node, Function, read.single(node, 0), function=name)

    return read_function


def elu(read: Reader, node: Node) -> Value:
    """Read an Elu of factor 1."""
    if node.real("alpha", 1.0) != 1.0:
        raise Unsupported(f"has alpha {node.real('alpha', 1.0):g}", "use alpha 1")
    return function("elu")(read, node)


def gelu(read: Reader, node: Node) -> Value:
    """Read a Gelu."""
    near = node.text("approximate", "none") == "tanh"
    return function("gelu_tanh" if near else "gelu")(read, node)


def swish(read: Reader, node: Node) -> Value:
    """Read a Swish of factor 1."""
    if node.real("alpha", 1.0) != 1.0:
        raise Unsupported(f"has alpha {node.real('alpha', 1.0):g}", "use alpha 1")
    return function("silu")(read, node)


def power(read: Reader, node: Node) -> Value:
    """Read a Pow to 2 or 3, as exporters write GELU with."""
    exponent = scalar(np.asarray(read.known(node, 1, "exponent").values))
    value = read.single(node, 0)
    if exponent == 1:
        return value
    if exponent == 2:
        return read.add(node, Product, value, value)
    if exponent == 3:
        return read.add(node, Function, value, function="cube")
    raise Unsupported(f"has the exponent {exponent}", "use 1, 2 or 3")


def argmax(read: Reader, node: Node) -> Value:
    """Read an ArgMax over the classes, at the end."""
    value = read.input_value(node, 0)
    sizes = read.shape(value)
    axis = node.integer("axis", 0)
    axis += len(sizes) if axis < 0 else 0
    if any(at != axis and size > 1 for at, size in enumerate(sizes) if at):
        raise Unsupported(f"works on axis {axis} of a value of shape {sizes}")
    return _at_the_end(read, node, value, "argmax")


def _at_the_end(read: Reader, node: Node, value: Value, what: str) -> Value:
    read.notes.append(left_out(node.name, what))
    return replace(value, end=value.end or node)
