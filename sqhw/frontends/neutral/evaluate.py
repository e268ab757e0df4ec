"""The neutral graph on numbers: each operator in NumPy, quantized tensors rounded to their grid."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral.graph import Graph
from sqhw.frontends.neutral.operators import (
    Add,
    Affine,
    AveragePooling,
    Clip,
    Convolution,
    Flatten,
    Linear,
    MaxPooling,
    Operator,
    Pad,
    Padding,
    Quantize,
    Subsample,
    Unflatten,
)

Reals = npt.NDArray[Any]  # of float32 or float64


def evaluate(
    graph: Graph, images: npt.NDArray[Any], dtype: npt.DTypeLike = np.float64
) -> dict[str, Reals]:
    """Return the real numbers of every tensor for some images.

    Parameters
    ----------
    graph : Graph
    images : ndarray, shape (n, channels, height, width)
        Real numbers of the input; they are rounded to its grid if it has one.
    dtype : dtype
        Precision of the arithmetic. Grids are computed in double precision.

    Returns
    -------
    dict of str to ndarray, shape (n, channels, height, width)
        The values by the names of the tensors, the input included.
    """
    values: dict[str, Reals] = {}
    values[graph.input] = _on_grid(graph, graph.input, np.asarray(images, dtype=dtype), None)
    for operator in graph.operators:
        inputs = [values[name] for name in operator.inputs]
        made = _FUNCTIONS[type(operator)](operator, *inputs).astype(dtype, copy=False)
        values[operator.output] = _on_grid(graph, operator.output, made, operator.clamp)
    return values


def _on_grid(graph: Graph, name: str, x: Reals, clamp: tuple[int, int] | None) -> Reals:
    grid = graph.tensors[name].quantization
    if grid is None:
        return x
    if grid.axis is not None:  # the axis of the images comes first
        whole = np.moveaxis(grid.integers(np.moveaxis(x, 0, -1)), -1, 0)
        integers = whole if clamp is None else whole.clip(*clamp)
        reals = np.moveaxis(grid.reals(np.moveaxis(integers, 0, -1)), -1, 0)
        return reals.astype(x.dtype)
    integers = grid.integers(x)
    return grid.reals(integers if clamp is None else integers.clip(*clamp)).astype(x.dtype)


def _padded(x: Reals, padding: Padding, value: float = 0.0) -> Reals:
    if not any(padding):
        return x
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def _windows(
    x: Reals, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Reals:
    """Return the windows of padded maps, shape (n, channels, down, right, height, width)."""
    span = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(x, span, (2, 3))
    found: Reals = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return found


def _convolution(operator: Convolution, x: Reals) -> Reals:
    weight = operator.weight.reals.astype(x.dtype, copy=False)
    kernel = weight.shape[2], weight.shape[3]
    parts = []
    for inputs, filters in zip(
        np.split(_padded(x, operator.padding), operator.groups, axis=1),
        np.split(weight, operator.groups),
        strict=True,
    ):
        windows = _windows(inputs, kernel, operator.stride, operator.dilation)
        parts.append(np.tensordot(windows, filters, ((1, 4, 5), (1, 2, 3))))
    made = np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)
    if operator.bias is not None:
        made = made + operator.bias.reals.astype(x.dtype)[:, None, None]
    return made


def _linear(operator: Linear, x: Reals) -> Reals:
    made = x[:, :, 0, 0] @ operator.weight.reals.astype(x.dtype, copy=False).T
    if operator.bias is not None:
        made = made + operator.bias.reals.astype(x.dtype)
    found: Reals = made[:, :, None, None]
    return found


def _max_pooling(operator: MaxPooling, x: Reals) -> Reals:
    padded = _padded(x, operator.padding, -np.inf)
    windows = _windows(padded, operator.kernel, operator.stride, operator.dilation)
    found: Reals = windows.max((4, 5))
    return found


def _average_pooling(operator: AveragePooling, x: Reals) -> Reals:
    padding = operator.padding
    ones = _padded(np.ones((1, 1, *x.shape[2:]), x.dtype), operator.counted, 1.0)
    top, bottom, left, right = (a - b for a, b in zip(padding, operator.counted, strict=True))
    ones = _padded(ones, (top, bottom, left, right))
    sums, counts = (
        _windows(values, operator.kernel, operator.stride, (1, 1)).sum((4, 5))
        for values in (_padded(x, padding), ones)
    )
    found: Reals = sums / counts
    return found


def _pad(operator: Pad, x: Reals) -> Reals:
    top, bottom, left, right = operator.padding
    widths = ((0, 0), operator.channels, (top, bottom), (left, right))
    return np.pad(x, widths, constant_values=operator.value)


def _flatten(operator: Flatten, x: Reals) -> Reals:
    ordered = x.transpose(0, 2, 3, 1) if operator.channels_last else x
    return ordered.reshape(len(x), -1, 1, 1)


def _unflatten(operator: Unflatten, x: Reals) -> Reals:
    channels, height, width = operator.shape
    if operator.channels_last:
        return x.reshape(len(x), height, width, channels).transpose(0, 3, 1, 2)
    return x.reshape(len(x), channels, height, width)


def _affine(operator: Affine, x: Reals) -> Reals:
    scale, shift = (part.reals.astype(x.dtype) for part in operator.constants)
    found: Reals = x * scale + shift
    return found


#: Functions of an operator and its inputs, by the class of the operator.
_FUNCTIONS: dict[type[Operator], Callable[..., Reals]] = {
    Add: lambda operator, a, b: a + b,
    Affine: _affine,
    AveragePooling: _average_pooling,
    Clip: lambda operator, x: x.clip(operator.low, operator.high),
    Convolution: _convolution,
    Flatten: _flatten,
    Linear: _linear,
    MaxPooling: _max_pooling,
    Pad: _pad,
    Quantize: lambda operator, x: x,
    Subsample: lambda operator, x: x[:, :, :: operator.stride[0], :: operator.stride[1]],
    Unflatten: _unflatten,
}
