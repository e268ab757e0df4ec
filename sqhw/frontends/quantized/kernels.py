"""The arithmetic of a model's runtime: from sums of integers to integers of the output."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import (
    Affine,
    AveragePooling,
    Clip,
    Convolution,
    Graph,
    Linear,
    Lookup,
    Operator,
    Quantization,
)
from sqhw.frontends.neutral.elementwise import values_of
from sqhw.frontends.neutral.evaluate import evaluate

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]


class Kernels(Protocol):
    """A runtime's arithmetic.

    Attributes
    ----------
    name : str
        Name for tables and messages.
    """

    name: str

    def of_sums(self, graph: Graph, chain: Sequence[Operator], sums: Numbers) -> Numbers:
        """Return the output's integers, before any bounds, of sums.

        Parameters
        ----------
        graph : Graph
        chain : sequence of Operator
            An operator on integers, and those on real numbers after it up to a quantized tensor.
        sums : ndarray of float64 or int64, shape (channels, n)
            Sums of weight times (integer - zero point), without bias; of a pooling, sums of
            (integer - zero point) over a window; of other operators the difference itself.
        """

    def of_pair(self, graph: Graph, chain: Sequence[Operator], a: Numbers, b: Numbers) -> Numbers:
        """Return the output's integers, before any bounds, of an Add of two arrays of integers."""


class RealKernels:
    """Real numbers in double precision, rounded once to the output's grid."""

    name = "real numbers, rounded once"

    def of_sums(self, graph: Graph, chain: Sequence[Operator], sums: Numbers) -> Numbers:
        """Return the output's integers, see `Kernels.of_sums`."""
        return _to_grid(graph, chain, reals(graph, chain, sums))

    def of_pair(self, graph: Graph, chain: Sequence[Operator], a: Numbers, b: Numbers) -> Numbers:
        """Return the output's integers, see `Kernels.of_pair`."""
        total = np.zeros(a.shape)
        for name, x in zip(chain[0].inputs, (a, b), strict=True):
            grid = graph.tensors[name].quantization
            assert grid is not None
            total = total + grid.reals(x)
        return _to_grid(graph, chain, after(chain[1:], total))


def reals(graph: Graph, chain: Sequence[Operator], sums: Numbers) -> Doubles:
    """Return the real numbers that a chain makes of sums, see `Kernels.of_sums`."""
    head, *tail = chain
    real = sums * _units(graph, head)
    if isinstance(head, Convolution | Linear) and head.bias is not None:
        real = real + head.bias.reals[:, None]
    if not isinstance(head, Convolution | Linear | AveragePooling):
        real = _applied(head, real)
    return after(tail, real)


def after(tail: Sequence[Operator], real: Doubles) -> Doubles:
    """Return real numbers after operators on them, shape (channels, n) as `real`."""
    for operator in tail:
        real = _applied(operator, real)
    return real


def slopes(chain: Sequence[Operator], channels: int) -> Doubles:
    """Return whether the output rises or falls with the sum, as a number a channel: 1 or -1."""
    signs = np.ones(channels)
    for operator in chain:
        if isinstance(operator, Affine):
            scale = np.broadcast_to(operator.scale.reals.reshape(-1), channels)
            signs = signs * np.where(scale < 0, -1.0, 1.0)
    return signs


def _units(graph: Graph, head: Operator) -> Doubles:
    """Return the real value of one unit of the sum, shape (channels, 1) or ()."""
    source = _grid(graph, head)
    if isinstance(head, Convolution | Linear):
        weights = head.weight.quantization
        assert weights is not None
        products = source.scale * weights.scale
        return products[:, None] if products.ndim else products
    if isinstance(head, AveragePooling):
        return source.scale / (head.kernel[0] * head.kernel[1])
    return source.scale


def _grid(graph: Graph, head: Operator) -> Quantization:
    grid = graph.tensors[head.inputs[0]].quantization
    assert grid is not None
    return grid


def _applied(operator: Operator, real: Doubles) -> Doubles:
    if isinstance(operator, Clip):
        low = -np.inf if operator.low is None else operator.low
        return real.clip(low, np.inf if operator.high is None else operator.high)
    if isinstance(operator, Affine):
        scale, shift = (
            np.broadcast_to(part.reals.reshape(-1, 1), (len(real), 1))
            for part in operator.constants
        )
        return real * scale + shift
    if isinstance(operator, Lookup):
        return values_of(operator, evaluate, real)
    return real


def _to_grid(graph: Graph, chain: Sequence[Operator], real: Doubles) -> Numbers:
    """Return the integers of the grid that a chain ends at, before any bounds."""
    grid = graph.tensors[chain[-1].output].quantization
    assert grid is not None
    return grid.unbounded(real)
