"""Expected stream entries of a layer from the number of its weights, without their places.

The expectation is that of weights at places drawn without replacement from all of the layer, each
set of places as likely as any other. It is exact for entries and cycles, approximate for the width
of the entry counts. A trained network differs, because its weights cluster;
``benchmarks/cost_budget`` measures the difference.
"""

from dataclasses import dataclass, field
from functools import cache, cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Numbers
from sqhw.machine.stream.entry_counts import EntryCounts, count_width

#: Least number whose factorial is taken by Stirling's series, which has 12 digits there.
TABULATED = 64


@dataclass(frozen=True, eq=False)
class RandomEntries(EntryCounts):
    """Expected entries of a gap stream whose weights are at random places.

    Parameters
    ----------
    nonzeros : ndarray of int64, shape (options,)
        At most ``channels * length``.
    channels, length : int
        Output channels, and weights of each of them.
    step : int, 1 or more
        Zeros that a filler stands for.
    """

    nonzeros: npt.NDArray[np.int64]
    channels: int
    length: int
    step: int
    _lacks: dict[int, Numbers] = field(default_factory=dict, repr=False)

    @cached_property
    def total(self) -> Numbers:
        """Expected entries of all channels together, shape (options,)."""
        size = self.channels * self.length
        fillers = _fillers(self.nonzeros, size, self.length, self.step)
        total: Numbers = self.nonzeros + self.channels * fillers + self.empty
        return total

    @cached_property
    def empty(self) -> Numbers:
        """Expected channels without a weight, shape (options,)."""
        size = self.channels * self.length
        chance: Numbers = np.exp(_log_all_zero(self.nonzeros, size, self.length))
        return self.channels * chance

    @cached_property
    def count_bits(self) -> npt.NDArray[np.int64]:
        """Expected width of the entry count, shape (options,) (unit: bit).

        The counts are taken as normal, with the variance from the weights of a channel. The largest
        of n such counts is expected at the quantile (n - 3/8) / (n + 1/4) (Blom, 1958). A channel
        with more weights has fewer fillers, which narrows the counts.
        """
        size = self.channels * self.length
        share = self.length / size
        zeros = (size - self.nonzeros) / max(1, size - 1)
        deviation = np.sqrt(self.nonzeros * share * (1 - share) * zeros)
        few = np.minimum(self.nonzeros // self.channels, self.length - 1)
        more, less = (_fillers(n, self.length, self.length, self.step) for n in (few + 1, few))
        deviation = deviation * np.abs(1 + more - less)
        quantile = NormalDist().inv_cdf((self.channels - 0.375) / (self.channels + 0.25))
        spread = 2 * max(0.0, quantile) * deviation
        return count_width(np.round(spread).astype(np.int64))

    def first_lack(self, least: int) -> Numbers:
        """Return the entries that the first channel is expected to lack to have `least`."""
        return self._lack(least)

    def other_lacks(self, least: int) -> Numbers:
        """Return the entries that the other channels are expected to lack together."""
        lacks: Numbers = self._lack(least) * (self.channels - 1)
        return lacks

    def _lack(self, least: int) -> Numbers:
        """Return the expected entries that a channel lacks to have `least`; found once."""
        if least not in self._lacks:
            self._lacks[least] = self._find_lack(least)
        return self._lacks[least]

    def _find_lack(self, least: int) -> Numbers:
        size = self.channels * self.length
        lacks = _lacks(self.length, self.step, max(least, 0))
        few = np.arange(len(lacks))
        rest = self.nonzeros[:, None] - few
        possible = (rest >= 0) & (rest <= size - self.length)
        chance = np.exp(
            _log_choose(self.length, few)
            + _log_choose(size - self.length, np.where(possible, rest, 0))
            - _log_choose(size, self.nonzeros)[:, None]
        )
        lack: Numbers = (possible * chance) @ lacks
        return lack


def _fillers(nonzeros: Numbers, size: int, length: int, step: int) -> Numbers:
    """Return the expected fillers of one channel, shape (options,).

    A weight has a filler for each multiple of `step` in the zeros before it. So there is one
    filler for each k and each place of a weight with at least ``k * step`` zeros before it.
    """
    zeros = np.arange(step, length, step)
    if not zeros.size:
        return np.zeros(nonzeros.shape)
    some = nonzeros > 0
    # None of the other weights is at the places before it, out of the other size - 1 places.
    chance = np.exp(_log_all_zero(np.maximum(nonzeros - 1, 0)[:, None], size - 1, zeros))
    fillers: Numbers = some * nonzeros / size * (chance @ (length - zeros))
    return fillers


@cache
def _lacks(length: int, step: int, least: int) -> Numbers:
    """Return the expected entries that a channel of 0, 1, ... weights lacks to have `least`.

    The weights of a channel have f fillers among them. Each gap is a multiple of `step`, plus a
    rest below `step`. The multiples are f together, and the remainder of `length` lies after the
    last weight.
    """
    lacks = [float(max(least - 1, 0))]
    rests = np.ones(1)  # distribution of the sum of the rests
    for weights in range(1, min(least, length + 1)):
        sums = np.cumsum(np.concatenate((rests, np.zeros(step - 1))))
        rests = (sums - np.concatenate((np.zeros(step), sums[:-step]))) / step
        fillers = np.arange(least - weights)
        room = length - weights - step * fillers
        fillers = fillers[room >= 0]
        chance = np.exp(
            _log_choose_from(fillers, weights)
            + weights * np.log(step)
            - _log_choose(length, np.asarray(weights))
        )
        below = np.cumsum(rests)[np.minimum(room[room >= 0], len(rests) - 1)]
        lacks.append(float((chance * below) @ (least - weights - fillers)))
    return np.array(lacks)


def _log_choose_from(chosen: Numbers, kinds: int) -> Numbers:
    """Return the logarithm of the ways to choose `chosen` of `kinds` kinds with repetition."""
    return (
        _log_factorial(chosen + kinds - 1)
        - _log_factorial(chosen)
        - _log_factorial(np.asarray(kinds - 1))
    )


def _log_all_zero(nonzeros: Numbers, size: int, places: Any) -> Numbers:
    """Return the logarithm of the chance that `places` given places hold no weight."""
    left = size - nonzeros - places
    chance = (
        _log_factorial(size - nonzeros)
        - _log_factorial(np.maximum(left, 0))
        + _log_factorial(np.asarray(size - places))
        - _log_factorial(np.asarray(size))
    )
    return np.where(left >= 0, chance, -np.inf)


def _log_choose(size: int, chosen: Numbers) -> Numbers:
    """Return the logarithm of a binomial coefficient."""
    return _log_factorial(np.asarray(size)) - _log_factorial(chosen) - _log_factorial(size - chosen)


_SMALL = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, TABULATED)))))


def _log_factorial(value: Numbers) -> Numbers:
    """Return ln(value!), by Stirling's series from `TABULATED` on."""
    x = np.maximum(value, TABULATED).astype(np.float64)
    series = (x + 0.5) * np.log(x) - x + 0.5 * np.log(2 * np.pi) + 1 / (12 * x) - 1 / (360 * x**3)
    return np.where(value < TABULATED, _SMALL[np.minimum(value, TABULATED - 1)], series)
