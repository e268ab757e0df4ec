"""Checksums: those that network files carry, and of whole files."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.files.input_file import check_file
from sqhw.files.plain import located


def network_digest(description: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return the SHA-256 of a description and its arrays, in hex digits.

    It is taken over the canonical JSON of `description`, followed by name, type, shape and bytes
    of every tensor in order of name.

    Raises
    ------
    ValueError
        If the description holds infinity or not-a-number.
    """
    digest = hashlib.sha256(json.dumps(description, sort_keys=True, allow_nan=False).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def sha256_of(path: Path, limit: int) -> str:
    """Return the SHA-256 of a file, in hex digits.

    Parameters
    ----------
    path : Path
    limit : int
        Largest size (unit: byte).

    Raises
    ------
    SqhwError
        If it cannot be read, is no regular file or is too large.
    """
    with located(path):
        check_file(path, limit)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SqhwError(f"cannot read {path}: {error.strerror or error}") from None
