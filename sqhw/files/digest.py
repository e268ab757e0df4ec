"""The checksum that network files carry."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


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
