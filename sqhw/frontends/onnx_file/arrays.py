"""Arrays of an ONNX file: initializers, attributes and external data."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, shown
from sqhw.files.input_file import check_file
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.files.plain import located

Array = npt.NDArray[Any]

#: Most dimensions of an array.
MAX_RANK = 8
#: Numbers of the types float32, int32, int64 and float64, whose raw bytes are read as they are.
WIDE = (1, 6, 7, 11)
#: Types of narrow floats, which are converted to 32 bits.
NARROW_FLOATS = ("float16", "bfloat16")


class Stored(Protocol):
    """Arrays of a file by name; `narrow` names those that were of 16-bit floats."""

    narrow: list[str]

    def __getitem__(self, name: str) -> Array:
        """Return an array, or raise `SqhwError`."""


class Arrays:
    """The initializers of a graph by name; each is converted when it is asked for.

    Parameters
    ----------
    raw : iterable of TensorProto
    folder : Path
        Folder that external data may lie in.
    """

    def __init__(self, raw: Iterable[Any], folder: Path) -> None:
        self._raw = {tensor.name: _own(tensor) for tensor in raw}
        self._folder = folder
        #: Names of the arrays that were converted from narrow floats.
        self.narrow: list[str] = []

    @property
    def names(self) -> Iterable[str]:
        """The names."""
        return self._raw.keys()

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __getitem__(self, name: str) -> Array:
        """Return an array.

        Raises
        ------
        SqhwError
            If it is damaged, of a type that is not read, or its external data are missing or out
            of the folder.
        """
        with located(f"initializer {shown(name)}"):
            array = _array(self._raw[name], self._folder)
            if array.dtype.name in NARROW_FLOATS:
                self.narrow.append(name)
                array = array.astype(np.float32)
            return array


@dataclass(frozen=True, eq=False)
class _Bytes:
    """An initializer's bytes with the fields of TensorProto that are read of it."""

    dims: tuple[int, ...]
    data_type: int
    raw_data: bytes
    data_location: int = 0

    def HasField(self, name: str) -> bool:
        """Whether a field is set."""
        return name == "raw_data"


def _own(tensor: Any) -> Any:
    """Return a copy of an initializer, so that the memory of the whole file can be given back."""
    import onnx

    if tensor.HasField("raw_data") and tensor.data_location != onnx.TensorProto.EXTERNAL:
        if tensor.data_type in WIDE:
            return _Bytes(tuple(tensor.dims), tensor.data_type, tensor.raw_data)
    own = onnx.TensorProto()
    own.CopyFrom(tensor)
    return own


def attribute_array(raw: Any) -> Array:
    """Return an array within a node."""
    with located("a constant in a node"):
        array = _array(raw, None)
        return array.astype(np.float32) if array.dtype.name in NARROW_FLOATS else array


def _array(raw: Any, folder: Path | None) -> Array:
    import onnx
    from onnx import numpy_helper

    dims = tuple(raw.dims)
    if len(dims) > MAX_RANK or any(size < 0 for size in dims):
        raise SqhwError(f"its shape {shown(dims)} has more than {MAX_RANK} axes or a negative size")
    try:
        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(raw.data_type))
    except (KeyError, TypeError, ValueError):
        raise SqhwError(f"its type {raw.data_type} is unknown") from None
    if kind.hasobject or kind.kind == "c":
        raise SqhwError("it holds texts or complex numbers, not real ones")
    if raw.data_location == onnx.TensorProto.EXTERNAL:
        return _external(raw, kind, dims, folder)
    if raw.HasField("raw_data") and kind.itemsize > 1 and kind.name not in NARROW_FLOATS:
        data = raw.raw_data
        if len(data) != prod(dims) * kind.itemsize:
            raise SqhwError(
                f"it has {len(data):,} bytes, which {kind} of shape {dims} does not take"
            )
        return np.frombuffer(data, kind.newbyteorder("<")).astype(kind, copy=False).reshape(dims)
    try:
        return np.asarray(numpy_helper.to_array(raw))
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SqhwError(f"it is damaged ({reason})") from None


def _external(raw: Any, kind: np.dtype[Any], dims: tuple[int, ...], folder: Path | None) -> Array:
    entries = {entry.key: entry.value for entry in raw.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise SqhwError("its data lie in another file, which only initializers may have")
    parts = PurePosixPath(location).parts
    if (
        not parts
        or location.startswith("/")
        or ".." in parts
        or "\\" in location
        or "\0" in location
    ):
        raise SqhwError(f"its data lie in {shown(location)}, out of the file's folder")
    path = folder.joinpath(*parts)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise SqhwError(f"its data lie in {shown(location)}, a link out of the file's folder")
    with located(f"external data {shown(location)}"):
        size = check_file(path, MAX_NETWORK_BYTES)
        try:
            offset, length = (int(entries.get(key) or 0) for key in ("offset", "length"))
        except ValueError:
            raise SqhwError("offset and length must be whole numbers") from None
        needed = prod(dims) * kind.itemsize
        if kind.name.endswith("int4"):
            raise SqhwError(f"{kind} in external data is not read; store it in the file")
        if length not in (0, needed) or offset < 0 or offset + needed > size:
            raise SqhwError(
                f"{needed:,} bytes from {offset:,} on are wanted, the file has {size:,}; copy it "
                "anew"
            )
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(needed)
    if len(data) != needed:
        raise SqhwError(f"external data {shown(location)}: the file became shorter")
    return np.frombuffer(data, kind.newbyteorder("<") if kind.itemsize > 1 else kind).reshape(dims)
