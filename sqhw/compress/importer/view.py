"""How a traced value shows a tensor of the network that is being made."""

from dataclasses import dataclass

from sqhw.network import Padding, Shape


@dataclass(frozen=True)
class View:
    """A tensor with what was done to it but is no layer: the layer that reads it takes it over.

    Parameters
    ----------
    tensor : str
        Name of the tensor.
    shape : tuple of int (channels, height, width)
        Of the value, padding and slicing done.
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
    """

    tensor: str
    shape: Shape
    flat: bool = False
    padding: Padding = (0, 0, 0, 0)
    stride: int = 1
    first: int = 0
    widened: bool = False

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
        return self.whole and not self.padded

    @property
    def size(self) -> tuple[int, ...]:
        """What torch calls its size, -1 for the number of images."""
        channels, height, width = self.shape
        return (-1, channels * height * width) if self.flat else (-1, *self.shape)
