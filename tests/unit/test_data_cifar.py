"""CIFAR-10: the official binary layout, and one sentence for every damage."""

import numpy as np
import pytest

from sqhw.data import load_dataset
from sqhw.data.cifar import FOLDER, TEST_FILE, TRAIN_FILES
from sqhw.errors import SqhwError

EXPECTED = (
    "data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin "
    "and test_batch.bin"
)


def batch(numbers):
    """Return a file's bytes: image i has label i % 10, and i, i + 1, i + 2 in its three planes."""
    records = np.zeros((len(numbers), 3073), np.uint8)
    for record, number in zip(records, numbers, strict=True):
        record[0] = number % 10
        record[1:] = np.repeat(np.arange(number, number + 3), 1024)
        record[1 + 1024 + 32] = 255  # green, second row, first column
    return records.tobytes()


@pytest.fixture
def cifar(tmp_path):
    """Return a folder with 100 training and 20 test images."""
    for at, name in enumerate(TRAIN_FILES):
        (tmp_path / name).write_bytes(batch(range(20 * at, 20 * at + 20)))
    (tmp_path / TEST_FILE).write_bytes(batch(range(20)))
    return tmp_path


def message(folder):
    with pytest.raises(SqhwError) as error:
        load_dataset(f"cifar10:{folder}")
    return str(error.value)


@pytest.mark.parametrize("inside", [False, True])
def test_cifar10(cifar, inside):
    if inside:
        (cifar / FOLDER).mkdir()
        for name in (*TRAIN_FILES, TEST_FILE):
            (cifar / name).rename(cifar / FOLDER / name)
    data = load_dataset(f"cifar10:{cifar}")
    assert (data.name, data.input_max, data.classes) == ("cifar10", 255, 10)
    assert data.image_shape == (3, 32, 32)
    assert [len(data.train), len(data.validation), len(data.test)] == [90, 10, 20]
    assert np.bincount(data.validation.labels).tolist() == [1] * 10
    np.testing.assert_array_equal(data.test.labels, np.arange(20) % 10)
    seen = np.concatenate([data.train.images, data.validation.images])
    assert sorted(seen[:, 0, 0, 0].tolist()) == list(range(100))
    for part in (data.train, data.validation, data.test):
        first = part.images[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(first % 10, part.labels)
        np.testing.assert_array_equal(part.images[:, 2, 31, 31], first + 2)
        assert (part.images[:, 1, 1, 0] == 255).all()


def test_a_missing_directory(tmp_path):
    assert message(tmp_path / "no") == (
        f"data set directory {tmp_path}/no does not exist; it must hold {EXPECTED}"
    )


@pytest.mark.parametrize("name", [TRAIN_FILES[0], TRAIN_FILES[4], TEST_FILE])
def test_a_missing_file(cifar, name):
    (cifar / name).unlink()
    assert message(cifar) == f"file {name} is missing in {cifar}, which must hold {EXPECTED}"


@pytest.mark.parametrize("size", [0, 3072, 3074, 2 * 3073 - 1])
def test_a_wrong_size(cifar, size):
    path = cifar / TRAIN_FILES[2]
    path.write_bytes(bytes(size))
    assert message(cifar) == (
        f"{path} is no CIFAR-10 batch: its {size} bytes are not one or more records of 3073"
    )


def test_a_label_out_of_range(cifar):
    path = cifar / TEST_FILE
    data = bytearray(path.read_bytes())
    data[3 * 3073] = 10
    path.write_bytes(data)
    assert message(cifar) == f"{path} holds label 10 in record 3, expected 0 to 9"


def test_an_unreadable_file(cifar, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    assert message(cifar) == f"{cifar / TRAIN_FILES[0]} cannot be read (Permission denied)"


def test_too_few_for_a_validation_set(cifar):
    for name in TRAIN_FILES:
        (cifar / name).write_bytes(batch([0]))
    assert message(cifar) == (
        f"the training files in {cifar} hold 5 images; at least 10 are needed to split off a "
        "validation set"
    )
