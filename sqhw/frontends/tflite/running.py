"""Images through a graph of integers by TensorFlow Lite's reference kernels, in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.frontends.neutral import (
    Add,
    AveragePooling,
    Clip,
    Concatenation,
    Convolution,
    Flatten,
    Graph,
    Linear,
    MaxPooling,
    Operator,
    Pad,
    Quantize,
    Unflatten,
)
from sqhw.frontends.tflite.arithmetic import ReferenceKernels, grids
from sqhw.frontends.tflite.windows import padded, windows

Numbers = npt.NDArray[Any]
_KERNELS = ReferenceKernels()


def run_integers(graph: Graph, images: Numbers) -> dict[str, npt.NDArray[np.int16]]:
    """Return the integers of every tensor for some images.

    Parameters
    ----------
    graph : Graph
        Graph of a file whose activations are all integers, but for an input that a Quantize reads.
    images : ndarray, shape (n, channels, height, width)
        Integers of the input within its grid, or its real numbers.

    Returns
    -------
    dict of str to ndarray of int16, shape (n, channels, height, width)
        The integers by the names of the tensors, the input included.

    Raises
    ------
    SqhwError
        If an operator has no integer kernel here; the message names it.
    """
    values: dict[str, Numbers] = {graph.input: np.asarray(images)}
    for operator in graph.operators:
        function = _FUNCTIONS.get(type(operator))
        grid = graph.tensors[operator.output].quantization
        if function is None or grid is None:
            raise SqhwError(f"layer {operator.name!r}: no integer arithmetic of it is known")
        made = function(graph, operator, *(values[name] for name in operator.inputs))
        low, high = operator.clamp or (grid.lo, grid.hi)
        values[operator.output] = np.clip(made, low, high).astype(np.int16)
    return values


def _of_sums(graph: Graph, operator: Operator, sums: Numbers) -> Numbers:
    """Return the integers of sums of shape (channels, n, height, width), images first."""
    channels = len(sums)
    made = _KERNELS.of_sums(graph, (operator,), sums.reshape(channels, -1))
    return made.reshape(sums.shape).swapaxes(0, 1)


def _centred(graph: Graph, operator: Operator, x: Numbers) -> npt.NDArray[np.float64]:
    zero_point = int(grids(graph, operator)[0].zero_point)
    return x.astype(np.float64) - zero_point  # whole numbers; products of matrices are fast so


def _convolution(graph: Graph, operator: Convolution, x: Numbers) -> Numbers:
    weight = operator.weight.values.astype(np.float64)
    groups, inputs = operator.groups, weight.shape[1]
    kernel = (weight.shape[2], weight.shape[3])
    whole = padded(_centred(graph, operator, x), operator.padding, 0.0)
    views = windows(whole, kernel, operator.stride, operator.dilation)
    n, _, height, width = views.shape[:4]
    if inputs == 1 and groups == len(weight):  # depthwise
        sums = np.einsum("nchwij,cij->cnhw", views, weight[:, 0], optimize=True)
        return _of_sums(graph, operator, sums)
    filters = weight.reshape(groups, -1, inputs * kernel[0] * kernel[1])
    parts = []
    for group in range(groups):
        own = views[:, group * inputs : (group + 1) * inputs]
        columns = own.transpose(1, 4, 5, 0, 2, 3).reshape(filters.shape[2], -1)
        parts.append(filters[group] @ columns)
    return _of_sums(graph, operator, np.concatenate(parts).reshape(-1, n, height, width))


def _linear(graph: Graph, operator: Linear, x: Numbers) -> Numbers:
    columns = _centred(graph, operator, x)[:, :, 0, 0].T
    sums = operator.weight.values.astype(np.float64) @ columns
    return _of_sums(graph, operator, sums[:, :, None, None])


def _average(graph: Graph, operator: AveragePooling, x: Numbers) -> Numbers:
    if any(operator.padding):
        raise SqhwError(f"layer {operator.name!r}: averages of padded windows are not known")
    sums = windows(_centred(graph, operator, x), operator.kernel, operator.stride, (1, 1))
    return _of_sums(graph, operator, sums.sum((4, 5)).swapaxes(0, 1))


def _single(graph: Graph, operator: Operator, x: Numbers) -> Numbers:
    """Return integers on another grid; real numbers are rounded to their first one."""
    grid = graph.tensors[operator.output].quantization
    assert grid is not None
    if graph.tensors[operator.inputs[0]].quantization is None:
        return grid.integers(x.astype(np.float32).astype(np.float64))
    return _of_sums(graph, operator, _centred(graph, operator, x).swapaxes(0, 1))


def _add(graph: Graph, operator: Add, a: Numbers, b: Numbers) -> Numbers:
    return _KERNELS.of_pair(graph, (operator,), a, b)


def _concatenate(graph: Graph, operator: Concatenation, *parts: Numbers) -> Numbers:
    *sources, target = grids(graph, operator)
    if any((one.scale, one.zero_point) != (target.scale, target.zero_point) for one in sources):
        raise SqhwError(f"layer {operator.name!r}: joins integers of different scales")
    return np.concatenate(parts, axis=1)


def _max_pool(graph: Graph, operator: MaxPooling, x: Numbers) -> Numbers:
    lowest = grids(graph, operator)[0].lo
    bordered = padded(x, operator.padding, lowest)
    largest: Numbers = windows(bordered, operator.kernel, operator.stride, operator.dilation).max(
        (4, 5)
    )
    return largest


def _pad(graph: Graph, operator: Pad, x: Numbers) -> Numbers:
    if operator.value:
        raise SqhwError(f"layer {operator.name!r}: pads with {operator.value}, not with 0")
    top, bottom, left, right = operator.padding
    widths = ((0, 0), operator.channels, (top, bottom), (left, right))
    return np.pad(x, widths, constant_values=int(grids(graph, operator)[0].zero_point))


def _flatten(graph: Graph, operator: Flatten, x: Numbers) -> Numbers:
    ordered = x.transpose(0, 2, 3, 1) if operator.channels_last else x
    return ordered.reshape(len(x), -1, 1, 1)


def _unflatten(graph: Graph, operator: Unflatten, x: Numbers) -> Numbers:
    channels, height, width = operator.shape
    if operator.channels_last:
        return x.reshape(len(x), height, width, channels).transpose(0, 3, 1, 2)
    return x.reshape(len(x), channels, height, width)


#: Functions of a graph, an operator and its inputs, by the class of the operator.
_FUNCTIONS: dict[type[Operator], Callable[..., Numbers]] = {
    Add: _add,
    AveragePooling: _average,
    Clip: _single,
    Concatenation: _concatenate,
    Convolution: _convolution,
    Flatten: _flatten,
    Linear: _linear,
    MaxPooling: _max_pool,
    Pad: _pad,
    Quantize: _single,
    Unflatten: _unflatten,
}
