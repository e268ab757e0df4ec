"""Arrays of a user's own in a ``.npz`` file: names, shapes, ranges, and what is refused."""

import contextlib
import io
import pickle
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.data import ImageForm, load_dataset
from sqhw.data.arrays import EXPECTED, oriented
from sqhw.errors import SqhwError
from sqhw.machine.number import ActivationFormat
from sqhw.network.quantized_file import load_network
from sqhw.steps.images import load_data

GOLDEN = Path(__file__).parents[1] / "golden" / "chain"
LABELS = np.arange(20) % 4
IMAGES = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 3, 5), np.uint8)
GOOD = {"x": IMAGES, "y": LABELS}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "beats.npz"


def load(file, arrays=None, **form):
    if arrays is not None:
        np.savez_compressed(file, **arrays)
    return load_dataset(f"npz:{file}", ImageForm(**form))


def message(file, arrays=None, **form):
    with pytest.raises(SqhwError) as error:
        load(file, arrays, **form)
    return str(error.value)


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("images", "labels"), ("X", "Y")])
def test_arrays_are_divided(file, x, y):
    data = load(file, {x: IMAGES, y: LABELS, "other": np.array([None])})
    assert (data.name, data.input_max, data.classes) == ("npz beats", 255, 4)
    assert (data.class_names, data.image_shape) == ((), (1, 3, 5))
    assert [len(data.train), len(data.validation), len(data.test)] == [12, 4, 4]
    assert sorted(data.test.labels.tolist()) == [0, 1, 2, 3]
    for split in (data.train, data.validation, data.test):
        assert (split.images[:, 0, 2, 4] % 4 == split.labels).all()
    again = load(file)
    np.testing.assert_array_equal(data.train.images, again.train.images)


@pytest.mark.parametrize("form", ["x_{}", "{}_x", "images_{}", "{}_images", "X_{}"])
@pytest.mark.parametrize("validation", ["val", "valid", "validation", None])
def test_parts_by_name(file, form, validation):
    arrays = {}
    for part, first in (("train", 0), (validation, 40), ("test", 80)):
        if part:
            images, name = IMAGES + first, form.format(part)
            other = name.replace("images", "labels").replace("x_", "y_").replace("_x", "_y")
            arrays |= {name: images, other.replace("X_", "Y_"): LABELS[:, None]}
    data = load(file, arrays)
    assert [len(data.train), len(data.test)] == [20 if validation else 16, 20]
    assert len(data.validation) == (20 if validation else 4)
    assert data.test.images.min() == 80


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ((3, 5), (1, 3, 5)),
        ((3, 5, 1), (1, 3, 5)),
        ((15,), (1, 15, 1)),
        ((15,), (1, 1, 15)),
        ((1, 1, 15), (1, 15, 1)),
        ((4, 5, 3), (3, 4, 5)),
        ((15, 6), (6, 15, 1)),
        ((6, 15), (6, 15, 1)),
        ((3, 3, 3), (3, 3, 3)),
    ],
)
def test_orders_that_have_one_meaning(found, wanted):
    images = np.arange(2 * np.prod(found)).reshape(2, *found)
    result = oriented(images, "x", wanted)
    assert result.shape == (2, *wanted)
    if found in ((4, 5, 3), (15, 6)):
        np.testing.assert_array_equal(
            result.reshape(2, wanted[0], -1),
            images.reshape(2, -1, wanted[0]).transpose(0, 2, 1),
        )
    else:
        np.testing.assert_array_equal(result.ravel(), images.ravel())


@given(st.tuples(*[st.integers(1, 4)] * 3), st.data())
def test_an_image_is_never_turned_wrongly(wanted, data):
    """Whatever is left of the sides of 1, both orders come back as they were, or are refused."""
    channels, height, width = wanted
    image = np.arange(channels * height * width).reshape(1, *wanted)
    last = data.draw(st.booleans())
    sent = image.transpose(0, 2, 3, 1) if last else image
    if data.draw(st.booleans()):
        sent = sent.reshape(1, *[side for side in sent.shape[1:] if side != 1])
    if last and sent.shape[1:] == wanted:
        return  # a square of channels, which is taken as channels first
    result = None
    with contextlib.suppress(SqhwError):
        result = oriented(sent, "x", wanted)
    if result is None:
        assert channels > 1
    else:
        np.testing.assert_array_equal(result, image)


def test_shapes_that_do_not_fit(file):
    assert message(file, GOOD, shape=(1, 5, 3)) == (
        f"{file} holds 'x' of shape (20, 1, 3, 5), and the network takes (n, 1, 5, 3)"
    )
    square = GOOD | {"x": np.zeros((20, 6, 6), np.uint8)}
    assert message(file, square, shape=(6, 6, 1)) == (
        f"{file} holds 'x' of shape (20, 6, 6), which could have its channels first or last; save "
        "it as (n, 6, 6, 1)"
    )
    assert message(file, GOOD | {"x": np.zeros((20, 6), np.uint8)}) == (
        f"{file} holds 'x' of shape (20, 6), and (n, channels, height, width) or (n, height, "
        "width) is read"
    )
    assert message(file, GOOD, size=(3, 5)) == (
        f"{file}: arrays are not resized; leave --image-size out"
    )


@pytest.mark.parametrize("dtype", [bool, np.int8, ">u2", np.int64, np.uint64])
def test_whole_numbers_of_any_width(file, dtype):
    images = np.minimum(IMAGES, 1).astype(dtype)
    data = load(file, GOOD | {"x": np.asfortranarray(images)}, input_max=1)
    assert data.input_max == 1
    assert data.train.images.dtype == np.uint8
    assert (data.train.images == np.minimum(data.train.images, 1)).all()


@pytest.mark.parametrize(
    ("number", "dtype", "form", "said"),
    [
        (-1, np.int8, {}, "-1 in 'x', and pixels are 0 to 255"),
        (256, np.int16, {}, "256 in 'x', and pixels are 0 to 255"),
        (16, np.uint8, {"input_max": 15}, "16 in 'x', and pixels are 0 to 15"),
    ],
)
def test_numbers_that_are_no_pixels(file, number, dtype, form, said):
    images = np.zeros_like(IMAGES, dtype)
    images[3, 0, 1, 2] = number
    assert message(file, GOOD | {"x": images}, **form) == (
        f"{file} holds {said}; shift or scale the numbers, or name their largest with --input-max, "
        "255 at most, in training"
    )


@pytest.mark.parametrize("bad", [np.nan, 0.5])
def test_floats_are_refused_with_the_way_to_pixels(file, bad):
    assert message(file, GOOD | {"x": np.full(IMAGES.shape, bad, np.float32)}) == (
        f"{file} holds float32 in 'x', and whole numbers of 0 to 255 are read; save "
        "np.clip(np.round((x - low) / (high - low) * 255), 0, 255).astype(np.uint8), with the low "
        "and high of the sensor and without NaN"
    )


@pytest.mark.parametrize("values", [[1j], ["a"], [np.datetime64(0, "s")]])
def test_other_types(file, values):
    found = message(file, GOOD | {"y": np.array(values * 20)})
    assert found.startswith(f"{file} holds ")
    assert found.endswith(" in 'y', and whole numbers are read")


class Trap:
    """An object whose pickle would make a folder."""

    def __reduce__(self):
        import os

        return os.mkdir, ("trapped",)


def test_objects_are_never_opened(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    traps = np.array([Trap()] * 20, dtype=object)
    said = (
        f"{file} holds Python objects in 'x', which are pickles and never opened; save an array of "
        "whole numbers"
    )
    assert message(file, GOOD | {"x": traps}) == said
    assert len(load(file, GOOD | {"more": traps}).train) == 12
    file.write_bytes(pickle.dumps(Trap()))
    assert message(file).startswith(f"{file} is no .npz file; this is a pickle, ")
    assert not (tmp_path / "trapped").exists()


def test_names_that_lack_or_repeat(file):
    assert message(file, {"a": LABELS}) == (f"{file} holds 1 arrays ('a'); it must hold {EXPECTED}")
    assert message(file, {"x": IMAGES}) == (
        f"{file} holds 'x' without its labels; it must hold {EXPECTED}"
    )
    assert message(file, {"x_test": IMAGES, "y_test": LABELS}).endswith(EXPECTED)
    assert message(file, GOOD | {"images": IMAGES}) == (
        f"{file} holds 'x' and 'images', which are two names of one array; keep one"
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS[:19], "holds 20 images in 'x' and 19 labels in 'y'; there must be one label an"),
        (LABELS - 1, "holds label -1 in 'y'; labels are 0 to n - 1 of n classes, at most 65536"),
        (LABELS + 65_536, "holds label 65539 in 'y'; labels are 0 to n - 1 of n classes, at most"),
        (LABELS + 1, "has labels up to 4 and none of 0 for training; labels are 0 to n - 1 of n"),
        (LABELS * 2, "has labels up to 6 and none of 1 for training; labels are 0 to n - 1 of n"),
        (LABELS * 0, "has one class; at least two are needed"),
        (np.eye(4, dtype=int)[LABELS], "holds 'y' of shape (20, 4), and a label for each image is"),
        (LABELS.astype(np.float32), "holds float32 in 'y', and whole numbers are read; save lab"),
        (np.minimum(np.arange(20), 1), "has 1 training images of class 0; at least 5 of each"),
        (LABELS[:0], "holds 'y' of shape (0,), and a label for each image is read"),
    ],
)
def test_labels(file, labels, said):
    assert message(file, GOOD | {"y": labels}).startswith(f"{file} {said}")


def test_labels_of_other_parts(file):
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 1}
    assert message(file, arrays) == (
        f"{file} holds label 4 in 'y_test', and the training images have classes 0 to 3"
    )


def header(shape, descr="'|u1'"):
    """Return the header of a .npy file that promises a shape."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def pack(file, **members):
    """Write a .npz file of raw members beside good labels."""
    labels = io.BytesIO()
    np.save(labels, LABELS)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ({"y": labels.getvalue()} | members).items():
            archive.writestr(f"{name}.npy", content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header("(1000000, 1000000, 1000000)"), "holds 'x' of shape (1000000, 1000000, 1000000), "),
        (header(f"({10**30},)"), "holds 'x' of the impossible shape ("),
        (header("(-4, -5)"), "holds 'x' of the impossible shape (-4, -5)"),
        (header("(0, 2147483648, 2147483648, 2147483648)"), "holds 'x' of the impossible shape"),
        (header(str((1,) * 100)) + bytes(1), "holds 'x' of the impossible shape (1, 1, "),
        (header("(True, 3)") + bytes(3), "holds 'x' of the impossible shape (True, 3)"),
        (header("[" * 100), "holds 'x', which is no array ("),
        (header("(20, 3, 5)") + bytes(299), "holds 'x' truncated"),
        (header("(20, 3, 5)") + bytes(500), "holds 'x' with bytes after its end"),
        (header("(" * 3000 + ")" * 3000), "holds 'x', which is no array ("),
        (header("(20,)", "'O'"), "holds Python objects in 'x', which are pickles and never opened"),
        (b"\x93NUMPY\x09\x00", "holds 'x' in version (9, 0) of .npy, which is not read"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535, "holds 'x', which is no array ("),
        (b"", "holds 'x', which is no array ("),
        (b"text", "holds 'x', which is no array ("),
    ],
)
def test_headers_are_checked_first(file, content, said):
    pack(file, x=content)
    assert message(file).startswith(f"{file} {said}"), message(file)


def test_a_zip_bomb_is_not_unpacked(file):
    pack(file, x=header(f"({3 << 30},)") + bytes(50 << 20))
    assert file.stat().st_size < 1 << 20
    tracemalloc.start()
    found = message(file)
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()
    assert found.startswith(f"{file} holds 'x' of the impossible shape ")


def test_arrays_that_are_too_large_together(file, monkeypatch):
    monkeypatch.setattr("sqhw.data.array_file.MAX_DATA_BYTES", 500)
    assert message(file, GOOD).startswith(f"{file} is too large: 'x' has 428 bytes, at most 500 of")
    monkeypatch.setattr("sqhw.data.array_file.MAX_ARRAYS", 1)
    assert message(file) == f"{file} holds 2 arrays, at most 1 are read"


def test_files_that_are_no_archives(file, tmp_path):
    assert message(file) == f"{file}: no such file"
    assert message(tmp_path) == f"{tmp_path}: this is a directory"
    np.save(tmp_path / "one.npy", IMAGES)
    assert message(tmp_path / "one.npy") == (
        f"{tmp_path}/one.npy is no .npz file; this is a NumPy array (.npy), not a network"
    )
    np.savez(file, **GOOD)
    content = file.read_bytes()
    for length in range(0, len(content), 23):
        file.write_bytes(content[:length])
        assert message(file).startswith(f"{file} is no .npz file")
    for place in range(0, len(content), 7):  # whatever is changed, there is no traceback
        changed = bytearray(content)
        changed[place] ^= 0x41
        file.write_bytes(changed)
        with contextlib.suppress(SqhwError):
            load(file)


def test_two_members_of_one_name(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x", b"")
        archive.writestr("x.npy", b"")
    assert message(file) == f"{file} holds two arrays of the name 'x'"


def test_the_range_is_that_of_the_network(file):
    network = load_network(GOLDEN / "network.safetensors")
    network = replace(network, input_format=ActivationFormat(7, signed=False))
    largest = 127
    images = np.zeros((20, *network.input_shape), np.uint8)
    images[0, 0, 0, 0] = largest
    np.savez(file, x=images, y=LABELS)
    assert load_data(f"npz:{file}", network).input_max == largest
    images[0, 0, 0, 0] += 1
    np.savez(file, x=images, y=LABELS)
    with pytest.raises(SqhwError, match=rf"and pixels are 0 to {largest}; "):
        load_data(f"npz:{file}", network)
