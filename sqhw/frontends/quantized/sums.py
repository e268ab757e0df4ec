"""Sums over a map that the accumulators of a layer hold."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import Refused
from sqhw.frontends.quantized.skips import Skipped
from sqhw.frontends.quantized.views import NO_PADDING, View
from sqhw.network.graph import Padding, Stride

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]
#: Largest magnitude of a sum.
SUM_TOP = (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class Window:
    """Integer weights of a layer and their geometry.

    Parameters
    ----------
    weight : ndarray of int64, shape (outputs, inputs / groups, height, width)
    unit : ndarray of float64, shape (outputs,)
        Real value of one unit of each output channel's weights.
    stride : int or tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
    groups : int
    kind : str
        Kind of the layer: conv, linear or avgpool.
    """

    weight: Integers
    unit: npt.NDArray[np.float64]
    stride: Stride = 1
    padding: Padding = NO_PADDING
    groups: int = 1
    kind: str = "conv"


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over a map that a layer's accumulators hold.

    Parameters
    ----------
    source : str
        Name of the map.
    window : Window
    centre : ndarray of float64, shape (outputs,)
        Sum that stands for 0.
    gain : float
        Units of (integer - zero point) in one of the sum.
    low, high : ndarray of int64, shape (outputs,)
        Smallest and largest sum that can occur.
    step : int
        Number that divides the difference of any two sums.
    skip : Skipped, optional
        Map that is added to the sums.
    """

    source: str
    window: Window
    centre: npt.NDArray[np.float64]
    gain: float
    low: Integers
    high: Integers
    step: int = 1
    skip: Skipped | None = None

    def plus(self, skip: Skipped) -> "Sums":
        """Return the sums with a map added to them."""
        low, high, zero = skip.ends(len(self.low))
        return replace(
            self,
            centre=self.centre + zero,
            low=self.low + low,
            high=self.high + high,
            step=1,
            skip=skip,
        )

    def centred(self, sums: Integers) -> Numbers:
        """Return sums of weight times (integer - zero point), whole numbers if they must be."""
        found = (sums - self.centre[:, None]) * self.gain
        whole = self.gain == 1 and not (self.centre % 1).any()
        return found.astype(np.int64) if whole else found

    def negated(self) -> "Sums":
        """Return the sums with weights of the other sign."""
        window = replace(self.window, weight=-self.window.weight)
        return Sums(self.source, window, -self.centre, -self.gain, -self.high, -self.low, self.step)


def sums_of(x: View, window: Window) -> Sums:
    """Return the sums over a map itself."""
    low, high = sum_ends(window.weight, x.held.lowest, x.held.highest, any(window.padding))
    centre = float(x.held.zero) * window.weight.sum(axis=(1, 2, 3)).astype(np.float64)
    padded = any(window.padding)  # with 0, which a map of two values may lack
    apart = x.held.highest - x.held.lowest if x.held.gain != 1 and not padded else 1
    step = apart * max(1, int(np.gcd.reduce(np.abs(window.weight), axis=None)))
    return Sums(x.map, window, centre, float(x.held.gain), low, high, step)


def sum_ends(
    weight: Integers, lowest: int, highest: int, padded: bool
) -> tuple[Integers, Integers]:
    """Return the smallest and the largest sum of each channel, of values in a range, or 0."""
    least, most = (min(lowest, 0), max(highest, 0)) if padded else (lowest, highest)
    up = np.maximum(weight, 0).sum(axis=(1, 2, 3))
    down = np.minimum(weight, 0).sum(axis=(1, 2, 3))
    low, high = up * least + down * most, up * most + down * least
    if max(-int(low.min()), int(high.max())) > SUM_TOP:
        raise Refused(f"has sums of up to {max(-int(low.min()), int(high.max()))}, beyond 32 bits")
    return low, high
