"""CIFAR-10 from its official binary files."""

import os
from pathlib import Path

import numpy as np

from sqhw.atomic import is_file
from sqhw.data.dataset import Dataset, Split
from sqhw.data.folder import data_folder
from sqhw.data.split import stratified_split
from sqhw.errors import SqhwError
from sqhw.files.input_file import folder_at, read_bytes
from sqhw.files.input_limits import MAX_DATA_BYTES
from sqhw.files.plain import located

TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILE = "test_batch.bin"
FOLDER = "cifar-10-batches-bin"  # folder that the official archive unpacks to
SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS  # bytes: the label, then red, green and blue plane
CLASSES = 10
VALIDATION_SHARE = 10  # one image in 10: 5,000 of 50,000
SEED = 0


def load_cifar10(directory: str | os.PathLike[str]) -> Dataset:
    """Load CIFAR-10, or another set of ten classes in files of the same layout.

    Parameters
    ----------
    directory : path
        Where the six ``.bin`` files are, or their folder ``cifar-10-batches-bin``.

    Returns
    -------
    Dataset
        The training files split 9 to 1 into train and validation (45,000 and 5,000 images), and
        the test file. Images of shape (3, 32, 32), red first.

    Raises
    ------
    SqhwError
        If a file is missing or broken; the message names it.
    """
    paths = cifar10_files(directory)
    *batches, test = [read_batch(path) for path in paths]
    full = Split(
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
    )
    if len(full) < VALIDATION_SHARE:
        raise SqhwError(
            f"the training files in {paths[0].parent} hold {len(full)} images; at least "
            f"{VALIDATION_SHARE} are needed to split off a validation set"
        )
    validation, train = stratified_split(full.labels, (len(full) // VALIDATION_SHARE,), SEED)
    return Dataset(
        name="cifar10",
        train=full.take(train),
        validation=full.take(validation),
        test=test,
        input_max=255,
        classes=CLASSES,
    )


def cifar10_files(directory: str | os.PathLike[str]) -> list[Path]:
    """Return the six files in a directory, or in the folder of the archive there, test file last.

    Raises
    ------
    SqhwError
        If there is no such directory, or a file is missing.
    """
    folder = data_folder(directory, _expected())
    folder = folder_at(folder / FOLDER) or folder
    paths = [folder / name for name in (*TRAIN_FILES, TEST_FILE)]
    for path in paths:
        if not is_file(path):
            raise SqhwError(
                f"file {path.name} is missing in {folder}, which must hold {_expected()}"
            )
    return paths


def read_batch(path: Path) -> Split:
    """Read one file of records, each a byte of label and 3,072 bytes of pixels.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Split

    Raises
    ------
    SqhwError
        If it cannot be read or is not such a file.
    """
    with located(path, " "):
        data = read_bytes(path, MAX_DATA_BYTES)
    if not data or len(data) % RECORD:
        raise SqhwError(
            f"{path} is no CIFAR-10 batch: its {len(data)} bytes are not one or more records of "
            f"{RECORD}"
        )
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= CLASSES:
        raise SqhwError(
            f"{path} holds label {labels.max()} in record {labels.argmax()}, "
            f"expected 0 to {CLASSES - 1}"
        )
    return Split(records[:, 1:].reshape(-1, *SHAPE).copy(), labels)


def _expected() -> str:
    return f"{', '.join(TRAIN_FILES)} and {TEST_FILE}"
