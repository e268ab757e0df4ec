"""Handlers of sums, differences, products and quotients, of a value and a constant or of two."""

import numpy as np

from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.elementwise import PRODUCT, Product
from sqhw.frontends.neutral.operators import Add, Affine
from sqhw.frontends.neutral.quantization import Quantization
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.reader import Reader
from sqhw.frontends.onnx_file.values import Doubles, Known, Value

_ONE, _ZERO = np.ones((1, 1, 1)), np.zeros((1, 1, 1))


def add(read: Reader, node: Node) -> Value:
    """Read an Add: a bias, a summand, or a skip connection."""
    x, constant = _operands(read, node)
    if constant is None:
        return summed(read, node, read.single(node, 0), read.single(node, 1))
    return _affine(read, node, x, _ONE, constant)


def add_all(read: Reader, node: Node) -> Value:
    """Read a Sum of one or two values."""
    if len(node.inputs) == 1:
        return read.single(node, 0)
    if len(node.inputs) != 2:
        raise Unsupported(f"adds {len(node.inputs)} values", "add two at a time")
    return add(read, node)


def summed(read: Reader, node: Node, a: Value, b: Value, grid: Quantization | None = None) -> Value:
    """Add a sum of two values of one shape."""
    if read.shape(a) != read.shape(b):
        raise Unsupported(
            f"adds values of shapes {read.shape(a)} and {read.shape(b)}", "make them equal"
        )
    if any(
        one != other
        for one, other, size in zip(a.axes, b.axes, read.shape(a)[1:], strict=True)
        if size > 1
    ):
        a, b = read.as_map(node, a), read.as_map(node, b)
    return read.add(node, Add, a, b, grid=grid)


def subtract(read: Reader, node: Node) -> Value:
    """Read a Sub of a constant, or from one."""
    x, constant = _operands(read, node)
    if constant is None:
        raise Unsupported("subtracts two computed values", "change the sign of weights and add")
    if isinstance(read.values.get(node.inputs[0]), Value):
        return _affine(read, node, x, _ONE, -constant)
    return _affine(read, node, x, -_ONE, constant)


def multiply(read: Reader, node: Node) -> Value:
    """Read a Mul by a constant, or of two values of an activation function."""
    x, constant = _operands(read, node)
    if constant is None:
        a, b = read.single(node, 0), read.single(node, 1)
        if read.shape(a) != read.shape(b) or a.axes != b.axes:
            raise Unsupported(*PRODUCT)
        return read.add(node, Product, a, b)
    return _affine(read, node, x, constant, _ZERO)


def divide(read: Reader, node: Node) -> Value:
    """Read a Div by a constant."""
    x, constant = _operands(read, node)
    if constant is None or not isinstance(read.values.get(node.inputs[0]), Value):
        raise Unsupported("divides by a computed value")
    with np.errstate(all="ignore"):  # what is not finite is refused as a constant
        return _affine(read, node, x, 1 / constant, _ZERO)


def negate(read: Reader, node: Node) -> Value:
    """Read a Neg."""
    return _affine(read, node, read.single(node, 0), -_ONE, _ZERO)


def _operands(read: Reader, node: Node) -> tuple[Value, Doubles | None]:
    """Return the computed operand, and the other one if it is a constant."""
    if "axis" in node.attributes:
        raise Unsupported("has the attribute axis of operator sets before 7", "export it anew")
    known = [at for at in (0, 1) if isinstance(read.values.get(node.inputs[at]), Known)]
    x = read.single(node, 1 if known == [0] else 0)
    if not known:
        return x, None
    constant = read.known(node, known[0], "operand").values
    return x, read.aligned(np.asarray(constant), x)


def _affine(read: Reader, node: Node, x: Value, scale: Doubles, shift: Doubles) -> Value:
    return read.add(
        node, Affine, x, scale=Constant(node.name, scale), shift=Constant(node.name, shift)
    )
