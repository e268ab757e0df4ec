"""The archive of a .pt2 file: bounded reads of its members, and its arrays."""

import zipfile
import zlib
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, shown
from sqhw.files.input_file import check_file
from sqhw.files.input_limits import MAX_JSON_BYTES, MAX_NETWORK_BYTES
from sqhw.files.plain import located, parse_json

#: Most members of an archive, and most axes of an array.
MAX_MEMBERS, MAX_RANK = 100_000, 8
#: Types of elements by their numbers in the file.
TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32",
    8: "float64", 12: "bool", 13: "bfloat16",
}  # fmt: skip
#: Errors of `zipfile` for damaged archives, and ones that are encrypted or compressed otherwise.
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
#: Way out of a file whose weights are a pickle.
SAVE_ANEW = (
    "save it with torch.export.save of a later PyTorch (2.13 writes raw arrays), or export ONNX "
    "with torch.onnx.export"
)


def is_archive(path: Path, start: bytes) -> bool:
    """Whether a file is, by its suffix or the first member of its archive, one of torch.export."""
    if not start.startswith(b"PK\x03\x04"):
        return False
    name = start[30 : 30 + int.from_bytes(start[26:28], "little")]
    inner = name.partition(b"/")[2]
    return (
        path.suffix == ".pt2"
        or inner.startswith((b"data/weights/", b"models/", b"archive_format"))
        or name.startswith(b"serialized_exported_program")
    )


class Archive:
    """The members of a .pt2 file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SqhwError
        If the file is no such archive, damaged, or of a kind whose weights are pickles.
    """

    def __init__(self, path: Path) -> None:
        check_file(path, MAX_NETWORK_BYTES)
        try:
            self._zip = zipfile.ZipFile(path)
            members = self._zip.infolist()
        except (*BROKEN, ValueError) as error:
            raise SqhwError(f"a damaged archive: {_reason(error)}") from None
        if len(members) > MAX_MEMBERS:
            raise SqhwError(f"it has {len(members):,} members, at most {MAX_MEMBERS:,} are read")
        self._sizes = {one.filename: one.file_size for one in members}
        if len(self._sizes) < len(members):
            raise SqhwError("a damaged archive: it has a member twice")
        if any(name.startswith("serialized_exported_program") for name in self._sizes):
            raise SqhwError(f"its weights are a pickle, which is never opened here; {SAVE_ANEW}")
        models = [name for name in self._sizes if "/models/" in name and name.endswith(".json")]
        if len(models) != 1:
            raise SqhwError(f"it has {len(models)} models, not one; save one exported program")
        self._root, _, file = models[0].partition("/models/")
        self._model = file.removesuffix(".json")
        order = self._read(f"{self._root}/byteorder", 16, b"little")
        if order.strip() != b"little":
            raise SqhwError(f"its byte order is {shown(order)}; little is read")

    @property
    def program(self) -> Any:
        """The model's JSON."""
        return self._json(f"{self._root}/models/{self._model}.json")

    def arrays(self) -> dict[str, tuple[str, Any]]:
        """Return member and description of every weight and constant, by its name."""
        found: dict[str, tuple[str, Any]] = {}
        for kind in ("weights", "constants"):
            folder = f"{self._root}/data/{kind}"
            name = f"{folder}/{self._model}_{kind}_config.json"
            config = self._json(name) if name in self._sizes else {"config": {}}
            with located(f"member {shown(name)}"):
                for weight, entry in _mapping(_mapping(config).get("config")).items():
                    own = _mapping(entry)
                    found[weight] = f"{folder}/{own.get('path_name')}", own
        return found

    def array(self, member: str, entry: Any) -> npt.NDArray[Any]:
        """Return an array: raw bytes with sizes, strides and a type."""
        if entry.get("use_pickle") is not False:
            raise SqhwError(f"it is a pickle, which is never opened here; {SAVE_ANEW}")
        meta = _mapping(entry.get("tensor_meta"))
        kind = type_of(meta.get("dtype"))
        if kind is None:
            raise SqhwError(f"its type {shown(meta.get('dtype'))} is not read")
        sizes, strides = (_whole(meta.get(name)) for name in ("sizes", "strides"))
        (offset,) = _whole([meta.get("storage_offset", {"as_int": 0})])
        if len(sizes) != len(strides) or len(sizes) > MAX_RANK:
            raise SqhwError(f"its shape {shown(sizes)} does not fit its strides {shown(strides)}")
        data = self._read(member, MAX_NETWORK_BYTES)
        width = 2 if kind == "bfloat16" else np.dtype(kind).itemsize
        if prod(sizes):
            last = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
            if (last + 1) * width > len(data) or prod(sizes) * width > max(len(data), width):
                raise SqhwError(f"it has {len(data):,} bytes, too few for the shape {shown(sizes)}")
        else:
            return np.zeros(sizes, np.float32)
        data = data[: len(data) // width * width]
        values: npt.NDArray[Any]
        if kind == "bfloat16":  # the upper half of a float32
            upper = np.frombuffer(data, "<u2").astype("<u4") << 16
            values = upper.view("<f4")
        else:
            values = np.frombuffer(data, np.dtype(kind).newbyteorder("<"))
        steps = [step * values.itemsize for step in strides]
        shaped = np.lib.stride_tricks.as_strided(values[offset:], sizes, steps)
        return np.ascontiguousarray(shaped, np.float32 if kind == "float16" else None)

    def is_narrow(self, entry: Any) -> bool:
        """Whether an array is of 16-bit floats."""
        return _mapping(entry.get("tensor_meta")).get("dtype") in (6, 13)

    def _json(self, name: str) -> Any:
        with located(f"member {shown(name)}"):
            try:
                text = self._read(name, MAX_JSON_BYTES).decode()
            except UnicodeDecodeError:
                raise SqhwError("it is not UTF-8") from None
            return parse_json(text, infinite=True)

    def _read(self, name: str, limit: int, default: bytes | None = None) -> bytes:
        """Return a member, of at most `limit` bytes."""
        if name not in self._sizes:
            if default is not None:
                return default
            raise SqhwError(f"it lacks the member {shown(name)}")
        if self._sizes[name] > limit:
            raise SqhwError(f"member {shown(name)} has {self._sizes[name]:,} bytes, too many")
        try:
            with self._zip.open(name) as file:
                return file.read(limit + 1)[:limit]
        except (*BROKEN, ValueError) as error:
            raise SqhwError(f"member {shown(name)} is damaged: {_reason(error)}") from None


class Arrays:
    """Arrays by the names that the graph has for them, read when they are asked for.

    Parameters
    ----------
    archive : Archive
    places : dict of str to (str, Any)
        Member and description of each.
    """

    def __init__(self, archive: Archive, places: dict[str, tuple[str, Any]]) -> None:
        self._archive, self._places = archive, places
        self._made: dict[str, npt.NDArray[Any]] = {}
        #: Names of the arrays that were converted from narrow floats.
        self.narrow: list[str] = []

    @property
    def names(self) -> Iterable[str]:
        """The names."""
        return [*self._places, *self._made]

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._made

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name in self._made:
            return self._made[name]
        if name not in self._places:
            raise SqhwError(f"tensor {shown(name)} is read, but no call before makes it")
        member, entry = self._places[name]
        with located(f"array {shown(name)}"):
            if self._archive.is_narrow(entry):
                self.narrow.append(name)
            return self._archive.array(member, entry)

    def add(self, name: str, values: npt.NDArray[Any]) -> str:
        """Add a constant, and return its name."""
        while name in self:
            name += "_"
        self._made[name] = values
        return name


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SqhwError(f"{shown(value)} stands where an object is wanted")
    return value


def type_of(code: object) -> str | None:
    """Return the type of a code of torch.export, whatever stands there; None if it is not read."""
    return TYPES.get(code) if type(code) is int else None


def _whole(values: Any) -> tuple[int, ...]:
    """Return whole numbers of 0 or more, each as ``{"as_int": n}``."""
    found = []
    for one in values if isinstance(values, list) else [None]:
        number = one.get("as_int") if isinstance(one, dict) else None
        if type(number) is not int or not 0 <= number < 1 << 40:
            raise SqhwError(f"{shown(values)} stands where whole numbers are wanted")
        found.append(number)
    return tuple(found)


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
