"""Strings of bits, the lowest bit of a number first, and the ROM words that hold them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints

#: A string of bits: 0 or 1 in each element.
Bits = npt.NDArray[np.uint8]


def fields_of(values: npt.NDArray[Any], width: int) -> Bits:
    """Return the bits of numbers of `width` bits, one after the other."""
    bits = values.astype(np.int64)[:, None] >> np.arange(width) & 1
    return bits.astype(np.uint8).reshape(-1)


def numbers_of(bits: Bits, width: int, count: int) -> Ints:
    """Return the first `count` unsigned numbers of `width` bits; numbers of no bits are 0."""
    if width == 0:
        return np.zeros(count, dtype=np.int64)
    weights = np.int64(1) << np.arange(width, dtype=np.int64)
    found: Ints = bits[: count * width].reshape(count, width).astype(np.int64) @ weights
    return found


def words_of(bits: Bits, word_bits: int) -> list[int]:
    """Return the words that hold a string from bit 0 upwards; the last is filled with zeros."""
    padded = np.zeros(-(-len(bits) // word_bits) * word_bits, dtype=np.uint64)
    padded[: len(bits)] = bits
    words = padded.reshape(-1, word_bits) @ (np.uint64(1) << np.arange(word_bits, dtype=np.uint64))
    return [int(word) for word in words]
