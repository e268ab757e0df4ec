"""Requantization by 16-bit multipliers and shifts that meets another one at its thresholds.

A requantization is a function that never falls: it is known by its thresholds, the smallest sum at
which the output is at least t, for every t. Two functions with the same thresholds are equal for
every input. Multiplier and bias are searched so that as few sums as possible lie between the
thresholds of one and of the other.
"""

from collections.abc import Callable, Iterator, Sequence
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
#: Largest number of thresholds that count as few, and slopes that are tried for these.
FEW_LEVELS, SLOPES = 15, 15
#: Sums from a threshold to the next below which rounded thresholds do not tell the slope.
LEAST_RISE = 32.0
#: Largest rise that is tried where thresholds do not bound it, relative to the least one.
STEEP = 4.0
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
        Factor of the sums.
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
    factors: Sequence[int] = (1,),
) -> Fitted:
    """Return the engine's requantization that is nearest to a function of sums.

    Parameters
    ----------
    response : callable
        Function of sums that never falls; its results are within `form`.
    form : ActivationFormat
    low, high : ndarray of int64, shape (channels,)
        Smallest and largest sums of each channel.
    factors : sequence of int, 1 or more each
        Factors of the sums that are tried in turn, until both functions are equal. Larger ones give
        the bias finer steps.
    """
    wanted = thresholds(response, form, low, high)
    best: Fitted | None = None
    for factor in factors:
        found = _fitted(wanted, form, low, high, factor)
        if best is None or found.differing < best.differing:
            best = found
        if not best.differing:
            break
    assert best is not None
    return best


def _fitted(
    wanted: Integers, form: ActivationFormat, low: Integers, high: Integers, factor: int
) -> Fitted:
    levels = np.arange(form.lo + 1, form.hi + 1)
    inside = (wanted > low[:, None]) & (wanted <= high[:, None])
    constant: npt.NDArray[np.bool_] = np.logical_not(inside.any(axis=1))
    centre = factor * wanted - (factor - 1) / 2  # of the sums, times the factor, that will do
    first, last = low[:, None], high[:, None] + 1
    bounded = wanted.clip(first, last)
    least = np.full(len(low), np.iinfo(np.int64).max)
    multiplier, shift, bias = np.ones_like(low), np.zeros_like(low), np.zeros_like(low)
    for tried, right in _candidates(bounded, inside, levels, factor):
        own = _first_sums(levels, tried, right)
        middle = _median(own - centre, inside)
        for offset in (middle + near for near in range(-BIAS_REACH, BIAS_REACH + 1)):
            reached = -((offset[:, None] - own) // factor)  # smallest sum whose multiple gets there
            error = np.abs(reached.clip(first, last) - bounded).sum(axis=1)
            better = error < least
            least = np.where(better, error, least)
            multiplier = np.where(better, tried, multiplier)
            shift, bias = np.where(better, right, shift), np.where(better, offset, bias)
    multiplier, shift = np.where(constant, 1, multiplier), np.where(constant, 0, shift)
    bias = np.where(constant, form.lo + (wanted <= low[:, None]).sum(axis=1), bias)
    multiplier, shift = _reduced(multiplier, shift)
    differing = int(np.where(constant, 0, least).sum())
    sums = int((high - low + 1).sum())
    return Fitted(multiplier, shift, bias, factor, constant, differing, sums)


def _candidates(
    wanted: Integers, inside: npt.NDArray[np.bool_], levels: Integers, factor: int
) -> Iterator[tuple[Integers, Integers]]:
    """Yield multipliers and shifts, one a channel.

    A straight line through many thresholds that are far apart has the slope. If a channel has few
    of them, or near ones, the slopes of all lines that may meet them are a wide range, which is
    tried in steps.
    """
    rise = _rise(wanted, inside, levels)
    multiplier, shift = _dyadic(1 / (factor * rise))
    for step in sorted(range(-REACH, REACH + 1), key=abs):
        yield (multiplier + step).clip(1, MAX_MULTIPLIER), shift
    vague = (inside.sum(axis=1) <= FEW_LEVELS) | (rise < LEAST_RISE)
    few = np.flatnonzero(inside.any(axis=1) & vague)
    if not few.size:
        return
    flattest, steepest = rise.copy(), rise.copy()
    for channel in few:
        ends = _rises(wanted[channel], inside[channel], levels)
        flattest[channel], steepest[channel] = ends
    for share in (np.arange(SLOPES) + 0.5) / SLOPES:
        yield _dyadic(1 / (factor * (flattest + share * (steepest - flattest))))


def _rise(
    wanted: Integers, inside: npt.NDArray[np.bool_], levels: Integers
) -> npt.NDArray[np.float64]:
    """Return units of the sum from one threshold to the next, by a line of least squares."""
    count = np.maximum(1, inside.sum(axis=1))[:, None]
    x = np.where(inside, levels - (inside * levels).sum(axis=1, keepdims=True) / count, 0.0)
    y = np.where(inside, wanted - (inside * wanted).sum(axis=1, keepdims=True) / count, 0.0)
    squares = (x * x).sum(axis=1)
    rise = (x * y).sum(axis=1) / np.where(squares > 0, squares, 1.0)
    bounded: npt.NDArray[np.float64] = np.maximum(rise, _steepest(levels))
    return bounded


def _rises(
    wanted: Integers, inside: npt.NDArray[np.bool_], levels: Integers
) -> tuple[float, float]:
    """Return the least and the largest rise of a line that meets every pair of thresholds.

    A threshold that all sums pass, or none, bounds the rise from below only.
    """
    apart, gap = wanted[None] - wanted[:, None], levels[None] - levels[:, None]
    later, both = gap > 0, (gap > 0) & inside[None] & inside[:, None]
    least = max(_steepest(levels), float(((apart - 1)[later] / gap[later]).max(initial=0.0)))
    most = float(((apart + 1)[both] / gap[both]).min(initial=STEEP * (least + 1)))
    return least, max(least, most)


def _steepest(levels: Integers) -> float:
    """Return a rise with which one sum passes all thresholds."""
    return 0.5 / (len(levels) + 1)


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


def _reduced(multiplier: Integers, shift: Integers) -> tuple[Integers, Integers]:
    """Return constants without common factors of two, which change no result."""
    while (even := (multiplier % 2 == 0) & (shift > 0)).any():
        multiplier = np.where(even, multiplier // 2, multiplier)
        shift = shift - even
    return multiplier, shift
