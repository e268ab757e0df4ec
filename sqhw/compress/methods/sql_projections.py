"""Projections of SQL: which weights to keep, and on how many bits."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sqhw.arrays import Floats64
from sqhw.compress.quantizers.base import Quantizer
from sqhw.cost_models.knapsack import Option, choose, hull
from sqhw.errors import SqhwError

#: Magnitude below which a weight counts as zero.
ZERO = 1e-5


def widths(quantizer: Quantizer, least_bits: int) -> range:
    """Return the widths of a code that a layer may have."""
    return range(max(least_bits, quantizer.least_bits), quantizer.most_bits + 1)


def sparsify(
    weights: Sequence[Floats64], bits: Sequence[int], budget: float, *, floor: int = 0
) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the masks of the weights to keep: the projection of W.

    All weights of all layers are sorted by descending ``w**2 / bits of the layer``. The longest
    prefix whose bits do not exceed the budget is kept without its last weight, as in the authors'
    code.

    Parameters
    ----------
    weights : sequence of ndarray of float64
        Weights of each layer.
    bits : sequence of int
        Width of a code in each layer.
    budget : float
        Largest sum of the bits of kept weights (unit: bit).
    floor : int
        Least number of weights of each layer. They come before all others.

    Returns
    -------
    list of ndarray of bool, shapes of `weights`

    Raises
    ------
    SqhwError
        If the floors alone exceed the budget.
    """
    score = np.concatenate(
        [w.reshape(-1).astype(np.float64) ** 2 / b for w, b in zip(weights, bits, strict=True)]
    )
    sizes = [w.size for w in weights]
    starts = np.concatenate(([0], np.cumsum(sizes)))
    cost = np.repeat(np.asarray(bits, dtype=np.float64), sizes)
    if floor:
        for start, size in zip(starts, sizes, strict=False):
            own = score[start : start + size]
            best = np.argpartition(own, size - min(floor, size))[size - min(floor, size) :]
            score[start + best] = np.inf
    order = np.argsort(-score, kind="stable")
    spent = np.cumsum(cost[order])
    least = sum(min(floor, size) * b for size, b in zip(sizes, bits, strict=True))
    floors = sum(min(floor, size) for size in sizes)
    count = max(floors, int(np.searchsorted(spent, budget, side="right")) - 1)
    if least > budget:
        raise SqhwError(
            f"budget payload={int(budget)} is too small: {floor} weights in each of {len(sizes)} "
            f"layers take payload={least}"
        )
    mask = np.zeros(len(score), dtype=bool)
    mask[order[:count]] = True
    parts = np.split(mask, starts[1:-1])
    return [part.reshape(w.shape) for part, w in zip(parts, weights, strict=True)]


def quantize_layers(
    weights: Sequence[Floats64],
    nonzeros: Sequence[int],
    budget: float,
    quantizer: Quantizer,
    *,
    least_bits: int = 1,
) -> tuple[list[Floats64], list[int]]:
    """Return the quantized copy V of the weights and the bits of each layer.

    A multiple-choice knapsack on convex hulls chooses the bits. The cost is ``bits * nonzeros``.
    The distortion is that of the quantizer over all weights of the layer of magnitude `ZERO` or
    more.

    Parameters
    ----------
    weights : sequence of ndarray of float64
        W + U.
    nonzeros : sequence of int
        Number of non-zeros of each layer in W.
    budget : float
        Largest sum of ``bits * nonzeros`` (unit: bit).
    quantizer : Quantizer
    least_bits : int
        Smallest width of a code.

    Raises
    ------
    SqhwError
        If `least_bits` in all layers exceed the budget.
    """
    hulls, books = [], []
    for weight, count in zip(weights, nonzeros, strict=True):
        kept = np.abs(weight) >= ZERO
        values = weight[kept]
        found, options = {}, []
        for bits in widths(quantizer, least_bits):
            if len(values) == 0:
                options.append(Option(bits * count, 0.0, count, 1 << bits))
                break
            taken = quantizer.with_bits(bits).fit(values).quantize(values)
            error = float(((taken - values) ** 2).sum())
            options.append(Option(bits * count, error, count, 1 << bits))
            found[1 << bits] = (kept, taken)
        hulls.append(hull(options))
        books.append(found)
    chosen = choose(hulls, math.floor(budget))
    if chosen is None:
        least = sum(layer[0].bits for layer in hulls)
        raise SqhwError(
            f"budget payload={int(budget)} is too small for {sum(nonzeros)} weights of "
            f"{least_bits} bits; the least is payload={least}"
        )
    quantized, found_bits = [], []
    for weight, option, found in zip(weights, chosen, books, strict=True):
        values = np.zeros(weight.shape)
        if found:
            kept, taken = found[option.levels]
            values[kept] = taken
        quantized.append(values)
        found_bits.append(option.levels.bit_length() - 1)
    return quantized, found_bits
