"""Decoded pictures in the user's cache, so that a second start decodes none of them."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from sqhw.atomic import atomic_write_bytes, make_folder
from sqhw.environment.user_cache import cache_home
from sqhw.errors import SqhwError
from sqhw.files.input_limits import MAX_DATA_BYTES
from sqhw.files.plain import parse_json
from sqhw.files.tensor_file import read_tensors

#: Key of the metadata of a cached file, and name of its tensor.
KEY, TENSOR = "sqhw_pictures", "images"
#: Permissions of a cached file: the pictures may be private.
MODE = 0o600
#: Largest header of a cached file (unit: byte).
MAX_HEADER_BYTES = 1 << 16


def cache_file(folder: Path, form: str) -> Path | None:
    """Return the file of a folder's pictures in a form, or None where there is no home folder.

    A folder has one file for each form, which is replaced when the pictures change.
    """
    identity = f"{os.path.realpath(folder)}\n{form}"
    name = hashlib.sha256(os.fsencode(identity)).hexdigest()[:32]
    try:
        return cache_home() / "sqhw" / "data" / f"{name}.safetensors"
    except RuntimeError:
        return None


def load_cached(path: Path, digest: str) -> npt.NDArray[np.uint8] | None:
    """Return the images of a cached file, shape (n, channels, height, width).

    None if there is no such file, it is damaged, or its sources had another digest.
    """
    try:
        metadata, tensors = read_tensors(path, MAX_DATA_BYTES + MAX_HEADER_BYTES)
        found = parse_json(metadata.get(KEY, "null"))
    except SqhwError:
        return None
    images = tensors.get(TENSOR)
    if images is None or images.dtype != np.uint8 or images.ndim != 4:
        return None
    if found != {"sources": digest, "images": _sha256(images)}:
        return None
    return np.asarray(images, np.uint8)


def save_cached(path: Path, digest: str, images: npt.NDArray[np.uint8]) -> None:
    """Write images for `load_cached`; nothing is written where the cache cannot be."""
    entry = json.dumps({"sources": digest, "images": _sha256(images)})
    try:
        make_folder(path.parent)
        atomic_write_bytes(path, save({TENSOR: images}, {KEY: entry}), mode=MODE)
    except SqhwError:
        pass


def _sha256(images: npt.NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(str(images.shape).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()
