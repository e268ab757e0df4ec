"""Reading untrusted safetensors files: their metadata and tensors, within limits.

The three kinds of sqhw's own files are told by a key of their metadata, one for each.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from sqhw.errors import LONGEST, SqhwError, shown
from sqhw.files.input_file import START, WAY_IN, check_file, recognised
from sqhw.files.input_limits import MAX_HEADER_BYTES

QUANTIZED_KEY = "sqhw"  # one key a file: safetensors writes several in an order that changes
FLOAT_KEY = "sqhw_float_network"
CHECKPOINT_KEY = "sqhw_method_checkpoint"

#: Descriptions of a file by its key.
KINDS = {
    QUANTIZED_KEY: "a quantized network (from sqhw compress or quantize)",
    FLOAT_KEY: "a network of floats (from sqhw train or import)",
    CHECKPOINT_KEY: "a checkpoint of a training (from --resume)",
}
#: Advice for a file of another kind, by the key that is wanted.
WANTED = {
    QUANTIZED_KEY: "a quantized network; quantize it first (sqhw compress)",
    FLOAT_KEY: "a float network; take the one that was compressed",
    CHECKPOINT_KEY: "a checkpoint of a training; name another file",
}


def read_tensors(
    path: Path, limit: int, framework: str = "numpy", *, tensors: bool = True
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the metadata and the tensors of a safetensors file.

    Parameters
    ----------
    path : Path
    limit : int
        Largest file (unit: byte), see `sqhw.files.input_limits`.
    framework : {"numpy", "pt"}
    tensors : bool
        Whether the tensors are read, or the metadata alone.

    Raises
    ------
    SqhwError
        If there is no such file, it is of another kind, which is named, damaged, too large, or
        holds a tensor of a type or shape that the framework lacks. The message does not name the
        file.
    """
    _check_start(path, limit)
    try:
        with safe_open(path, framework=framework) as file:
            names = file.keys() if tensors else ()
            return file.metadata() or {}, {name: _tensor(file, name) for name in names}
    except SafetensorError as error:
        reason = str(error).splitlines()[0][:LONGEST]
        raise SqhwError(f"not a safetensors file, or a damaged one ({reason})") from None
    except OSError as error:
        raise SqhwError(f"cannot be read ({error.strerror or error})") from None


def entry_of(metadata: Mapping[str, str], tensors: Mapping[str, Any], key: str) -> str:
    """Return the metadata entry of the kind of file that is wanted.

    Raises
    ------
    SqhwError
        If the file is of another kind, saying of which.
    """
    for other, what in KINDS.items():
        if other != key and other in metadata:
            raise SqhwError(f"{what}, not {WANTED[key]}")
    if key not in metadata:
        names = f" (such as {shown(min(tensors))})" if tensors else ""
        raise SqhwError(
            f"a safetensors file of plain tensors{names}, not one that sqhw saved; if it is the "
            "state dict of a network of the zoo, run `sqhw import NAME --checkpoint FILE`, else "
            f"{WAY_IN}"
        )
    return metadata[key]


def _check_start(path: Path, limit: int) -> None:
    size = check_file(path, limit)
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError as error:
        raise SqhwError(f"cannot be read ({error.strerror or error})") from None
    header = int.from_bytes(start[:8], "little")
    # A header that fits the file is one of safetensors, whatever its length spells.
    if not (len(start) > 8 and header <= size - 8 and start[8:9] == b"{"):
        if what := recognised(path, start):
            raise SqhwError(f"this is {what}")
    elif header > MAX_HEADER_BYTES:
        raise SqhwError(f"its header has {header:,} bytes, at most {MAX_HEADER_BYTES:,} are read")


def _tensor(file: Any, name: str) -> Any:
    try:
        found = file.get_tensor(name)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, OverflowError):
        found = None
    # A package such as ml_dtypes, which onnx imports, adds types like bfloat16 to NumPy's own.
    foreign = isinstance(found, np.ndarray) and found.dtype.isbuiltin != 1
    if found is None or foreign:
        raise SqhwError(f"tensor {shown(name)} has a type or a shape that sqhw does not use")
    return found
