import gzip
import os
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.data import Dataset, Split, load_dataset
from sqhw.data.idx import FILES
from sqhw.data.split import stratified_split
from sqhw.errors import SqhwError

EXPECTED = (
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
    "t10k-labels-idx1-ubyte, each plain or .gz"
)


def idx(array):
    """Return an array of bytes in the IDX format."""
    array = np.asarray(array, np.uint8)
    magic = 0x0800 | array.ndim
    return struct.pack(f">I{array.ndim}I", magic, *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """Return a folder with a small MNIST: image i is filled with i, its label is i % 10."""
    for prefix, count in (("train", 120), ("t10k", 20)):
        images = np.broadcast_to(np.arange(count)[:, None, None], (count, 5, 4))
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(count) % 10))
    return tmp_path


def message(folder):
    with pytest.raises(SqhwError) as error:
        load_dataset(f"mnist:{folder}")
    return str(error.value)


def test_digits():
    data = load_dataset("digits")
    assert (data.name, data.input_max, data.classes) == ("digits", 16, 10)
    assert data.image_shape == (1, 8, 8)
    assert [len(data.train), len(data.validation), len(data.test)] == [1079, 359, 359]
    for part in (data.train, data.validation, data.test):
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert part.images.max() == 16
        share = np.bincount(part.labels) / len(part)
        assert share.min() > 0.09
        assert share.max() < 0.11


def test_digits_are_all_of_scikit_learns_and_always_in_the_same_parts():
    first, second = load_dataset("digits"), load_dataset("digits")
    for name in ("train", "validation", "test"):
        a, b = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)
    pixels = sum(int(p.images.sum()) for p in (first.train, first.validation, first.test))
    assert pixels == 561718  # the sum over scikit-learn's array
    # Pins the split itself: results are comparable between machines and versions.
    assert first.test.labels[:12].tolist() == [6, 2, 6, 5, 8, 9, 7, 3, 3, 3, 4, 6]


@pytest.mark.parametrize("compressed", [False, True])
def test_mnist(mnist, compressed):
    if compressed:
        for name in FILES:
            path = mnist / name
            (mnist / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    data = load_dataset(f"mnist:{mnist}")
    assert (data.name, data.input_max, data.classes) == ("mnist", 255, 10)
    assert data.image_shape == (1, 5, 4)
    assert [len(data.train), len(data.validation), len(data.test)] == [110, 10, 20]
    assert np.bincount(data.validation.labels).tolist() == [1] * 10
    np.testing.assert_array_equal(data.test.images[:, 0, 0, 0], np.arange(20))
    seen = np.concatenate([data.train.images, data.validation.images])[:, 0, 0, 0]
    assert sorted(seen.tolist()) == list(range(120))
    for part in (data.train, data.validation, data.test):
        np.testing.assert_array_equal(part.images[:, 0, 4, 3] % 10, part.labels)


def test_a_home_directory_is_expanded(mnist, monkeypatch):
    monkeypatch.setenv("HOME", str(mnist.parent))
    assert len(load_dataset(f"mnist:~/{mnist.name}").test) == 20


def test_missing_directory(tmp_path):
    assert message(tmp_path / "no") == (
        f"data set directory {tmp_path}/no does not exist; it must hold {EXPECTED}"
    )


@pytest.mark.parametrize("name", FILES)
def test_missing_file(mnist, name):
    (mnist / name).unlink()
    assert message(mnist) == f"file {name} is missing in {mnist}, which must hold {EXPECTED}"


def test_wrong_magic_number(mnist):
    path = mnist / FILES[0]
    path.write_bytes((mnist / FILES[1]).read_bytes())  # labels for images
    assert message(mnist) == (
        f"{path} is not an IDX file of 3-dimensional bytes: "
        "magic number 0x00000801, expected 0x00000803"
    )


def test_truncated(mnist):
    path = mnist / FILES[2]
    path.write_bytes(path.read_bytes()[:-1])
    assert message(mnist) == (
        f"{path} is truncated: expected 416 bytes for shape (20, 5, 4), found 415"
    )


@pytest.mark.parametrize("length", [0, 3, 15])
def test_truncated_in_the_header(mnist, length):
    path = mnist / FILES[2]
    path.write_bytes(path.read_bytes()[:length])
    assert message(mnist) == f"{path} is truncated: {length} bytes, its header alone has 16"


def test_bytes_behind_the_end(mnist):
    path = mnist / FILES[3]
    path.write_bytes(path.read_bytes() + b"\0\0")
    assert message(mnist) == (
        f"{path} has bytes behind its end: expected 28 bytes for shape (20,), found 30"
    )


def broken_gzip(mnist, change):
    path = mnist / FILES[0]
    path.write_bytes(change(gzip.compress(path.read_bytes())))
    return message(mnist).removeprefix(f"{path} is a broken gzip file: ")


def test_gzip_cut_off(mnist):
    found = broken_gzip(mnist, lambda data: data[:-20])
    assert found == "Compressed file ended before the end-of-stream marker was reached"


def test_gzip_with_wrong_checksum(mnist):
    found = broken_gzip(mnist, lambda data: data[:-8] + b"\0\0\0\0" + data[-4:])
    assert found.startswith("CRC check failed")


def test_gzip_with_damaged_content(mnist):
    found = broken_gzip(mnist, lambda data: data[:10] + b"\xff" * 20 + data[30:])
    assert found == "Error -3 while decompressing data: invalid block type"


def test_unreadable(mnist, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    assert message(mnist) == f"{mnist / FILES[0]} cannot be read (Permission denied)"


def test_counts_differ(mnist):
    (mnist / FILES[1]).write_bytes(idx(np.zeros(119)))
    assert message(mnist) == (f"{mnist / FILES[0]} holds 120 images, {mnist / FILES[1]} 119 labels")


def test_sizes_differ(mnist):
    (mnist / FILES[2]).write_bytes(idx(np.zeros((20, 4, 4))))
    assert message(mnist) == (
        f"{mnist / FILES[0]} holds images of (5, 4) pixels, {mnist / FILES[2]} of (4, 4)"
    )


def test_label_out_of_range(mnist):
    (mnist / FILES[3]).write_bytes(idx(np.full(20, 10)))
    assert message(mnist) == f"{mnist / FILES[3]} holds label 10, expected 0 to 9"


def test_no_pixels(mnist):
    (mnist / FILES[2]).write_bytes(idx(np.zeros((20, 0, 4))))
    assert message(mnist) == f"{mnist / FILES[2]} holds no pixels: its shape is (20, 0, 4)"


def test_too_few_for_a_validation_set(mnist):
    (mnist / FILES[0]).write_bytes(idx(np.zeros((11, 5, 4))))
    (mnist / FILES[1]).write_bytes(idx(np.zeros(11)))
    assert message(mnist) == (
        f"{mnist / FILES[0]} holds 11 images; at least 12 are needed to split off a validation set"
    )


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("digit", "unknown data set 'digit'; did you mean 'digits'?"),
        ("mnist", "unknown data set 'mnist'; did you mean 'mnist:DIR'?"),
        ("cifar", "unknown data set 'cifar'; did you mean 'cifar10:DIR'?"),
        (
            "imagenet",
            (
                "unknown data set 'imagenet'; known: cifar10:DIR, digits, folder:DIR, mnist:DIR, "
                "npz:FILE"
            ),
        ),
        ("digits:x", "unknown data set 'digits:x'; did you mean 'digits'?"),
    ],
)
def test_unknown_name(spec, text):
    with pytest.raises(SqhwError) as error:
        load_dataset(spec)
    assert str(error.value) == text


@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
def test_without_a_directory(kind):
    with pytest.raises(SqhwError) as error:
        load_dataset(f"{kind}:")
    assert str(error.value) == (
        f"data set '{kind}:' lacks the directory of its files; "
        f"write for example {kind}:/data/{kind}"
    )


@given(
    st.lists(st.integers(0, 5), max_size=60),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 99),
)
def test_split_is_exact_disjoint_and_stratified(labels, first, second, seed):
    labels = np.array(labels, np.int64)
    sizes = [min(first, len(labels)), min(second, max(0, len(labels) - first))]
    parts = stratified_split(labels, sizes, seed)
    assert [len(part) for part in parts[:2]] == sizes
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    if len(labels):
        whole = np.bincount(labels, minlength=6)
        taken = np.bincount(labels[parts[0]], minlength=6)
        assert np.abs(taken - whole * sizes[0] / len(labels)).max() < 1


def test_split_of_more_than_there_is():
    with pytest.raises(ValueError, match=r"^cannot take 4 of 3 samples$"):
        stratified_split(np.zeros(3, np.int64), [2, 2], seed=0)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_of_no_class_is_refused(label):
    fine = Split(np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 2]))
    wrong = Split(fine.images, np.array([0, label]))
    with pytest.raises(SqhwError) as error:
        Dataset("mine", fine, wrong, fine, 255, 3)
    assert str(error.value) == (
        f"data set 'mine' has label {label} among its validation images; 3 classes have labels 0 "
        "to 2"
    )


def test_split_checks_its_arrays():
    images, labels = np.zeros((2, 1, 3, 3), np.uint8), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match=r"^images must be uint8 of shape .*, not float64 of"):
        Split(images.astype(float), labels)
    with pytest.raises(ValueError, match=r"^labels must be int64 of shape \(2,\), not int32 of"):
        Split(images, labels.astype(np.int32))


def test_importing_the_package_imports_neither_torch_nor_sklearn():
    code = "import sys, sqhw.data; print({'torch', 'sklearn'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "shape",
    [
        (0, (1 << 32) - 1, (1 << 32) - 1),
        ((1 << 32) - 1, (1 << 32) - 1, 0),
        ((1 << 32) - 1, (1 << 32) - 1, (1 << 32) - 1),
        (1 << 31, 1, 2),
    ],
)
def test_huge_shapes_are_refused_before_anything_is_unpacked(mnist, shape, compressed):
    path = mnist / FILES[0]
    content = struct.pack(">I3I", 0x0803, *shape) + bytes(64)
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert message(mnist).startswith(f"{path} is too large: shape {shape} of ")


def test_gzip_is_unpacked_no_further_than_its_header_promises(mnist):
    path = mnist / FILES[0]
    content = path.read_bytes()
    path.write_bytes(gzip.compress(content + bytes(100 << 20)))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    found = message(mnist)
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()
    assert found == (
        f"{path} has bytes behind its end: expected {len(content)} bytes for shape (120, 5, 4), "
        f"found {len(content) + 1} or more"
    )


@pytest.mark.parametrize("name", ["~nosuchuser/x", "x" * 300, "zero\0byte"])
@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
def test_folders_that_cannot_be(kind, name):
    with pytest.raises(SqhwError, match=r"^data set directory .* does not exist; it must hold"):
        load_dataset(f"{kind}:{name}")


def test_a_pipe_is_not_waited_for(mnist):
    (mnist / FILES[0]).unlink()
    os.mkfifo(mnist / FILES[0])
    assert message(mnist).startswith(f"file {FILES[0]} is missing in ")
