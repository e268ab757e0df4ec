"""Common parts of the formats whose entries are the zeros before a weight, and its code."""

from abc import abstractmethod
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.errors import SqhwError
from sqhw.machine.stream.base import StreamFormat, check_codes
from sqhw.machine.stream.entry_counts import EntryCounts
from sqhw.machine.stream.places import Entries, Places, channel_order
from sqhw.machine.stream.random_places import RandomEntries


def reach(in_channels: int, kernel_w: int, taps_per_entry: int) -> int:
    """Return the most positions that an entry may pass.

    A filler of s positions passes the end of the channels as often as their number goes into s,
    rounded up, and no entry passes it more often. The tap two places further must be in the same
    line of the kernel or in the next one, so a kernel of one column admits one tap.

    Parameters
    ----------
    in_channels : int
        Input channels of a group.
    kernel_w : int
        Columns of the kernel.
    taps_per_entry : int, 1 or 2
        Kernel taps that an entry may pass.
    """
    return (taps_per_entry if kernel_w > 1 else 1) * in_channels


class GapFormat(StreamFormat):
    """A stream of non-zero weights, each with the zeros before it, and of fillers.

    A filler stands for `step` zeros and no weight. The number that an entry is has the zeros in
    its low `code_at` bits, `step` for a filler, and the code above.
    """

    stores_zeros: ClassVar[bool] = False

    @property
    @abstractmethod
    def step(self) -> int:
        """Zeros that a filler stands for."""

    @property
    @abstractmethod
    def code_at(self) -> int:
        """Lowest bit of the code in the number of an entry."""

    def encode(self, weight: npt.NDArray[Any], codebook: tuple[int, ...]) -> Entries:
        """Encode a layer's weights; see `StreamFormat.encode`."""
        flat = channel_order(weight)
        places = Places(flat != 0)
        counts = self.counts(places)
        rows, zeros = places.runs
        fillers = zeros // self.step
        # A channel without a weight shifts everything after it by its one filler.
        empty = ~places.nonzero.any(axis=1)
        at = np.cumsum(fillers + 1) - 1 + np.cumsum(empty)[rows]
        codes = np.searchsorted(np.array(codebook), flat[places.nonzero])
        values = np.full(int(counts.sum()), self.step, dtype=np.int64)
        values[at] = zeros % self.step | codes << self.code_at
        return Entries(values, counts.astype(np.int32))

    def read(self, entry: int) -> tuple[int, int | None]:
        """Return the gap, and the code unless the entry is a filler."""
        gap = entry & ((1 << self.code_at) - 1)
        return gap, None if gap == self.step else entry >> self.code_at

    def counts(self, places: Places) -> Ints:
        """Return the entries of each channel without encoding them, shape (out_channels,)."""
        rows, zeros = places.runs
        far = np.flatnonzero(zeros >= self.step)
        fillers = np.bincount(rows[far], weights=zeros[far] // self.step, minlength=places.channels)
        weights = np.bincount(rows, minlength=places.channels)
        return np.maximum(weights + fillers.astype(np.int64), 1)

    def entries_after(self, zeros: Ints) -> Ints:
        """Return the entries that a weight takes together with the zeros before it."""
        return 1 + zeros // self.step

    def expected(self, nonzeros: Ints, channels: int, length: int) -> EntryCounts:
        """Return the expected entries of weights at random places; see `StreamFormat.expected`."""
        return random_entries(nonzeros, channels, length, self.step)

    def check_codebook(self, codebook: tuple[int, ...], *, zeros: bool) -> None:
        """Refuse a codebook that does not suit the format; see `StreamFormat.check_codebook`."""
        check_codes(codebook, self.code_bits)
        if 0 in codebook:
            raise SqhwError("a gap stream stores non-zeros only; take 0 out of its codebook")


def random_entries(nonzeros: Ints, channels: int, length: int, step: int) -> RandomEntries:
    """Return the expected entries of layers of one shape, found once for all of them."""
    return _random_entries(tuple(nonzeros.tolist()), channels, length, step)


@lru_cache(maxsize=1024)
def _random_entries(
    nonzeros: tuple[int, ...], channels: int, length: int, step: int
) -> RandomEntries:
    return RandomEntries(np.array(nonzeros, dtype=np.int64), channels, length, step)
