"""Additions: one map by a 1x1 layer of equal weights, the other by its skip connection."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.quantized.held import Held
from sqhw.frontends.quantized.making import Fit, Making
from sqhw.frontends.quantized.sums import Window
from sqhw.frontends.quantized.views import View
from sqhw.machine.number import ActivationFormat
from sqhw.network.quantized import MAX_MULTIPLIER, MAX_SHIFT, Residual

Numbers = npt.NDArray[Any]
#: Function of two arrays of the file's integers that returns those of their sum, without bounds.
OfPair = Callable[[Numbers, Numbers], Numbers]
#: Width of a multiplier (unit: bit).
MULTIPLIER_BITS = MAX_MULTIPLIER.bit_length()
#: Largest weight of a skip connection, and of the layer beside it.
WEIGHT_TOP = 127
#: Pairs of weights that are tried on a part of all pairs of integers, and on all of them.
COARSE_PAIRS, FINE_PAIRS = 64, 4
#: Step between integers of that part. It shares no factor with a power of two.
COARSE_STEP = 5
#: Multipliers and biases that are tried on either side of an estimate.
REACH, BIAS_REACH = 2, 1


@dataclass(frozen=True)
class _Constants:
    """Constants of an addition: weights of both maps, bias, multiplier and shift."""

    own: int
    skip: int
    bias: int
    multiplier: int
    shift: int
    differing: int


def added(making: Making, name: str, own: View, skip: View, of_pair: OfPair, target: Held) -> None:
    """Add the layer `name` that adds two maps.

    Parameters
    ----------
    making : Making
    name : str
    own, skip : View
        Map that the layer reads, and map of its skip connection.
    of_pair : callable
        Function of the integers of `own` and `skip`.
    target : Held
    """
    values = [np.arange(x.held.lowest, x.held.highest + 1) for x in (own, skip)]
    first, second = np.meshgrid(*values, indexing="ij")
    exact = target.of_file(of_pair(own.held.to_file(first), skip.held.to_file(second)))
    form, low, high = target.form, target.lowest, target.highest
    bounded = exact.clip(form.lo, form.hi)
    ratio = own.held.unit / target.unit
    some = (slice(None, None, COARSE_STEP), slice(None, None, COARSE_STEP))
    part = _Table(first[some], second[some], bounded[some], form)
    pairs = _pairs(own.held.unit, skip.held.unit)
    pairs.sort(key=lambda weights: part.fitted(weights, ratio).differing)
    whole = _Table(first, second, bounded, form)
    tried = (whole.fitted(weights, ratio) for weights in pairs[:FINE_PAIRS])
    best = min(tried, key=lambda found: found.differing)
    unbounded = not target.clamped and (exact.min() < low or exact.max() > high)
    made = f"{name}_unbounded" if unbounded else name
    channels = own.shape[0]
    eye = np.eye(channels, dtype=np.int64)[:, :, None, None]
    making.fits.append(Fit(made, best.differing, exact.size))
    making.append(
        made,
        own.map,
        Window(best.own * eye, np.full(channels, own.held.unit / best.own)),
        target,
        tuple(np.full(channels, n) for n in (best.bias, best.multiplier, best.shift)),
        Residual(skip.map, best.skip),
    )
    if unbounded:
        making.bound(name, made, (channels, 1, 1), target)


def _pairs(own: float, skip: float) -> list[tuple[int, int]]:
    """Return pairs of weights (own, skip) whose ratio is nearest to that of the units."""
    numbers = np.arange(1, WEIGHT_TOP + 1)
    error = np.abs(np.log(numbers[None, :] * own / (numbers[:, None] * skip)))
    nearest = np.argsort(error, axis=None, kind="stable")[:COARSE_PAIRS]
    return [(int(at) // WEIGHT_TOP + 1, int(at) % WEIGHT_TOP + 1) for at in nearest]


@dataclass(frozen=True, eq=False)
class _Table:
    """An addition as a table: pairs of integers, and the integers of their sums within bounds."""

    first: Numbers
    second: Numbers
    exact: Numbers
    form: ActivationFormat

    def fitted(self, weights: tuple[int, int], ratio: float) -> _Constants:
        """Return the constants with which the fewest pairs differ.

        Parameters
        ----------
        weights : tuple of int (own, skip)
        ratio : float
            Units of the sum in one of the first integer.
        """
        own, skip = weights
        sums = own * self.first + skip * self.second
        slope = ratio / own
        shift = int(np.clip(MULTIPLIER_BITS - 1 - np.floor(np.log2(slope)), 0, MAX_SHIFT))
        if shift and round(slope * 2**shift) > MAX_MULTIPLIER:
            shift -= 1
        half = (1 << (shift - 1)) if shift else 0
        inside = (self.exact > self.form.lo) & (self.exact < self.form.hi)
        best = _Constants(own, skip, 0, 1, 0, self.exact.size + 1)
        centre = round(slope * 2**shift)
        for multiplier in range(centre - REACH, centre + REACH + 1):
            if not 1 <= multiplier <= MAX_MULTIPLIER:
                continue
            away = self.exact[inside] * (2.0**shift / multiplier) - sums[inside]
            middle = round(float(np.median(away))) if away.size else 0
            for bias in range(middle - BIAS_REACH, middle + BIAS_REACH + 1):
                made = (((sums + bias) * multiplier + half) >> shift).clip(
                    self.form.lo, self.form.hi
                )
                differing = int(np.count_nonzero(made != self.exact))
                if differing < best.differing:
                    best = _Constants(own, skip, bias, multiplier, shift, differing)
        return best
