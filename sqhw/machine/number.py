"""Integer formats of activations: one object that knows range, width and storage."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 14  # bytes at a time: their indices, of eight bytes each, stay in a core's cache


@dataclass(frozen=True)
class ActivationFormat:
    """An activation is an integer of 2 to 8 bits with a symmetric scale and no zero point.

    Parameters
    ----------
    bits : int, 2 to 8
        Width, sign included.
    signed : bool
        Whether the integer is in two's complement.

    Raises
    ------
    ValueError
        If `bits` is out of range.
    """

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"activation bits must be 2 to 8, not {self.bits!r}")

    @property
    def lo(self) -> int:
        """Smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """Largest value."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def max_abs(self) -> int:
        """Largest magnitude, as the accumulator bound needs it."""
        return max(-self.lo, self.hi)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}"


def unsigned_width(value: int) -> int:
    """Return the bits that hold `value` >= 0; 0 needs none."""
    return int(value).bit_length()


def signed_width(value: int) -> int:
    """Return the two's complement bits that hold `value`; 0 needs none."""
    value = int(value)
    if value == 0:
        return 0
    return (value if value > 0 else ~value).bit_length() + 1


def distinct_bytes(values: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Return the values of an array of signed bytes, each once, ascending.

    Parameters
    ----------
    values : ndarray of int8, any shape
    """
    flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    aligned = flat.size - flat.size % 8
    words = flat[:aligned].view(np.uint64)
    rest = words[words != 0].view(np.uint8)  # most words of a sparse array are 0
    found = np.zeros(256, dtype=bool)
    found[0] = rest.size < aligned
    found[flat[aligned:]] = True
    for start in range(0, rest.size, _CHUNK):
        found[rest[start : start + _CHUNK]] = True
    return np.flatnonzero(np.concatenate((found[128:], found[:128]))) - 128
