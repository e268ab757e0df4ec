"""The integer arithmetic of TensorFlow Lite's reference kernels, on the neutral graph.

Accumulators have 32 bits. They are requantized by a multiplier of 31 bits that is rounded twice:
once by the product's upper half, to nearest with ties upwards, and once by the shift, to nearest
with ties away from 0 (gemmlowp). FULLY_CONNECTED multiplies by a real number instead, as LiteRT 2
does.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.frontends.neutral import (
    AveragePooling,
    Convolution,
    Graph,
    Linear,
    Operator,
    Quantization,
)

#: Name of this arithmetic, for tables.
KERNELS = "TFLite reference kernels"
#: Kinds of operators of the file that have kernels unlike those of the neutral operator: a mean
#: of a map, and a fully connected layer at every position of one.
MEAN, FULLY_CONNECTED = "mean", "fully_connected"
#: Bits by which ADD widens its operands.
ADD_BITS = 20

Integers = npt.NDArray[np.int64]


class ReferenceKernels:
    """The arithmetic as `sqhw.frontends.quantized.kernels.Kernels` has it."""

    name = KERNELS

    def of_sums(
        self, graph: Graph, chain: Sequence[Operator], sums: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """Return the output's integers, before any bounds, of sums of shape (channels, n)."""
        (operator,) = chain
        whole = sums.astype(np.int64)
        source, *_, target = grids(graph, operator)
        zero_point = int(target.zero_point)
        if isinstance(operator, Convolution | Linear):
            weights = operator.weight.quantization
            assert weights is not None
            if operator.bias is not None:
                whole = whole + operator.bias.values.astype(np.int64)[:, None]
            if isinstance(operator, Linear) or _kind(operator) == FULLY_CONNECTED:
                return _scaled(whole, source, weights, target) + zero_point
            return requantized(whole, source.scale * weights.scale / target.scale) + zero_point
        if isinstance(operator, AveragePooling):
            count = operator.kernel[0] * operator.kernel[1]
            if _kind(operator) == MEAN:
                return _mean(whole, count, float(source.scale / target.scale)) + zero_point
            return _averaged(whole + count * int(source.zero_point), count)
        return requantized(whole, source.scale / target.scale) + zero_point

    def of_pair(
        self, graph: Graph, chain: Sequence[Operator], a: npt.NDArray[Any], b: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """Return the output's integers, before any bounds, of an addition."""
        (operator,) = chain
        *sources, target = grids(graph, operator)
        twice = 2 * max(float(grid.scale) for grid in sources)
        total = np.zeros(a.size, np.int64)
        for grid, x in zip(sources, (a, b), strict=True):
            centred = (x.reshape(-1).astype(np.int64) - int(grid.zero_point)) << ADD_BITS
            total += requantized(centred[None], grid.scale / twice)[0]
        ratio = np.float64(twice / ((1 << ADD_BITS) * float(target.scale)))
        found = requantized(total[None], ratio)[0]  # type: ignore[arg-type]
        made: Integers = found.reshape(a.shape) + int(target.zero_point)
        return made


def fixed_point(ratio: float) -> tuple[int, int]:
    """Return the multiplier of 31 bits and the left shift of a ratio, ``m * 2**(s - 31)``."""
    if ratio == 0:
        return 0, 0
    fraction, shift = math.frexp(ratio)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return (1 << 31) - 1, 30
    return multiplier, shift


def requantized(acc: Integers, ratios: npt.NDArray[np.float64]) -> Integers:
    """Return accumulators times ratios, rounded twice.

    Parameters
    ----------
    acc : ndarray of int64, shape (channels, n)
    ratios : ndarray of float64, shape () or (channels,)
    """
    found = [fixed_point(float(ratio)) for ratio in np.atleast_1d(ratios)]
    multiplier, shift = (np.array(part).reshape(-1, 1) for part in zip(*found, strict=True))
    return _multiplied(acc, multiplier, shift)


def _multiplied(acc: Integers, multiplier: Integers, shift: Integers) -> Integers:
    """Return accumulators times ``multiplier * 2**(shift - 31)``, rounded twice."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    high = ((acc << left) * multiplier + (1 << 30)) >> 31
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
    away = np.where(right > 0, 1, 0) * (high < 0)
    rounded: Integers = (high + half - away) >> right
    return rounded


def grids(graph: Graph, operator: Operator) -> tuple[Quantization, ...]:
    """Return the grids of an operator's inputs and of its output.

    Raises
    ------
    SqhwError
        If one of them has real numbers, or a scale for each channel.
    """
    found = []
    for name in (*operator.inputs, operator.output):
        grid = graph.tensors[name].quantization
        if grid is None or grid.axis is not None:
            raise SqhwError(f"layer {operator.name!r}: reads or makes real numbers")
        found.append(grid)
    return tuple(found)


def _scaled(
    whole: Integers, source: Quantization, weights: Quantization, target: Quantization
) -> Integers:
    """Return accumulators of FULLY_CONNECTED times a real number, rounded."""
    products = np.float32(source.scale) * weights.scale.astype(np.float32)
    scaled = whole * (products.astype(np.float64) / target.scale).reshape(-1, 1)
    rounded: Integers = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled).astype(np.int64)
    return rounded


def _mean(centred: Integers, count: int, ratio: float) -> Integers:
    """Return means of sums of (integer - zero point) times a ratio.

    The multiplier is divided by the count after a shift by the count's width. So it may have a bit
    less than others.
    """
    multiplier, shift = fixed_point(ratio)
    width = min(count.bit_length() - 1, 32, 31 + shift)
    divided = (multiplier << width) // count
    return _multiplied(centred, np.array([[divided]]), np.array([[shift - width]]))


def _averaged(sums: Integers, count: int) -> Integers:
    """Return averages of integers: to nearest, ties away from 0."""
    averages: Integers = np.sign(sums) * ((np.abs(sums) + count // 2) // count)
    return averages


def _kind(operator: Operator) -> str:
    """Return the kind of an operator of the file, which its name begins with."""
    return operator.name.rpartition("_")[0]
