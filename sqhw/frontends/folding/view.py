"""How a value of the source shows a tensor of the network that is being made."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.network.graph import Padding, Shape

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """Factors and summands that wait for the layer that takes them over.

    Parameters
    ----------
    node : node of the source
        Where the source computes them.
    scale, shift : ndarray of float64, shape (channels, 1, 1) or that of the whole value
        The value is ``scale * tensor + shift``.
    """

    node: Any
    scale: Doubles
    shift: Doubles

    @property
    def by_channel(self) -> bool:
        """Whether it is the same for all pixels of a channel."""
        return self.scale.shape[1:] == (1, 1)


@dataclass(frozen=True, eq=False)
class View:
    """A tensor with what was done to it but is no layer: the layer that reads it takes it over.

    Parameters
    ----------
    tensor : str
        Name of the tensor.
    shape : tuple of int (channels, height, width)
        Shape of the value, padding and slicing done.
    flat : bool
        Whether the value has one dimension an image, in the order of `shape`.
    padding : tuple of int (top, bottom, left, right)
        Zeros around it, which a convolution can add.
    stride : int, 1 or 2
        2: every second row and column only, which a residual can do.
    first : int
        Zero channels before the tensor's, which a residual can have.
    widened : bool
        Whether there are zero channels before or after.
    affine : Affine, optional
        Done to the tensor before all the rest.
    """

    tensor: str
    shape: Shape
    flat: bool = False
    padding: Padding = (0, 0, 0, 0)
    stride: int = 1
    first: int = 0
    widened: bool = False
    affine: Affine | None = None

    @property
    def padded(self) -> bool:
        """Whether there are zeros around it."""
        return any(self.padding)

    @property
    def whole(self) -> bool:
        """Whether it has the rows, columns and channels of its tensor, padding aside."""
        return self.stride == 1 and not self.widened

    @property
    def plain(self) -> bool:
        """Whether it is the tensor itself."""
        return self.whole and not self.padded and self.affine is None

    @property
    def size(self) -> tuple[int, ...]:
        """What torch calls its size, without the number of images."""
        channels, height, width = self.shape
        return (channels * height * width,) if self.flat else self.shape

    def with_zeros(self, padding: Padding, channels: tuple[int, int] = (0, 0)) -> "View":
        """Return the view with zeros (top, bottom, left, right) and zero channels around it.

        Its factors and summands must be settled before.
        """
        before, after = channels
        top, bottom, left, right = padding
        high, low, west, east = self.padding
        return replace(
            self,
            shape=(
                self.shape[0] + before + after,
                self.shape[1] + top + bottom,
                self.shape[2] + left + right,
            ),
            padding=(high + top, low + bottom, west + left, east + right),
            first=self.first + before,
            widened=self.widened or before + after > 0,
        )

    def subsampled(self) -> "View":
        """Return every second row and column of a view without padding and stride."""
        channels, height, width = self.shape
        return replace(self, shape=(channels, (height + 1) // 2, (width + 1) // 2), stride=2)
