"""Windows of maps, for arithmetic on them."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)


def padded(x: npt.NDArray[T], padding: tuple[int, int, int, int], value: float) -> npt.NDArray[T]:
    """Return maps with rows and columns of one value around them."""
    if not any(padding):
        return x
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def windows(
    x: npt.NDArray[T], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> npt.NDArray[T]:
    """Return the windows of maps as a view, shape (n, channels, down, right, height, width)."""
    span = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    views = np.lib.stride_tricks.sliding_window_view(x, span, (2, 3))
    found: npt.NDArray[T] = views[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return found
