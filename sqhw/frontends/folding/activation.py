"""Activations made of ReLUs: bounds other than 0, and slopes below 0."""

from collections.abc import Hashable
from typing import TypeVar

import numpy as np

from sqhw.frontends.folding.builder import Builder
from sqhw.frontends.folding.view import Doubles, View
from sqhw.network.floats import FloatResidual

N = TypeVar("N", bound=Hashable)
_ONE, _ZERO = np.ones((1, 1, 1)), np.zeros((1, 1, 1))


def clipped(build: Builder[N], node: N, x: View, low: float | None, high: float | None) -> View:
    """Bound values: they are moved so that one bound is 0, and back after the ReLU."""
    if low is None and high is None:
        return x
    if low is None:  # min(x, high) = high - relu(high - x)
        assert high is not None
        turned = _moved(build, node, x, -1.0, high)
        return build.affine(node, build.activate(node, turned, None), -_ONE, high * _ONE)
    if low == 0:
        return build.activate(node, x, high)
    moved = _moved(build, node, x, 1.0, -low)
    bounded = build.activate(node, moved, None if high is None else high - low)
    return build.affine(node, bounded, _ONE, low * _ONE)


def _moved(build: Builder[N], node: N, x: View, scale: float, shift: float) -> View:
    """Return values times a factor plus a summand, which no node of the source has."""
    moved = build.affine(node, x, scale * _ONE, shift * _ONE)
    if moved.plain and x.plain:  # the layer before it computes them now
        build.hide(moved.tensor)
    return moved


def leaky(build: Builder[N], node: N, x: View, slope: Doubles) -> View:
    """Multiply negative values by a slope: ``slope * x + relu((1 - slope) * x)``.

    Parameters
    ----------
    build : Builder
    node : node of the source
    x : View
    slope : ndarray of float64
        At most 1; one number, or one a channel.
    """
    if (slope > 1).any():
        raise build.unsupported(
            node, f"a slope of {slope.max():g} below 0", "use slopes of at most 1"
        )
    if not slope.any():
        return build.activate(node, x, None)
    x = build.settle(node, x)
    factor = np.broadcast_to(slope.reshape(-1), (x.shape[0],)).astype(np.float64)
    positive = build.depthwise(node, x, 1 - factor, relu=True)
    made = build.depthwise(node, x, factor, residual=FloatResidual(positive.tensor))
    build.notes.append(
        f"layers {positive.tensor!r} and {made.tensor!r} are an activation with a slope below 0"
    )
    return made
