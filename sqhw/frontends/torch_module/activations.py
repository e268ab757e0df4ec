"""Activation functions: bounds, slopes and tables, and functions that are left out at the end."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, fx

from sqhw.frontends.folding.activation import clipped, leaky
from sqhw.frontends.folding.notes import left_out
from sqhw.frontends.folding.view import View
from sqhw.frontends.torch_module.builder import Builder
from sqhw.frontends.torch_module.supported import doubles, title, unsupported


def relu(build: Builder, node: fx.Node, x: View, inplace: bool = False) -> View:
    """Apply max(x, 0)."""
    return build.activate(node, x, None)


def relu6(build: Builder, node: fx.Node, x: View, inplace: bool = False) -> View:
    """Apply min(max(x, 0), 6)."""
    return build.activate(node, x, 6.0)


def clamp(build: Builder, node: fx.Node, x: View, min: Any = None, max: Any = None) -> View:
    """Apply bounds, where the engine has them."""
    if not all(bound is None or isinstance(bound, int | float) for bound in (min, max)):
        raise unsupported(node, f"clamp from {min} to {max}")
    low, high = (None if bound is None else float(bound) for bound in (min, max))
    if low is not None and high is not None and low >= high:
        raise unsupported(node, f"clamp from {min} to {max}")
    return clipped(build, node, x, low, high)


def leaky_relu(
    build: Builder, node: fx.Node, x: View, negative_slope: float = 0.01, inplace: bool = False
) -> View:
    """Apply a slope below 0, the same for all channels."""
    return leaky(build, node, x, np.full(1, float(negative_slope)))


def prelu(build: Builder, node: fx.Node, x: View, weight: Tensor) -> View:
    """Apply slopes below 0, one or one a channel."""
    slope = doubles(node, "slope", weight).numpy()
    if slope.size not in (1, x.shape[0]) or (slope.size > 1 and x.flat and x.shape[1:] != (1, 1)):
        raise unsupported(node, f"PReLU with {slope.size} slopes on a map {x.shape}")
    return leaky(build, node, x, slope)


def hard_sigmoid(build: Builder, node: fx.Node, x: View, inplace: bool = False) -> View:
    """Apply min(max(x / 6 + 1/2, 0), 1)."""
    one = np.ones((1, 1, 1))
    moved = build.affine(node, x, one / 6, one / 2)
    if moved.plain:
        build.hide(moved.tensor)
    return build.activate(node, moved, 1.0)


def hardtanh(
    build: Builder,
    node: fx.Node,
    x: View,
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,
) -> View:
    """Apply two bounds."""
    return clamp(build, node, x, min_val, max_val)


def softmax(
    build: Builder, node: fx.Node, x: View, dim: Any = None, _stacklevel: int = 3, dtype: Any = None
) -> View:
    """Leave out a softmax over the classes at the end."""
    if dim not in (None, 1, -len(x.size)):
        raise unsupported(node, f"a softmax over dimension {dim}, other than the classes,")
    return _at_the_end(build, node, x, "softmax")


def sigmoid(build: Builder, node: fx.Node, x: View) -> View:
    """Apply a sigmoid by a table, or leave it out at the end."""
    if not build.read_by_output_alone(node) or x.shape[1:] != (1, 1):
        return build.look_up(node, x, "sigmoid")
    return _at_the_end(build, node, x, "sigmoid")


def looked_up(name: str) -> Callable[..., View]:
    """Return the handler of an activation function that is a table."""

    def function(build: Builder, node: fx.Node, x: View, inplace: bool = False) -> View:
        return build.look_up(node, x, name)

    return function


def elu(build: Builder, node: fx.Node, x: View, alpha: float = 1.0, inplace: bool = False) -> View:
    """Apply ELU by a table."""
    if alpha != 1.0:
        raise unsupported(node, f"ELU with alpha {alpha}", "use alpha 1")
    return build.look_up(node, x, "elu")


def gelu(build: Builder, node: fx.Node, x: View, approximate: str = "none") -> View:
    """Apply GELU by a table, exact or by tanh."""
    return build.look_up(node, x, "gelu_tanh" if approximate == "tanh" else "gelu")


def softplus(
    build: Builder, node: fx.Node, x: View, beta: float = 1.0, threshold: float = 20.0
) -> View:
    """Apply Softplus by a table."""
    if beta != 1.0 or threshold < 20.0:
        raise unsupported(node, f"Softplus with beta {beta} and threshold {threshold}")
    return build.look_up(node, x, "softplus")


def _at_the_end(build: Builder, node: fx.Node, x: View, what: str) -> View:
    """Leave out a function that keeps the order of the outputs."""
    if not build.read_by_output_alone(node) or x.shape[1:] != (1, 1):
        raise unsupported(
            node,
            f"a {what} other than of the network's outputs",
            "use ReLU, or ReLU6 where values must be bounded",
        )
    build.dropped.add(node)
    build.notes.append(left_out(title(node), what))
    return x
