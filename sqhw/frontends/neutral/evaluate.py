"""The neutral graph on numbers: each operator in NumPy, quantized tensors rounded to their grid."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral.concatenation import Concatenation, Leaky
from sqhw.frontends.neutral.elementwise import Function, Lookup, Product, values_of
from sqhw.frontends.neutral.graph import Graph
from sqhw.frontends.neutral.kernels import Reals, convolved, maxima, padded, sums
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
    Quantize,
    Subsample,
    Unflatten,
)
from sqhw.network import activations
from sqhw.network.activations import function_values


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


def _convolution(operator: Convolution, x: Reals) -> Reals:
    bias = operator.bias
    return convolved(
        padded(x, operator.padding),
        operator.weight.of_type(x.dtype),
        None if bias is None else bias.of_type(x.dtype),
        operator.stride,
        operator.dilation,
    )


def _linear(operator: Linear, x: Reals) -> Reals:
    made = x[:, :, 0, 0] @ operator.weight.of_type(x.dtype).T
    if operator.bias is not None:
        made = made + operator.bias.of_type(x.dtype)
    found: Reals = made[:, :, None, None]
    return found


def _max_pooling(operator: MaxPooling, x: Reals) -> Reals:
    maps = padded(x, operator.padding, -np.inf)
    return maxima(maps, operator.kernel, operator.stride, operator.dilation)


def _average_pooling(operator: AveragePooling, x: Reals) -> Reals:
    padding = operator.padding
    ones = padded(np.ones((1, 1, *x.shape[2:]), x.dtype), operator.counted, 1.0)
    top, bottom, left, right = (a - b for a, b in zip(padding, operator.counted, strict=True))
    ones = padded(ones, (top, bottom, left, right))
    total, count = (
        sums(values, operator.kernel, operator.stride) for values in (padded(x, padding), ones)
    )
    found: Reals = total / count
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


#: Functions of single numbers: those that a layer has, and parts of them.
FUNCTIONS: dict[str, Callable[[Reals], Reals]] = {
    **{name: partial(function_values, name) for name in activations.FUNCTIONS},
    "cube": lambda x: x**3,
    "erf": activations.erf,
    "exp": np.exp,
}


def _affine(operator: Affine, x: Reals) -> Reals:
    scale, shift = (part.of_type(x.dtype) for part in operator.constants)
    found: Reals = x * scale + shift
    return found


#: Functions of an operator and its inputs, by the class of the operator.
_FUNCTIONS: dict[type[Operator], Callable[..., Reals]] = {
    Add: lambda operator, a, b: a + b,
    Affine: _affine,
    AveragePooling: _average_pooling,
    Clip: lambda operator, x: x.clip(operator.low, operator.high),
    Concatenation: lambda operator, *parts: np.concatenate(parts, axis=1),
    Convolution: _convolution,
    Flatten: _flatten,
    Leaky: lambda operator, x: np.where(x < 0, operator.slope.of_type(x.dtype) * x, x),
    Function: lambda operator, x: FUNCTIONS[operator.function](x.astype(np.float64)),
    Linear: _linear,
    Lookup: lambda operator, x: values_of(operator, evaluate, x),
    MaxPooling: _max_pooling,
    Pad: _pad,
    Product: lambda operator, a, b: a * b,
    Quantize: lambda operator, x: x,
    Subsample: lambda operator, x: x[:, :, :: operator.stride[0], :: operator.stride[1]],
    Unflatten: _unflatten,
}
