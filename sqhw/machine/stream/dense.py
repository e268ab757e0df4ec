"""The dense stream: every position has an entry, which is the code of its weight."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream.base import (
    StreamFormat,
    check_code_bits,
    check_codes,
    code_width,
)
from sqhw.machine.stream.entry_counts import EntryCounts, EqualEntries
from sqhw.machine.stream.places import Entries, Places, channel_order


@dataclass(frozen=True)
class Dense(StreamFormat):
    """A stream that has an entry for every weight, zero or not.

    Parameters
    ----------
    code_bits : int, 0 to 8
        Width of the code.

    Raises
    ------
    ValueError
        If the width is out of range.
    """

    code_bits: int = 0
    stores_zeros: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_code_bits(self.code_bits)

    @classmethod
    def choices(cls, engine: EngineConfig, in_channels: int, kernel_w: int) -> tuple[Self, ...]:
        """Return the one dense format: every engine reads it, over every kernel."""
        return (cls(),)

    def coded(self, values: int) -> Self:
        """Return the format with codes for a codebook of `values` values."""
        return type(self)(code_width(values))

    @property
    def name(self) -> str:
        """Name of the format without its codes."""
        return "dense"

    @property
    def entry_bits(self) -> int:
        """Width of an entry, which is the code (unit: bit)."""
        return self.code_bits

    def encode(self, weight: npt.NDArray[Any], codebook: tuple[int, ...]) -> Entries:
        """Encode a layer's weights; see `StreamFormat.encode`."""
        flat = channel_order(weight)
        codes = np.searchsorted(np.array(codebook), flat.reshape(-1)).astype(np.int64)
        return Entries(codes, np.full(flat.shape[0], flat.shape[1], dtype=np.int32))

    def read(self, entry: int) -> tuple[int, int | None]:
        """Return no zeros, and the code."""
        return 0, entry

    def counts(self, places: Places) -> Ints:
        """Return the entries of each channel, shape (out_channels,)."""
        return np.full(places.channels, places.positions, dtype=np.int64)

    def entries_after(self, zeros: Ints) -> Ints:
        """Return the entries that a weight takes together with the zeros before it."""
        return zeros + 1

    def expected(self, nonzeros: Ints, channels: int, length: int) -> EntryCounts:
        """Return the entries, which do not depend on the places; see `StreamFormat.expected`."""
        return EqualEntries(nonzeros, channels, length)

    def check_codebook(self, codebook: tuple[int, ...], *, zeros: bool) -> None:
        """Refuse a codebook that does not suit the format; see `StreamFormat.check_codebook`."""
        check_codes(codebook, self.code_bits)
        if zeros and 0 not in codebook:
            raise SqhwError("a dense stream with zero weights needs 0 in its codebook")

    def check_kernel(self, in_channels: int, kernel_w: int) -> None:
        """Accept every kernel; see `StreamFormat.check_kernel`."""
