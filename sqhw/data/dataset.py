"""What a data set is, and how one is named."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, unknown_name

SPECS = ("digits", "mnist:DIR", "cifar10:DIR")


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, channels, height, width)
        Raw pixels.
    labels : ndarray of int64, shape (n,)
        Class of each image, from 0.

    Raises
    ------
    ValueError
        If type or shape of an array is another.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                "images must be uint8 of shape (n, channels, height, width), "
                f"not {self.images.dtype} of shape {self.images.shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 of shape {self.images.shape[:1]}, "
                f"not {self.labels.dtype} of shape {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: npt.NDArray[np.int64]) -> Self:
        """Return the images and labels at `index`."""
        return type(self)(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three parts: the test part is for the final measurement only.

    Parameters
    ----------
    name : str
        For reports.
    train, validation, test : Split
        Disjoint; images of one shape.
    input_max : int, 1 to 255
        Largest pixel value that the data set can hold.
    classes : int
        Number of classes.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    input_max: int
    classes: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width


def load_dataset(spec: str) -> Dataset:
    """Load a data set by its name.

    Parameters
    ----------
    spec : str
        ``digits`` (8x8 handwritten digits that come with scikit-learn), ``mnist:DIR`` (the four
        MNIST files in directory DIR, compressed or not) or ``cifar10:DIR`` (the six binary files
        of CIFAR-10 in directory DIR).

    Returns
    -------
    Dataset
        Always the same split for the same data.

    Raises
    ------
    SqhwError
        If the name is unknown, or a file is missing or broken; the message names the file.
    """
    # A data set is imported when it is asked for: scikit-learn takes a second.
    kind, directory = _parts(spec)
    if kind == "digits":
        from sqhw.data.digits import load_digits

        return load_digits()
    if kind == "mnist":
        from sqhw.data.idx import load_mnist

        return load_mnist(directory)
    from sqhw.data.cifar import load_cifar10

    return load_cifar10(directory)


def dataset_files(spec: str) -> list[Path]:
    """Return the files that `load_dataset` reads, without a look at what is in them.

    Raises
    ------
    SqhwError
        If the name is unknown, or a file is missing; the message names the file.
    """
    kind, directory = _parts(spec)
    if kind == "digits":
        return []
    if kind == "mnist":
        from sqhw.data.idx import mnist_files

        return mnist_files(directory)
    from sqhw.data.cifar import cifar10_files

    return cifar10_files(directory)


def _parts(spec: str) -> tuple[str, str]:
    """Return the kind of a data set and its directory, empty of ``digits``."""
    kind, colon, directory = spec.partition(":")
    if spec == "digits":
        return kind, ""
    if not colon or kind not in ("mnist", "cifar10"):
        raise unknown_name("data set", spec, SPECS)
    if not directory:
        raise SqhwError(
            f"data set '{kind}:' lacks the directory of its files; "
            f"write for example {kind}:/data/{kind}"
        )
    return kind, directory
