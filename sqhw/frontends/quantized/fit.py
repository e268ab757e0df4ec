"""Requantization by 16-bit multipliers and shifts that meets another one at its thresholds.

A requantization is a function that never falls: it is known by its thresholds, the smallest sum at
which the output is at least t, for every t. Two functions with the same thresholds are equal for
every input. Multiplier and bias are searched so that as few sums as possible lie between the
thresholds of one and of the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.machine.number import ActivationFormat
from sqhw.network.quantized import MAX_MULTIPLIER, MAX_SHIFT

Integers = npt.NDArray[np.int64]
#: Function of sums, shape (channels, n), that returns integers of the map, of the same shape.
Response = Callable[[Integers], Integers]
#: Multipliers that are tried on either side of the estimate.
REACH = 4
#: Largest number of biases on either side of the median that are tried.
BIAS_REACH = 1


@dataclass(frozen=True, eq=False)
class Fitted:
    """Constants of the engine's requantization, one a channel.

    Parameters
    ----------
    multiplier, shift, bias : ndarray of int64, shape (channels,)
        Constants of ``((sum * factor + bias) * multiplier + half) >> shift``.
    factor : int
        Factor of all weights of the layer.
    constant : ndarray of bool, shape (channels,)
        Channels whose output is the same for every sum; their weights become 0.
    differing : int
        Number of sums, of all channels, for which the outputs differ.
    sums : int
        Number of sums that can occur, of all channels.
    """

    multiplier: Integers
    shift: Integers
    bias: Integers
    factor: int
    constant: npt.NDArray[np.bool_]
    differing: int
    sums: int


def thresholds(
    response: Response, form: ActivationFormat, low: Integers, high: Integers
) -> Integers:
    """Return the smallest sums at which outputs are at least each value above the lowest.

    Parameters
    ----------
    response : callable
        Function of sums that never falls.
    form : ActivationFormat
        Format of its results.
    low, high : ndarray of int64, shape (channels,)
        Smallest and largest sums of each channel.

    Returns
    -------
    ndarray of int64, shape (channels, values - 1)
        ``high + 1`` where no sum reaches the value.
    """
    levels = np.arange(form.lo + 1, form.hi + 1)
    below = np.repeat(low[:, None] - 1, len(levels), axis=1)
    above = np.repeat(high[:, None] + 1, len(levels), axis=1)
    while True:
        open_ = above - below > 1
        if not open_.any():
            return above
        middle = np.where(open_, (above + below) >> 1, low[:, None])
        reached = response(middle) >= levels
        above = np.where(open_ & reached, middle, above)
        below = np.where(open_ & ~reached, middle, below)


def fit(
    response: Response,
    form: ActivationFormat,
    low: Integers,
    high: Integers,
    largest_factor: int = 1,
) -> Fitted:
    """Return the engine's requantization that is nearest to a function of sums.

    Parameters
    ----------
    response : callable
        Function of sums that never falls; its results are within `form`.
    form : ActivationFormat
    low, high : ndarray of int64, shape (channels,)
        Smallest and largest sums of each channel.
    largest_factor : int, 1 or more
        Largest factor of the weights. Factors above 1 give the bias finer steps; the smallest one
        that makes both functions equal is taken.
    """
    wanted = thresholds(response, form, low, high)
    best: Fitted | None = None
    factor = 1
    while factor <= largest_factor and (best is None or best.differing):
        found = _fitted(wanted, form, low, high, factor)
        if best is None or found.differing < best.differing:
            best = found
        factor *= 2
    assert best is not None
    return best


def _fitted(
    wanted: Integers, form: ActivationFormat, low: Integers, high: Integers, factor: int
) -> Fitted:
    levels = np.arange(form.lo + 1, form.hi + 1)
    inside = (wanted > low[:, None]) & (wanted <= high[:, None])
    constant: npt.NDArray[np.bool_] = np.logical_not(inside.any(axis=1))
    centre = factor * wanted - (factor - 1) / 2  # of the sums, times the factor, that will do
    slope = _slopes(centre, inside, levels, factor)
    multiplier, shift = _dyadic(slope)
    best = np.full(len(low), np.iinfo(np.int64).max)
    kept = [multiplier.copy(), shift.copy(), np.zeros_like(multiplier)]
    for step in sorted(range(-REACH, REACH + 1), key=abs):
        tried = multiplier + step
        allowed = (tried >= 1) & (tried <= MAX_MULTIPLIER)
        tried = tried.clip(1, MAX_MULTIPLIER)
        own = _first_sums(levels, tried, shift)
        middle = _median(own - centre, inside)
        for bias in (middle + near for near in range(-BIAS_REACH, BIAS_REACH + 1)):
            reached = -((bias[:, None] - own) // factor)  # smallest sum whose multiple gets there
            error = np.abs(
                reached.clip(low[:, None], high[:, None] + 1)
                - wanted.clip(low[:, None], high[:, None] + 1)
            ).sum(axis=1)
            better = allowed & (error < best)
            best = np.where(better, error, best)
            for values, new in zip(kept, (tried, shift, bias), strict=True):
                values[better] = new[better]
    multiplier, shift, bias = kept
    outputs = form.lo + (wanted <= low[:, None]).sum(axis=1)
    multiplier, shift = (np.where(constant, n, v) for n, v in ((1, multiplier), (0, shift)))
    bias = np.where(constant, outputs, bias)
    _reduce(multiplier, shift)
    return Fitted(
        multiplier,
        shift,
        bias,
        factor,
        constant,
        int(np.where(constant, 0, best).sum()),
        int((high - low + 1).sum()),
    )


def _slopes(
    centre: npt.NDArray[Any],
    inside: npt.NDArray[np.bool_],
    levels: Integers,
    factor: int,
) -> npt.NDArray[np.float64]:
    """Return output units a unit of the sum, by a straight line through the thresholds."""
    count = np.maximum(1, inside.sum(axis=1))
    x = np.where(inside, levels - (inside * levels).sum(axis=1)[:, None] / count[:, None], 0.0)
    y = np.where(inside, centre - (inside * centre).sum(axis=1)[:, None] / count[:, None], 0.0)
    squares = (x * x).sum(axis=1)
    rise = np.where(squares > 0, (x * y).sum(axis=1) / np.maximum(squares, 1), 0.0)
    steepest = 2.0 * (len(levels) + 1)  # a step over all values within one sum
    return 1 / np.maximum(rise, 1 / steepest)


def _dyadic(ratio: npt.NDArray[np.float64]) -> tuple[Integers, Integers]:
    """Return multipliers of as many bits as there are, and shifts, nearest to ratios above 0."""
    width = MAX_MULTIPLIER.bit_length()
    shift = (width - 1 - np.floor(np.log2(ratio))).astype(np.int64).clip(0, MAX_SHIFT)
    multiplier = np.rint(np.ldexp(ratio, shift)).astype(np.int64)
    over = (multiplier > MAX_MULTIPLIER) & (shift > 0)
    shift = shift - over
    multiplier = np.rint(np.ldexp(ratio, shift)).astype(np.int64)
    return multiplier.clip(1, MAX_MULTIPLIER), shift


def _first_sums(levels: Integers, multiplier: Integers, shift: Integers) -> Integers:
    """Return the smallest numbers that are requantized to each level, shape (channels, levels)."""
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    least = (levels << shift[:, None]) - half[:, None]
    return -(-least // multiplier[:, None])


def _median(values: npt.NDArray[Any], inside: npt.NDArray[np.bool_]) -> Integers:
    """Return the whole number nearest to the median of each row's values `inside`, else 0."""
    ordered = np.sort(np.where(inside, values, np.inf), axis=1)
    middle = np.maximum(0, inside.sum(axis=1) - 1) // 2
    found = ordered[np.arange(len(values)), middle]
    return np.where(np.isfinite(found), np.rint(found), 0).astype(np.int64)


def _reduce(multiplier: Integers, shift: Integers) -> None:
    """Divide out common factors of two, which changes no result."""
    while True:
        even = (multiplier % 2 == 0) & (shift > 0)
        if not even.any():
            return
        multiplier[even] //= 2
        shift[even] -= 1
