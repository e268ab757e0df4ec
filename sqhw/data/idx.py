"""MNIST from its official files, in the IDX format, gzipped or not."""

import math
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sqhw.atomic import is_file
from sqhw.data.dataset import Dataset, Split
from sqhw.data.folder import data_folder
from sqhw.data.split import stratified_split
from sqhw.errors import SqhwError
from sqhw.files.input_file import GZIP_MAGIC, gunzip, read_bytes
from sqhw.files.input_limits import MAX_DATA_BYTES
from sqhw.files.plain import located

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CLASSES = 10
VALIDATION_SHARE = 12  # one image in 12: 5,000 of 60,000
SEED = 0

UBYTE = 0x08  # type code of unsigned bytes in an IDX magic number


def load_mnist(directory: str | os.PathLike[str]) -> Dataset:
    """Load MNIST, or another set of ten classes in the same four files.

    Parameters
    ----------
    directory : path
        Where the files are, each as it is or with the suffix ``.gz``.

    Returns
    -------
    Dataset
        The training file split 11 to 1 into train and validation (55,000 and 5,000 images), and
        the test file.

    Raises
    ------
    SqhwError
        If a file is missing, broken or does not match its partner; the message names it.
    """
    paths = mnist_files(directory)
    full = _read_split(paths[0], paths[1])
    test = _read_split(paths[2], paths[3])
    if full.images.shape[1:] != test.images.shape[1:]:
        raise SqhwError(
            f"{paths[0]} holds images of {full.images.shape[2:]} pixels, "
            f"{paths[2]} of {test.images.shape[2:]}"
        )
    if len(full) < VALIDATION_SHARE:
        raise SqhwError(
            f"{paths[0]} holds {len(full)} images; at least {VALIDATION_SHARE} are needed "
            "to split off a validation set"
        )
    validation, train = stratified_split(full.labels, (len(full) // VALIDATION_SHARE,), SEED)
    return Dataset(
        name="mnist",
        train=full.take(train),
        validation=full.take(validation),
        test=test,
        input_max=255,
        classes=CLASSES,
    )


def mnist_files(directory: str | os.PathLike[str]) -> list[Path]:
    """Return the four files in a directory, in the order of `FILES`.

    Raises
    ------
    SqhwError
        If there is no such directory, or a file is missing.
    """
    folder = data_folder(directory, _expected())
    return [_find(folder, name) for name in FILES]


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Parameters
    ----------
    path : Path
        Decompressed if it begins like a gzip file, whatever its name.
    dimensions : int
        How many dimensions the array must have.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    SqhwError
        If it cannot be read or is not such a file, complete and with nothing after its end.
    """
    with located(path, " "):
        data, packed = read_bytes(path, MAX_DATA_BYTES), None
        if data.startswith(GZIP_MAGIC):
            packed, data = data, gunzip(data, 4 + 4 * dimensions)
    header = 4 + 4 * dimensions
    magic = UBYTE << 8 | dimensions
    if len(data) < header:
        raise SqhwError(f"{path} is truncated: {len(data)} bytes, its header alone has {header}")
    found = int.from_bytes(data[:4], "big")
    if found != magic:
        raise SqhwError(
            f"{path} is not an IDX file of {dimensions}-dimensional bytes: "
            f"magic number {found:#010x}, expected {magic:#010x}"
        )
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, header, 4))
    expected = header + math.prod(shape)
    # A shape with a 0 has no bytes, whatever its other numbers.
    if expected > MAX_DATA_BYTES or max(shape) > MAX_DATA_BYTES:
        raise SqhwError(
            f"{path} is too large: shape {shape} of {expected:,} bytes, at most "
            f"{MAX_DATA_BYTES:,} are read"
        )
    if packed is not None:
        with located(path, " "):
            data = gunzip(packed, expected + 1)
    if len(data) != expected:
        problem = "is truncated" if len(data) < expected else "has bytes behind its end"
        more = " or more" if packed and len(data) > expected else ""
        raise SqhwError(
            f"{path} {problem}: expected {expected} bytes for shape {shape}, found "
            f"{len(data)}{more}"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape).copy()


def _read_split(images_path: Path, labels_path: Path) -> Split:
    images = read_idx(images_path, 3)
    labels = read_idx(labels_path, 1).astype(np.int64)
    if len(images) != len(labels):
        raise SqhwError(
            f"{images_path} holds {len(images)} images, {labels_path} {len(labels)} labels"
        )
    if not images.size:
        raise SqhwError(f"{images_path} holds no pixels: its shape is {images.shape}")
    if labels.max() >= CLASSES:
        raise SqhwError(f"{labels_path} holds label {labels.max()}, expected 0 to {CLASSES - 1}")
    return Split(images[:, np.newaxis], labels)  # (n, 1, height, width)


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if is_file(path):
            return path
    raise SqhwError(f"file {name} is missing in {folder}, which must hold {_expected()}")


def _expected() -> str:
    return f"{', '.join(FILES[:-1])} and {FILES[-1]}, each plain or .gz"
