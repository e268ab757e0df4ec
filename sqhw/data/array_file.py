"""Arrays of an untrusted ``.npz`` file: sizes are checked before anything is unpacked."""

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from sqhw.errors import LONGEST, SqhwError, shown
from sqhw.files.input_file import START, recognised
from sqhw.files.input_limits import MAX_ARRAY_HEADER_BYTES, MAX_ARRAYS, MAX_DATA_BYTES

#: Ways in which NumPy packs arrays.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Number of sides of an array that is read; NumPy 1 makes none of more.
MAX_SIDES = 32
#: Errors by which NumPy refuses a header, beside those of packing.
HEADER_ERRORS = (
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError),
    *(SyntaxError, RecursionError, tokenize.TokenError),
)
#: Kinds of types of whole numbers: truth values, signed and unsigned integers.
WHOLE = "biu"
SUFFIX = ".npy"


class ArrayFile:
    """The arrays of a ``.npz`` file by name; none of them is unpickled.

    Parameters
    ----------
    file : ZipFile

    Raises
    ------
    SqhwError
        If it has too many members, or two of one name.
    """

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._left = MAX_DATA_BYTES
        members = file.infolist()
        if len(members) > MAX_ARRAYS:
            raise SqhwError(f"holds {len(members):,} arrays, at most {MAX_ARRAYS} are read")
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            name = member.filename.removesuffix(SUFFIX)
            if name in self._members:
                raise SqhwError(f"holds two arrays of the name {shown(name)}")
            self._members[name] = member

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Self]:
        """Open a file that `data_file` has checked; a block's errors of packing become sentences.

        Raises
        ------
        SqhwError
            If it is no ``.npz`` file or damaged. The message does not name it.
        """
        try:
            with path.open("rb") as source:
                if not zipfile.is_zipfile(source):
                    source.seek(0)
                    what = recognised(path, source.read(START))
                    raise SqhwError(f"is no .npz file{f'; this is {what}' if what else ''}")
                with zipfile.ZipFile(source) as file:
                    yield cls(file)
        except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError) as e:
            reason = str(e).splitlines()[0][:LONGEST] if str(e) else type(e).__name__
            raise SqhwError(f"is a damaged .npz file ({reason})") from None
        except OSError as error:
            raise SqhwError(f"cannot be read ({error.strerror or error})") from None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self._members)

    def read(self, name: str, advice: str) -> npt.NDArray[Any]:
        """Return an array of whole numbers.

        Parameters
        ----------
        name : str
            One of `names`.
        advice : str
            Way from floats to the whole numbers, for the error.

        Raises
        ------
        SqhwError
            If it is no array, of other types, or larger than its member or than what is read of all
            arrays. The message does not name the file.
        """
        member = self._members[name]
        if member.flag_bits & 1:
            raise SqhwError(f"holds {shown(name)} encrypted, which is not read")
        if member.compress_type not in PACKINGS:
            raise SqhwError(f"holds {shown(name)} in another packing than those of NumPy")
        if member.file_size > self._left:
            raise SqhwError(
                f"is too large: {shown(name)} has {member.file_size:,} bytes, at most "
                f"{MAX_DATA_BYTES:,} of all arrays are read"
            )
        self._left -= member.file_size
        with self._file.open(member) as stream:
            shape, in_columns, dtype = _header(stream, name)
            _check_type(dtype, name, advice)
            size = math.prod(shape) * dtype.itemsize
            if size > member.file_size:
                raise SqhwError(
                    f"holds {shown(name)} of shape {shown(shape)}, which needs {shown(size)} bytes "
                    f"and has {member.file_size:,}"
                )
            data = stream.read(size)
            if len(data) < size or stream.read(1):
                problem = "truncated" if len(data) < size else "with bytes after its end"
                raise SqhwError(f"holds {shown(name)} {problem}")
        array: npt.NDArray[Any] = np.frombuffer(data, dtype)
        return array.reshape(shape, order="F" if in_columns else "C")


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the first index runs fastest, and type."""
    try:
        version = npy.read_magic(stream)
        if version == (1, 0):
            found = npy.read_array_header_1_0(stream, MAX_ARRAY_HEADER_BYTES)
        elif version == (2, 0):
            found = npy.read_array_header_2_0(stream, MAX_ARRAY_HEADER_BYTES)
        else:
            raise SqhwError(f"holds {shown(name)} in version {version} of .npy, which is not read")
    except HEADER_ERRORS as error:
        reason = str(error).splitlines()[0][:LONGEST]
        raise SqhwError(f"holds {shown(name)}, which is no array ({reason})") from None
    shape, in_columns, dtype = found
    if not _possible(shape):
        raise SqhwError(f"holds {shown(name)} of the impossible shape {shown(shape)}")
    return shape, in_columns, dtype


def _possible(shape: tuple[int, ...]) -> bool:
    """Return whether an array of limited size can have a shape; its sides are from the file."""
    if len(shape) > MAX_SIDES or any(
        type(side) is not int or not 0 <= side <= MAX_DATA_BYTES for side in shape
    ):
        return False
    # NumPy multiplies the sides of an empty array too.
    return 0 not in shape or math.prod(side for side in shape if side) <= MAX_DATA_BYTES


def _check_type(dtype: np.dtype[Any], name: str, advice: str) -> None:
    if dtype.hasobject:
        raise SqhwError(
            f"holds Python objects in {shown(name)}, which are pickles and never opened; save an "
            "array of whole numbers"
        )
    if dtype.kind == "f":
        raise SqhwError(f"holds {dtype} in {shown(name)}, and whole numbers {advice}")
    if dtype.kind not in WHOLE:
        raise SqhwError(f"holds {shown(str(dtype))} in {shown(name)}, and whole numbers are read")
