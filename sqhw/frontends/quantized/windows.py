"""Weights and geometry of the operators of a file as layers of the engine have them."""

import numpy as np
import numpy.typing as npt

from sqhw.frontends.folding.convolution import spread
from sqhw.frontends.folding.pooling import Pooling, added, engine_stride, spans, trimmed
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
from sqhw.network.graph import Padding, Stride

Integers = npt.NDArray[np.int64]


def convolution(operator: Convolution, x: View) -> Window:
    """Return the window of a convolution; a dilated kernel gets zeros in between."""
    _require_map(x)
    weight = spread(integers(operator.weight), operator.dilation)
    padding = added(operator.padding, x.padding)
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
        ordered = weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    else:
        ordered = weight.reshape(-1, channels, height, width)
    return Window(np.ascontiguousarray(ordered), _units(operator.weight, x), kind="linear")


def average(operator: AveragePooling, x: View) -> Window:
    """Return the window of an average: weights of 1."""
    _require_map(x)
    pooling = Pooling(operator.kernel, operator.stride, operator.padding, operator.counted)
    if not pooling.one_divisor(x.shape):
        raise Refused(
            "is an average whose padding or ceil mode makes windows of different sizes",
            "count the padding (count_include_pad) without ceil mode, or choose sizes that fit",
        )
    padding = added(trimmed(x.shape, pooling.kernel, pooling.stride, pooling.padding), x.padding)
    channels = x.shape[0]
    weight = np.ones((channels, 1, *operator.kernel), np.int64)
    unit = np.full(channels, x.held.unit / (operator.kernel[0] * operator.kernel[1]))
    step = _step(operator.stride, x, operator.kernel, padding)
    return Window(weight, unit, step, padding, channels, "avgpool")


def single(x: View) -> Window:
    """Return the window of an operator on single integers: a 1x1 kernel for each channel."""
    weight = np.eye(x.shape[0], dtype=np.int64)[:, :, None, None]
    return Window(weight, np.full(x.shape[0], x.held.unit), padding=x.padding)


def maximum(operator: MaxPooling, x: View) -> tuple[Stride, Padding]:
    """Return stride and padding of a maximum."""
    _require_map(x)
    if any(x.padding):
        raise Refused("is a maximum of a padded map", "let the maximum itself have the padding")
    if any(gap != 1 != size for gap, size in zip(operator.dilation, operator.kernel, strict=True)):
        raise Refused(f"has dilation {operator.dilation}", "use a window without dilation")
    padding = trimmed(x.shape, operator.kernel, operator.stride, operator.padding)
    return _step(operator.stride, x, operator.kernel, padding), padding


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


def _step(stride: tuple[int, int], x: View, kernel: tuple[int, int], padding: Padding) -> Stride:
    """Return the stride of a layer."""
    found = engine_stride(stride, spans(x.shape, kernel, padding))
    if found is None or (isinstance(found, tuple) and any(padding[:2])):
        raise Refused(
            f"has stride {stride}",
            "use 1 or 2 to the right, and down the same, or a multiple of it without padding",
        )
    return found
