"""Convolutions and poolings of real numbers in NumPy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral.operators import Padding, Pair

Reals = npt.NDArray[Any]  # of float32 or float64


def padded(x: Reals, padding: Padding, value: float = 0.0) -> Reals:
    """Return maps with a value around them.

    Parameters
    ----------
    x : ndarray, shape (n, channels, height, width)
    padding : tuple of int (top, bottom, left, right)
    value : float
    """
    if not any(padding):
        return x
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def taps(
    x: Reals, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, Reals]]:
    """Yield row and column in the window, and what all windows have there.

    Parameters
    ----------
    x : ndarray, shape (n, channels, height, width)
        Padded maps.
    kernel, stride, dilation : tuple of int (down, right)

    Yields
    ------
    tuple of int, int and ndarray, shape (n, channels, windows down, windows right)
    """
    down, right = (
        (size - (own - 1) * gap - 1) // step + 1
        for size, own, step, gap in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    )
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dilation[0], column * dilation[1]
            yield (
                row,
                column,
                x[
                    :,
                    :,
                    top : top + (down - 1) * stride[0] + 1 : stride[0],
                    left : left + (right - 1) * stride[1] + 1 : stride[1],
                ],
            )


def convolved(
    x: Reals, weight: Reals, bias: Reals | None, stride: Pair, dilation: Pair = (1, 1)
) -> Reals:
    """Return the convolution of padded maps.

    Parameters
    ----------
    x : ndarray, shape (n, channels, height, width)
    weight : ndarray, shape (outputs, channels / groups, height, width)
    bias : ndarray, shape (outputs,), optional
    stride, dilation : tuple of int (down, right)

    Returns
    -------
    ndarray, shape (n, outputs, windows down, windows right)
    """
    n, outputs, inputs = len(x), weight.shape[0], weight.shape[1]
    groups = x.shape[1] // inputs
    filters = weight.reshape(groups, outputs // groups, inputs, *weight.shape[2:])
    made: Reals | None = None
    size: tuple[int, ...] = ()
    for row, column, values in taps(x, (weight.shape[2], weight.shape[3]), stride, dilation):
        size = values.shape[2:]
        part = filters[..., row, column] @ values.reshape(n, groups, inputs, -1)
        made = part if made is None else made + part
    assert made is not None
    made = made.reshape(n, outputs, *size)
    return made if bias is None else made + bias[:, None, None]


def maxima(x: Reals, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Reals:
    """Return the maxima over the windows of padded maps."""
    made: Reals | None = None
    for _, _, values in taps(x, kernel, stride, dilation):
        made = values if made is None else np.maximum(made, values)
    assert made is not None
    return made


def sums(x: Reals, kernel: Pair, stride: Pair) -> Reals:
    """Return the sums over the windows of padded maps."""
    made: Reals | None = None
    for _, _, values in taps(x, kernel, stride):
        made = values if made is None else made + values
    assert made is not None
    return made
