"""Bits of a layer's weight stream and codebook, for every format and number of values at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.machine.layout import CODEBOOK_WIDTH

Numbers = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Storage:
    """Ways to store a layer's weights; every array has the shape (options,).

    Parameters
    ----------
    source : ndarray of int64
        Index of the number of non-zeros that the option is for.
    nonzeros : ndarray of int64
        Weights that are kept.
    levels : ndarray of int64
        Distinct values of them at most.
    gap_bits : ndarray of int64
        Width of the gap field; 0 is a dense stream.
    code_bits : ndarray of int64
        Width of the code.
    entries : ndarray
        Entries of the stream: whole numbers, or expectations.
    codebook_words : ndarray of int64
        Values in the codebook, the 0 of a dense stream included.
    """

    source: Ints
    nonzeros: Ints
    levels: Ints
    gap_bits: Ints
    code_bits: Ints
    entries: Numbers
    codebook_words: Ints

    @property
    def entry_bits(self) -> Ints:
        """Width of an entry (unit: bit)."""
        return self.gap_bits + self.code_bits

    @property
    def stream_bits(self) -> Numbers:
        """Bits of all entries."""
        bits: Numbers = self.entries * self.entry_bits
        return bits

    @property
    def codebook_bits(self) -> Ints:
        """Bits of the codebook."""
        return self.codebook_words * CODEBOOK_WIDTH

    def only(self, chosen: npt.NDArray[Any]) -> "Storage":
        """Return the options of a mask or of indices."""
        return Storage(
            **{name: np.asarray(part)[chosen] for name, part in self.__dict__.items()},
        )


def storage(
    nonzeros: Ints,
    most_values: Ints,
    has_zeros: npt.NDArray[np.bool_],
    entries: Mapping[int, Numbers],
    gap_levels: Sequence[int],
    dense_levels: Sequence[int],
) -> Storage:
    """Return every option of a layer: each number of non-zeros in each format with each codebook.

    Parameters
    ----------
    nonzeros : ndarray of int64, shape (counts,)
        Weights that are kept.
    most_values : ndarray of int64, shape (counts,), 1 or more
        Distinct values that they have at most: there are no more than weights.
    has_zeros : ndarray of bool, shape (counts,)
        Whether a dense stream needs a code for 0.
    entries : mapping of int to ndarray, shape (counts,)
        Entries by width of the gap field; 0 is dense.
    gap_levels, dense_levels : sequence of int
        Numbers of distinct values that are not zero, in gap and in dense streams.

    Returns
    -------
    Storage
        Count after count, format after format, codebook after codebook.
    """
    formats = [
        (gap_bits, levels)
        for gap_bits in sorted(entries)
        for levels in (gap_levels if gap_bits else dense_levels)
    ]
    gaps, values = (np.array(part, dtype=np.int64) for part in zip(*formats, strict=True))
    shape = (len(nonzeros), len(formats))
    words = np.minimum(values, most_values[:, None]) + ((gaps == 0) & has_zeros[:, None])
    total = np.stack([entries[gap_bits] for gap_bits, _ in formats], axis=1)
    return Storage(
        source=np.repeat(np.arange(len(nonzeros)), len(formats)),
        nonzeros=np.repeat(nonzeros, len(formats)),
        levels=np.broadcast_to(values, shape).reshape(-1),
        gap_bits=np.broadcast_to(gaps, shape).reshape(-1),
        code_bits=np.maximum(1, np.ceil(np.log2(words))).astype(np.int64).reshape(-1),
        entries=total.reshape(-1),
        codebook_words=words.reshape(-1),
    )
