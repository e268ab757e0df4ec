"""Windows of poolings, and padding."""

from dataclasses import dataclass

import numpy as np

from sqhw.network.graph import Padding, Shape, Stride

Pair = tuple[int, int]
NO_PADDING: Padding = (0, 0, 0, 0)


@dataclass(frozen=True)
class Pooling:
    """Windows of a maximum or an average.

    Parameters
    ----------
    kernel, stride : tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
        Positions around the map, those of windows beyond the border (ceil mode) included.
    counted : tuple of int (top, bottom, left, right)
        Part of the padding that counts in the divisor of an average.
    """

    kernel: Pair
    stride: Pair
    padding: Padding = NO_PADDING
    counted: Padding = NO_PADDING

    def one_divisor(self, shape: Shape) -> bool:
        """Return whether all positions count in all windows on a map of this shape."""
        for size, own, step, before, after, first, last in zip(
            shape[1:],
            self.kernel,
            self.stride,
            self.padding[::2],
            self.padding[1::2],
            self.counted[::2],
            self.counted[1::2],
            strict=True,
        ):
            begins = np.arange((size + before + after - own) // step + 1) * step - before
            if begins.size and (begins[0] < -first or begins[-1] + own > size + last):
                return False
        return True


def added(one: Padding, other: Padding) -> Padding:
    """Return the sum of two paddings (top, bottom, left, right)."""
    top, bottom, left, right = (a + b for a, b in zip(one, other, strict=True))
    return top, bottom, left, right


def spans(shape: Shape, kernel: Pair, padding: Padding) -> Pair:
    """Return the positions from the first to the last possible window, down and right."""
    top, bottom, left, right = padding
    return shape[1] + top + bottom - kernel[0], shape[2] + left + right - kernel[1]


def engine_stride(stride: Pair, room: Pair) -> Stride | None:
    """Return the stride of a layer, or None if the engine has none that gives the same windows.

    Parameters
    ----------
    stride : tuple of int (down, right)
        Stride of the source.
    room : tuple of int (down, right)
        Positions from the first to the last possible window, see `spans`. Where there is one
        window, its stride is any that is larger.
    """
    for step in (1, 2):
        if all(
            step == own or span < min(step, own) for own, span in zip(stride, room, strict=True)
        ):
            return step
    down, right = stride
    if room[1] < right:  # one window
        right = 1 if room[1] == 0 else 2
        if room[1] >= right:
            return None
    return (down, right) if right in (1, 2) and down % right == 0 else None


def trimmed(shape: Shape, kernel: Pair, stride: Pair, padding: Padding) -> Padding:
    """Return the padding without what lies beyond the last window.

    Parameters
    ----------
    shape : tuple of int (channels, height, width)
    kernel, stride : tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
    """
    sides = []
    for size, own, step, before, after in zip(
        shape[1:], kernel, stride, padding[::2], padding[1::2], strict=True
    ):
        last = max(0, (size + before + after - own) // step) * step
        sides += [before, min(after, max(0, last + own - before - size))]
    top, bottom, left, right = sides
    return top, bottom, left, right
