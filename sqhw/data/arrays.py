"""A user's own arrays of images and labels in a ``.npz`` file."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.data.array_file import ArrayFile
from sqhw.data.dataset import Dataset, Split
from sqhw.data.folder import data_file
from sqhw.data.form import ImageForm, Shape
from sqhw.data.parts import divided
from sqhw.errors import SqhwError, printable, shown
from sqhw.files.plain import located

#: Names of a part in the names of arrays; they are compared without regard to case.
PARTS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
#: Names of the images and of the labels; the array of a part is ``x_train`` or ``train_x``.
IMAGES, LABELS = ("x", "images"), ("y", "labels")
EXPECTED = (
    "x and y (or images and labels), or x_train, y_train, x_test and y_test (or train_images, "
    "train_labels and so on), with val as a third part"
)
#: Ways from floats to pixels and to labels.
PIXELS_OF_FLOATS = (
    "of 0 to 255 are read; save np.clip(np.round((x - low) / (high - low) * 255), 0, 255)"
    ".astype(np.uint8), with the low and high of the sensor and without NaN"
)
LABELS_OF_FLOATS = "are read; save labels.astype(np.int64), without NaN and fractions"
#: Most classes: labels are numbers of outputs of a network.
MAX_CLASSES = 1 << 16


def load_arrays(file: str | os.PathLike[str], form: ImageForm) -> Dataset:
    """Load images and labels from a ``.npz`` file.

    Parameters
    ----------
    file : path
        Arrays by the names of `EXPECTED`; others are not read.
    form : ImageForm
        Its size must be None: arrays are not resized.

    Returns
    -------
    Dataset
        See `divided` for parts that are missing.

    Raises
    ------
    SqhwError
        If the file is missing or damaged, or an array is not as it must be; both are named.
    """
    path = data_file(file)
    if form.size is not None:
        raise SqhwError(f"{path}: arrays are not resized; leave --image-size out")
    with located(path, " "), ArrayFile.opened(path) as arrays:
        named = _named(arrays.names)
        parts, classes = {}, 0
        for part, (images, labels) in named.items():
            numbers = _labels(arrays.read(labels, LABELS_OF_FLOATS), labels)
            classes = classes or int(numbers.max()) + 1
            if numbers.max() >= classes:
                raise SqhwError(
                    f"holds label {numbers.max()} in {shown(labels)}, and the training images have "
                    f"classes 0 to {classes - 1}"
                )
            array = arrays.read(images, PIXELS_OF_FLOATS)
            if array.size and array.ndim > 1 and len(array) != len(numbers):
                raise SqhwError(
                    f"holds {len(array)} images in {shown(images)} and {len(numbers)} labels in "
                    f"{shown(labels)}; there must be one label an image"
                )
            parts[part] = Split(_pixels(array, images, form), numbers)
    _check_classes(path, parts["train"].labels, classes)
    return divided(
        str(path),
        parts,
        name=printable(f"npz {path.stem}"),
        input_max=form.largest,
        class_names=(),
        classes=classes,
    )


def oriented(images: npt.NDArray[Any], name: str, wanted: Shape | None) -> npt.NDArray[Any]:
    """Return images with the channel first.

    Sides of 1 may be left out or stand elsewhere, and the channel may be the last side, where that
    leaves one meaning only. An array of exactly the wanted shape is taken as it is.

    Parameters
    ----------
    images : ndarray, shape (n, ...)
    name : str
        Name of the array, for errors.
    wanted : tuple of int (channels, height, width), optional
        Without it images have a channel first, or height and width only.

    Returns
    -------
    ndarray, shape (n, channels, height, width)

    Raises
    ------
    SqhwError
        If they have another shape or could be meant both ways.
    """
    found = images.shape[1:]
    if wanted is None:
        if len(found) not in (2, 3):
            raise SqhwError(
                f"holds {shown(name)} of shape {shown(images.shape)}, and (n, channels, height, "
                "width) or (n, height, width) is read"
            )
        return images if len(found) == 3 else images[:, np.newaxis]
    channels, height, width = wanted
    if found == wanted:
        return images
    first = _sides(found) == _sides(wanted)
    last = _sides(found) == _sides((height, width, channels))
    if first and last and channels > 1 and height * width > 1:
        raise SqhwError(
            f"holds {shown(name)} of shape {shown(images.shape)}, which could have its channels "
            f"first or last; save it as (n, {channels}, {height}, {width})"
        )
    if first:
        return images.reshape(-1, *wanted)
    if last:
        return images.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    raise SqhwError(
        f"holds {shown(name)} of shape {shown(images.shape)}, and the network takes (n, {channels},"
        f" {height}, {width})"
    )


def _named(names: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Return the names of the images and labels of each part, ``train`` first."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.casefold(), []).append(name)

    def search(bases: tuple[str, ...], part: str) -> str | None:
        forms = [f"{a}_{b}" for one in PARTS[part] for base in bases
                 for a, b in ((base, one), (one, base))]  # fmt: skip
        if part == "train":
            forms += bases
        found = [name for form in forms for name in folded.get(form, ())]
        if len(found) > 1:
            raise SqhwError(
                f"holds {shown(found[0])} and {shown(found[1])}, which are two names of one array; "
                "keep one"
            )
        return found[0] if found else None

    pairs = {part: (search(IMAGES, part), search(LABELS, part)) for part in PARTS}
    complete = {}
    for part, (images, labels) in pairs.items():
        if images and labels:
            complete[part] = (images, labels)
        elif images or labels:
            lacking = "labels" if images else "images"
            raise SqhwError(
                f"holds {shown(images or labels)} without its {lacking}; it must hold {EXPECTED}"
            )
    if "train" not in complete:
        some = f" ({', '.join(map(shown, names[:4]))})" if names else ""
        raise SqhwError(f"holds {len(names)} arrays{some}; it must hold {EXPECTED}")
    return complete


def _labels(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.int64]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not len(array):
        raise SqhwError(
            f"holds {shown(name)} of shape {shown(array.shape)}, and a label for each image is "
            "read, shape (n,); for labels of one bit a class save labels.argmax(1)"
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= MAX_CLASSES:
        raise SqhwError(
            f"holds label {low if low < 0 else high} in {shown(name)}; labels are 0 to n - 1 of n "
            f"classes, at most {MAX_CLASSES}"
        )
    return array.astype(np.int64)


def _pixels(array: npt.NDArray[Any], name: str, form: ImageForm) -> npt.NDArray[np.uint8]:
    if array.ndim < 2 or not array.size:
        raise SqhwError(f"holds no images in {shown(name)}, whose shape is {shown(array.shape)}")
    array = oriented(array, name, form.shape)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > form.largest:
        raise SqhwError(
            f"holds {low if low < 0 else high} in {shown(name)}, and pixels are 0 to "
            f"{form.largest}; shift or scale the numbers, or name their largest with --input-max, "
            "255 at most, in training"
        )
    return np.ascontiguousarray(array, np.uint8)


def _check_classes(path: Path, labels: npt.NDArray[np.int64], classes: int) -> None:
    if classes < 2:
        raise SqhwError(f"{path} has one class; at least two are needed")
    unused = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(unused):
        raise SqhwError(
            f"{path} has labels up to {classes - 1} and none of {unused[0]} for training; labels "
            "are 0 to n - 1 of n classes, number the classes anew"
        )


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sides of a shape that are not 1."""
    return tuple(side for side in shape if side != 1)
