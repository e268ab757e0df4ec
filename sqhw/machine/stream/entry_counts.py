"""Stream entries of a layer in one format, for several numbers of non-zeros."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from sqhw.arrays import Ints, Numbers


class EntryCounts(ABC):
    """Stream entries of a layer in one format: whole numbers, or expectations.

    Attributes
    ----------
    nonzeros : ndarray of int64, shape (options,)
        Weights that are not zero.
    channels : int
        Output channels.
    """

    nonzeros: Ints
    channels: int

    @property
    @abstractmethod
    def total(self) -> Numbers:
        """Entries of all channels together, shape (options,)."""

    @property
    @abstractmethod
    def count_bits(self) -> Ints:
        """Width of the entry count in a channel record, shape (options,) (unit: bit)."""

    @property
    def quotient_bits(self) -> Numbers:
        """Bits beside the fields of the entries, shape (options,) (unit: bit)."""
        return np.zeros(self.nonzeros.shape, dtype=np.int64)

    @abstractmethod
    def first_lack(self, least: int) -> Numbers:
        """Return the entries that the first channel lacks to have `least`, shape (options,)."""

    @abstractmethod
    def other_lacks(self, least: int) -> Numbers:
        """Return the entries that the other channels lack together, shape (options,)."""

    def tile_cycles(self, *, least: int, rewind: int, skips: bool) -> Numbers:
        """Return the cycles of one tile, shape (options,).

        Parameters
        ----------
        least : int
            Fewest cycles of a channel; a channel of fewer entries waits.
        rewind : int
            Cycles before the first entry of a tile.
        skips : bool
            Whether each channel begins with an entry for a skip connection.
        """
        first = self.first_lack(least - rewind - skips) + rewind
        others = self.other_lacks(least - skips)
        cycles: Numbers = self.total + self.channels * skips + first + others
        return cycles


@dataclass(frozen=True, eq=False)
class CountedEntries(EntryCounts):
    """Counted entries.

    Parameters
    ----------
    nonzeros : ndarray of int64, shape (options,)
    counts : ndarray of int64, shape (options, channels)
        Entries of each channel.
    """

    nonzeros: Ints
    counts: Ints

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Number of output channels."""
        return int(self.counts.shape[1])

    @property
    def total(self) -> Numbers:
        """Entries of all channels together, shape (options,)."""
        total: Numbers = self.counts.sum(axis=1)
        return total

    @property
    def count_bits(self) -> Ints:
        """Width of the entry count in a channel record, shape (options,) (unit: bit)."""
        return count_width(self.counts.max(axis=1) - self.counts.min(axis=1))

    def first_lack(self, least: int) -> Numbers:
        """Return the entries that the first channel lacks to have `least`, shape (options,)."""
        return np.maximum(least - self.counts[:, 0], 0)

    def other_lacks(self, least: int) -> Numbers:
        """Return the entries that the other channels lack together, shape (options,)."""
        lacks: Numbers = np.maximum(least - self.counts[:, 1:], 0).sum(axis=1)
        return lacks


@dataclass(frozen=True, eq=False)
class EqualEntries(EntryCounts):
    """Entries of which all channels have the same number, whatever their weights are.

    Parameters
    ----------
    nonzeros : ndarray of int64, shape (options,)
    channels : int
        Output channels.
    each : int
        Entries of each of them.
    """

    nonzeros: Ints
    channels: int
    each: int

    @property
    def total(self) -> Numbers:
        """Entries of all channels together, shape (options,)."""
        return np.full(self.nonzeros.shape, self.channels * self.each, dtype=np.int64)

    @property
    def count_bits(self) -> Ints:
        """Zero, because all channels have the same number."""
        return np.zeros(self.nonzeros.shape, dtype=np.int64)

    def first_lack(self, least: int) -> Numbers:
        """Return the entries that the first channel lacks to have `least`, shape (options,)."""
        return np.full(self.nonzeros.shape, max(least - self.each, 0), dtype=np.int64)

    def other_lacks(self, least: int) -> Numbers:
        """Return the entries that the other channels lack together, shape (options,)."""
        return self.first_lack(least) * (self.channels - 1)


@dataclass(frozen=True, eq=False)
class SplitEntries(EntryCounts):
    """Entries that have bits beside their fields.

    Parameters
    ----------
    inner : EntryCounts
        Numbers of the entries.
    quotients : ndarray, shape (options,)
        Bits beside the fields.
    """

    inner: EntryCounts
    quotients: Numbers

    @property
    def nonzeros(self) -> Ints:  # type: ignore[override]
        """Weights that are not zero, shape (options,)."""
        return self.inner.nonzeros

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Number of output channels."""
        return self.inner.channels

    @property
    def total(self) -> Numbers:
        """Entries of all channels together, shape (options,)."""
        return self.inner.total

    @property
    def count_bits(self) -> Ints:
        """Width of the entry count in a channel record, shape (options,) (unit: bit)."""
        return self.inner.count_bits

    @property
    def quotient_bits(self) -> Numbers:
        """Bits beside the fields of the entries, shape (options,) (unit: bit)."""
        return self.quotients

    def first_lack(self, least: int) -> Numbers:
        """Return the entries that the first channel lacks to have `least`, shape (options,)."""
        return self.inner.first_lack(least)

    def other_lacks(self, least: int) -> Numbers:
        """Return the entries that the other channels lack together, shape (options,)."""
        return self.inner.other_lacks(least)


def count_width(value: Ints) -> Ints:
    """Return the bits that hold each whole number; 0 needs none."""
    width: Ints = np.ceil(np.log2(value + 1.0)).astype(np.int64)
    return width
