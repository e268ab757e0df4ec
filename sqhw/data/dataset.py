"""What a data set is."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError


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
    class_names : tuple of str
        Name of each class; empty if the classes are numbers only.

    Raises
    ------
    SqhwError
        If a label is not one of the classes.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    input_max: int
    classes: int
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part, split in (
            ("training", self.train), ("validation", self.validation), ("test", self.test)
        ):  # fmt: skip
            outside = split.labels[(split.labels < 0) | (split.labels >= self.classes)]
            if len(outside):
                raise SqhwError(
                    f"data set {self.name!r} has label {outside[0]} among its {part} images; "
                    f"{self.classes} classes have labels 0 to {self.classes - 1}"
                )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width
