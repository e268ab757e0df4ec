"""Stream entries of a layer: counted for known weights, expected where only their number is known.

The expectation is that of weights at places drawn without replacement from all of the layer, each
set of places as likely as any other. It is exact for entries and cycles, approximate for the width
of the entry counts. A trained network differs, because its weights cluster;
``benchmarks/cost_budget`` measures by how much.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.schedule import least_slot, tile_cycles
from sqhw.machine.stream import channel_order, count_entries
from sqhw.machine.timing import Timing

Numbers = npt.NDArray[Any]

#: Below it factorials are tabulated, from it on Stirling's series has 12 digits.
TABULATED = 64


class EntryCounts(ABC):
    """Stream entries of a layer in one format, for several numbers of non-zeros.

    Attributes
    ----------
    nonzeros : ndarray of int64, shape (options,)
        Weights that are not zero.
    """

    nonzeros: npt.NDArray[np.int64]

    @property
    @abstractmethod
    def total(self) -> Numbers:
        """Entries of all channels together, shape (options,)."""

    @property
    @abstractmethod
    def count_bits(self) -> npt.NDArray[np.int64]:
        """Width of the entry count in a channel record, shape (options,) (unit: bit)."""

    @abstractmethod
    def tile_cycles(self, timing: Timing, serial: bool, skips: bool) -> Numbers:
        """Return the cycles of one tile, shape (options,).

        Parameters
        ----------
        timing : Timing
        serial : bool
            Whether the layer writes one byte a cycle.
        skips : bool
            Whether each channel begins with an entry for a skip connection.
        """


@dataclass(frozen=True, eq=False)
class KnownEntries(EntryCounts):
    """Counted entries.

    Parameters
    ----------
    nonzeros : ndarray of int64, shape (options,)
    counts : ndarray of int64, shape (options, channels)
        Entries of each channel.
    """

    nonzeros: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, masks: npt.NDArray[np.bool_], gap_bits: int) -> "KnownEntries":
        """Count the entries of masks.

        Parameters
        ----------
        masks : ndarray of bool, shape (options, out_channels, in_channels, kernel_h, kernel_w)
            Where the weights are.
        gap_bits : int, 0 to 12
        """
        counts = [count_entries(channel_order(mask), gap_bits) for mask in masks]
        return cls(np.count_nonzero(masks, axis=(1, 2, 3, 4)), np.stack(counts))

    @property
    def total(self) -> Numbers:
        """Entries of all channels together, shape (options,)."""
        total: Numbers = self.counts.sum(axis=1)
        return total

    @property
    def count_bits(self) -> npt.NDArray[np.int64]:
        """Width of the entry count in a channel record, shape (options,) (unit: bit)."""
        return _width(self.counts.max(axis=1) - self.counts.min(axis=1))

    def tile_cycles(self, timing: Timing, serial: bool, skips: bool) -> Numbers:
        """Return the cycles of one tile, shape (options,)."""
        return tile_cycles(self.counts + skips, timing, serial)


@dataclass(frozen=True, eq=False)
class DenseEntries(EntryCounts):
    """Entries of a dense stream: one for every weight, zero or not.

    Parameters
    ----------
    nonzeros : ndarray of int64, shape (options,)
    channels, length : int
        Output channels, and weights of each of them.
    """

    nonzeros: npt.NDArray[np.int64]
    channels: int
    length: int

    @property
    def total(self) -> Numbers:
        """Entries of all channels together, shape (options,)."""
        return np.full(self.nonzeros.shape, self.channels * self.length, dtype=np.int64)

    @property
    def count_bits(self) -> npt.NDArray[np.int64]:
        """Zero: all channels have as many."""
        return np.zeros(self.nonzeros.shape, dtype=np.int64)

    def tile_cycles(self, timing: Timing, serial: bool, skips: bool) -> Numbers:
        """Return the cycles of one tile, shape (options,)."""
        counts = np.full((1, self.channels), self.length + skips, dtype=np.int64)
        return np.broadcast_to(tile_cycles(counts, timing, serial), self.nonzeros.shape)


@dataclass(frozen=True, eq=False)
class RandomEntries(EntryCounts):
    """Expected entries of a gap stream whose weights are at random places.

    Parameters
    ----------
    nonzeros : ndarray of int64, shape (options,)
        At most ``channels * length``.
    channels, length : int
        Output channels, and weights of each of them.
    gap_bits : int, 1 to 12
    """

    nonzeros: npt.NDArray[np.int64]
    channels: int
    length: int
    gap_bits: int
    _lacks: dict[int, Numbers] = field(default_factory=dict, repr=False)

    @cached_property
    def total(self) -> Numbers:
        """Expected entries of all channels together, shape (options,)."""
        size, step = self.channels * self.length, (1 << self.gap_bits) - 1
        fillers = _fillers(self.nonzeros, size, self.length, step)
        empty = np.exp(_log_all_zero(self.nonzeros, size, self.length))
        total: Numbers = self.nonzeros + self.channels * (fillers + empty)
        return total

    @cached_property
    def count_bits(self) -> npt.NDArray[np.int64]:
        """Expected width of the entry count, shape (options,) (unit: bit).

        The counts are taken as normal, with the variance that the weights of a channel give them;
        the largest of n such is expected at the quantile (n - 3/8) / (n + 1/4) (Blom, 1958). A
        channel with more weights has fewer fillers: that narrows the counts.
        """
        size = self.channels * self.length
        share = self.length / size
        zeros = (size - self.nonzeros) / max(1, size - 1)
        deviation = np.sqrt(self.nonzeros * share * (1 - share) * zeros)
        few = np.minimum(self.nonzeros // self.channels, self.length - 1)
        more, less = (_fillers(n, self.length, self.length, self._step) for n in (few + 1, few))
        deviation = deviation * np.abs(1 + more - less)
        quantile = NormalDist().inv_cdf((self.channels - 0.375) / (self.channels + 0.25))
        spread = 2 * max(0.0, quantile) * deviation
        return _width(np.round(spread).astype(np.int64))

    def tile_cycles(self, timing: Timing, serial: bool, skips: bool) -> Numbers:
        """Return the expected cycles of one tile, shape (options,).

        A channel with fewer entries than its least slot waits.
        """
        least = least_slot(timing, serial)
        first = self._lack(least - timing.rewind - skips) + timing.rewind
        others = self._lack(least - skips) * (self.channels - 1)
        cycles: Numbers = self.total + self.channels * skips + first + others
        return cycles

    def _lack(self, least: int) -> Numbers:
        """Return the expected entries that a channel lacks to have `least`; found once."""
        if least not in self._lacks:
            self._lacks[least] = self._find_lack(least)
        return self._lacks[least]

    def _find_lack(self, least: int) -> Numbers:
        size = self.channels * self.length
        lacks = _lacks(self.length, self._step, max(least, 0))
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

    @property
    def _step(self) -> int:
        return (1 << self.gap_bits) - 1


@lru_cache(maxsize=1024)
def random_entries(
    nonzeros: tuple[int, ...], channels: int, length: int, gap_bits: int
) -> RandomEntries:
    """Return the expected entries of layers of one shape, found once for all of them."""
    return RandomEntries(np.array(nonzeros, dtype=np.int64), channels, length, gap_bits)


def _fillers(nonzeros: Numbers, size: int, length: int, step: int) -> Numbers:
    """Return the expected fillers of one channel, shape (options,).

    A weight has a filler for each multiple of `step` in the zeros before it. So there is one
    filler for each place that has a weight and, for some k, ``k * step`` zeros before it.
    """
    zeros = np.arange(step, length, step)
    if not zeros.size:
        return np.zeros(nonzeros.shape)
    some = nonzeros > 0
    # Of the other size - 1 places, those before it have none of the other weights.
    chance = np.exp(_log_all_zero(np.maximum(nonzeros - 1, 0)[:, None], size - 1, zeros))
    fillers: Numbers = some * nonzeros / size * (chance @ (length - zeros))
    return fillers


@cache
def _lacks(length: int, step: int, least: int) -> Numbers:
    """Return what a channel of 0, 1, ... weights is expected to lack to have `least` entries.

    So many weights with f fillers among them: each gap is a multiple of `step`, and these are f
    together, plus a rest below `step`; what is left of `length` lies behind the last weight.
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
    """Return the logarithm of the ways to choose so many of `kinds` kinds, each any often."""
    return (
        _log_factorial(chosen + kinds - 1)
        - _log_factorial(chosen)
        - _log_factorial(np.asarray(kinds - 1))
    )


def _log_all_zero(nonzeros: Numbers, size: int, places: Any) -> Numbers:
    """Return the logarithm of the chance that so many given places hold no weight."""
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


def _width(value: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the bits that hold each whole number; 0 needs none."""
    width: npt.NDArray[np.int64] = np.ceil(np.log2(value + 1.0)).astype(np.int64)
    return width
