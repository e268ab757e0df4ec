"""Tables of a FlatBuffers file, each access within the bounds of the file.

A table has fields by number. A field that is not stored has the default of the schema. Offsets are
relative to the place where they stand. Nothing is read ahead: the time of an access does not
depend on lengths in the file, and vectors of numbers are views of its bytes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError

#: Bytes of an offset, of a length and of a table's distance to its fields' places.
WORD = 4
#: Bytes of the sizes at the start of a list of places, and of a place.
HALF = 2


@dataclass(frozen=True, eq=False)
class Table:
    """A table of a file.

    Parameters
    ----------
    data : bytes
        The whole file.
    start : int
        Place of the table in it (unit: byte).

    Raises
    ------
    SqhwError
        If the table, or a field that is read, lies outside of the file.
    """

    data: bytes
    start: int

    @classmethod
    def root(cls, data: bytes) -> "Table":
        """Return the table that a file begins with."""
        return cls(data, _number("<I", data, 0))

    def integer(self, field: int, kind: str, default: int = 0) -> int:
        """Return a number; `kind` is its letter in `struct`, for example ``i``."""
        place = self._place(field)
        return default if place is None else int(_number(f"<{kind}", self.data, place))

    def real(self, field: int, default: float = 0.0) -> float:
        """Return a number of 32 bits with a fraction."""
        place = self._place(field)
        return default if place is None else float(_number("<f", self.data, place))

    def table(self, field: int) -> "Table | None":
        """Return the table that a field points at, if it is stored."""
        place = self._place(field)
        return None if place is None else Table(self.data, self._target(place))

    def text(self, field: int, longest: int) -> str:
        """Return a text, empty if it is not stored, cut after `longest` bytes."""
        found = self.numbers(field, "u1")
        return found[:longest].tobytes().decode("utf-8", "replace")

    def numbers(self, field: int, kind: str) -> npt.NDArray[Any]:
        """Return a vector of numbers, empty if not stored; `kind` is a NumPy type like ``i4``."""
        dtype = np.dtype(f"<{kind}")
        start, length = self._vector(field, dtype.itemsize)
        return np.frombuffer(self.data, dtype, length, start if length else 0)

    def tables(self, field: int, most: int, what: str) -> Iterator["Table"]:
        """Yield the tables of a vector.

        Parameters
        ----------
        field : int
        most : int
            Largest number of them.
        what : str
            Name of the tables in the plural, for the error.
        """
        start, length = self._vector(field, WORD)
        if length > most:
            raise SqhwError(f"has {length:,} {what}, at most {most:,} are read")
        for index in range(length):
            yield Table(self.data, self._target(start + WORD * index))

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """Return the place of the first element of a vector, and the number of elements."""
        place = self._place(field)
        if place is None:
            return 0, 0
        start = self._target(place)
        length = int(_number("<I", self.data, start))
        start += WORD
        if length * size > len(self.data) - start:
            raise _damaged(start, f"a vector of {length:,} elements")
        return start, length

    def _place(self, field: int) -> int | None:
        """Return the place of a field, or nothing if it is not stored."""
        places = self.start - int(_number("<i", self.data, self.start))
        size = int(_number("<H", self.data, places))
        entry = 2 * HALF + HALF * field
        if entry + HALF > size:
            return None
        offset = int(_number("<H", self.data, places + entry))
        return self.start + offset if offset else None

    def _target(self, place: int) -> int:
        return place + int(_number("<I", self.data, place))


def _number(form: str, data: bytes, place: int) -> Any:
    if not 0 <= place <= len(data) - struct.calcsize(form):
        raise _damaged(place, "a number")
    return struct.unpack_from(form, data, place)[0]


def _damaged(place: int, what: str) -> SqhwError:
    return SqhwError(f"damaged: {what} at byte {place:,} lies outside of the file")
