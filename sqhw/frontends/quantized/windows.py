"""Weights and geometry of the operators of a file as layers of the engine have them."""

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import (
    AveragePooling,
    Constant,
    Convolution,
    Linear,
    MaxPooling,
    Refused,
)
from sqhw.frontends.quantized.sums import Window
from sqhw.frontends.quantized.views import View
from sqhw.network.graph import Padding

Integers = npt.NDArray[np.int64]


def convolution(operator: Convolution, x: View) -> Window:
    """Return the window of a convolution; a dilated kernel gets zeros in between."""
    _require_map(x)
    weight = integers(operator.weight)
    down, right = operator.dilation
    if (down, right) != (1, 1):
        outputs, inputs, height, width = weight.shape
        spread = np.zeros(
            (outputs, inputs, (height - 1) * down + 1, (width - 1) * right + 1), np.int64
        )
        spread[:, :, ::down, ::right] = weight
        weight = spread
    top, bottom, left, right = (a + b for a, b in zip(operator.padding, x.padding, strict=True))
    padding = (top, bottom, left, right)
    kernel = weight.shape[2], weight.shape[3]
    return Window(
        weight,
        _units(operator.weight, x),
        _step(operator.stride, x, kernel, padding),
        padding,
        operator.groups,
    )


def linear(operator: Linear, x: View) -> Window:
    """Return the window of a fully connected layer: a kernel as large as the map."""
    if any(x.padding):
        raise Refused("reads a padded map", "leave the padding out")
    weight = integers(operator.weight)
    channels, height, width = x.shape
    if x.channels_last:
        spread = weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    else:
        spread = weight.reshape(-1, channels, height, width)
    return Window(np.ascontiguousarray(spread), _units(operator.weight, x), kind="linear")


def average(operator: AveragePooling, x: View) -> Window:
    """Return the window of an average: weights of 1."""
    _require_map(x)
    if any(operator.padding) or any(x.padding):
        raise Refused("is a padded average", "pool without padding")
    channels = x.shape[0]
    weight = np.ones((channels, 1, *operator.kernel), np.int64)
    unit = np.full(channels, x.held.unit / (operator.kernel[0] * operator.kernel[1]))
    step = _step(operator.stride, x, operator.kernel, (0, 0, 0, 0))
    return Window(weight, unit, step, groups=channels, kind="avgpool")


def single(x: View) -> Window:
    """Return the window of an operator on single integers: a 1x1 kernel for each channel."""
    weight = np.eye(x.shape[0], dtype=np.int64)[:, :, None, None]
    return Window(weight, np.full(x.shape[0], x.held.unit), padding=x.padding)


def maximum(operator: MaxPooling, x: View) -> tuple[int, int]:
    """Return kernel and stride of a maximum."""
    _require_map(x)
    high, wide = operator.kernel
    if high != wide:
        raise Refused(f"has a window of {high}x{wide}", "use a square one")
    if any(operator.padding) or any(x.padding):
        raise Refused("is a padded maximum", "pad the convolution before it instead")
    if operator.dilation != (1, 1) and high > 1:
        raise Refused(f"has dilation {operator.dilation}", "use a window without dilation")
    return high, _step(operator.stride, x, operator.kernel, (0, 0, 0, 0))


def integers(constant: Constant) -> Integers:
    """Return the integers of weights, less their zero point.

    Raises
    ------
    Refused
        If they are real numbers.
    """
    grid = constant.quantization
    if grid is None:
        raise Refused("has weights of real numbers", "quantize them too")
    zero_point = grid.zero_point
    if grid.axis is not None:
        if grid.axis != 0:
            raise Refused(f"has scales of weights along axis {grid.axis}", "use output channels")
        zero_point = zero_point.reshape(-1, *[1] * (constant.values.ndim - 1))
    found: Integers = constant.values.astype(np.int64) - zero_point
    return found


def _units(constant: Constant, x: View) -> npt.NDArray[np.float64]:
    grid = constant.quantization
    assert grid is not None
    units = np.broadcast_to(grid.scale, len(constant.values)).astype(np.float64)
    return np.where(units > 0, units, 1.0)


def _require_map(x: View) -> None:
    if x.channels_last is not None and x.shape[1:] != (1, 1):
        raise Refused("reads a map that was flattened", "flatten in front of linear layers only")


def _step(stride: tuple[int, int], x: View, kernel: tuple[int, int], padding: Padding) -> int:
    """Return the stride in both directions; where a window has one position it is any."""
    spans = (
        x.shape[1] + padding[0] + padding[1] - kernel[0],
        x.shape[2] + padding[2] + padding[3] - kernel[1],
    )
    for step in (1, 2):
        if all(
            own == step or span < min(own, step) for own, span in zip(stride, spans, strict=True)
        ):
            return step
    raise Refused(f"has stride {stride}", "use stride 1 or 2, the same in height and width")
