"""Handlers of what moves values and computes nothing: shapes, transposes, padding, slices."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from sqhw.frontends.neutral.operators import Flatten, Pad, Subsample, Unflatten
from sqhw.frontends.neutral.quantization import Quantization
from sqhw.frontends.onnx_file import folding
from sqhw.frontends.onnx_file.arrays import MAX_RANK
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.reader import Reader, has_channels_last
from sqhw.frontends.onnx_file.values import Known, Value, scalar

#: Types of real numbers by name.
FLOATS = ("float16", "bfloat16", "float32", "float64")


def same(read: Reader, node: Node) -> Value:
    """Read what does nothing: Identity."""
    return read.input_value(node, 0)


def dropout(read: Reader, node: Node) -> Value:
    """Read a Dropout, which does nothing outside of a training."""
    training = read.optional(node, 2, "training mode")
    if node.uses(1) or (training is not None and training.array.any()):
        raise Unsupported("is in training mode", "export the model in eval mode (model.eval())")
    return read.input_value(node, 0)


def cast(read: Reader, node: Node) -> Value:
    """Read a Cast to floating point."""
    import onnx

    value = read.input_value(node, 0)
    kind = onnx.helper.tensor_dtype_to_np_dtype(node.integer("to", 1))
    if value.end is not None:
        return value
    if np.dtype(kind).name not in FLOATS:
        raise Unsupported(f"converts computed values to {np.dtype(kind)}", "use QuantizeLinear")
    if value.integer and read.grid(value) is not None:
        raise Unsupported("makes real numbers of integers", "use DequantizeLinear")
    return replace(value, integer=False)


def shape(read: Reader, node: Node) -> Known:
    """Read a Shape."""
    sizes = read.shape(read.input_value(node, 0))
    start, end = node.integer("start", 0), node.integer("end", len(sizes))
    return Known(np.array(sizes[start:end], np.int64))


def size(read: Reader, node: Node) -> Known:
    """Read a Size."""
    return Known(np.array(prod(read.shape(read.input_value(node, 0))), np.int64))


def transpose(read: Reader, node: Node) -> Value:
    """Read a Transpose: the axes have another order from here on."""
    value = read.input_value(node, 0)
    rank = len(value.axes) + 1
    order = node.integers("perm", tuple(reversed(range(rank))))
    if order is None or sorted(order) != list(range(rank)):
        raise Unsupported(f"has perm {order} for a value of {rank} axes")
    if order[0] != 0:
        raise Unsupported("moves the axis of the images", "leave it first")
    return replace(value, axes=tuple(value.axes[at - 1] for at in order[1:]))


def flatten(read: Reader, node: Node) -> Value:
    """Read a Flatten."""
    value = read.input_value(node, 0)
    sizes = read.shape(value)
    axis = node.integer("axis", 1)
    axis += len(sizes) if axis < 0 else 0
    if prod(sizes[:axis]) != read.batch:
        raise Unsupported(
            f"flattens from axis {axis}, other than all axes after that of the images"
        )
    return _laid_out(read, node, value, (prod(sizes[1:]),))


def reshape(read: Reader, node: Node) -> Value:
    """Read a Reshape to a vector, from one, or that adds or drops axes of size 1."""
    value = read.input_value(node, 0)
    if node.version < 5:
        raise Unsupported("is of an operator set before 5", "export it anew")
    wanted = read.known(node, 1, "shape").array
    copies = not node.integer("allowzero", 0)
    new = folding.reshaped(read.shape(value), wanted, copies)
    if not new or new[0] != read.batch:
        raise Unsupported(
            f"makes {new} of {read.shape(value)}, without an axis of the images",
            "keep it first, as in x.flatten(1)",
        )
    return _laid_out(read, node, value, new[1:])


def squeeze(read: Reader, node: Node) -> Value:
    """Read a Squeeze."""
    value = read.input_value(node, 0)
    sizes = read.shape(value)
    given = read.optional(node, 1, "axes")
    axes = folding.axes_of(node, None if given is None else given.array, len(sizes))
    if axes is None:  # with one image this drops the axis of the images too, which stays here
        axes = tuple(at for at, own in enumerate(sizes) if at and own == 1)
    if 0 in axes or any(sizes[at] != 1 for at in axes):
        raise Unsupported(f"drops the axes {axes} of a value of shape {sizes}")
    return replace(
        value, axes=tuple(own for at, own in enumerate(value.axes, start=1) if at not in axes)
    )


def unsqueeze(read: Reader, node: Node) -> Value:
    """Read an Unsqueeze."""
    value = read.input_value(node, 0)
    given = read.optional(node, 1, "axes")
    count = given.array.size if given is not None else len(node.integers("axes") or ())
    rank = len(value.axes) + 1 + count
    axes = folding.axes_of(node, None if given is None else given.array, rank) or ()
    if 0 in axes or rank > MAX_RANK or len(set(axes)) != count:
        raise Unsupported(f"adds the axes {axes} to a value of {len(value.axes) + 1} axes")
    rest = iter(value.axes)
    return replace(value, axes=tuple(None if at in axes else next(rest) for at in range(1, rank)))


def _laid_out(read: Reader, node: Node, value: Value, sizes: tuple[int, ...]) -> Value:
    """Return a value with other axes after that of the images."""
    if value.end is not None:
        return value
    own = read.shape(value)[1:]
    wide = [axis for axis, count in zip(value.axes, own, strict=True) if count > 1]
    if [count for count in own if count > 1] == [count for count in sizes if count > 1]:
        rest = iter(wide)
        return replace(value, axes=tuple(next(rest) if count > 1 else None for count in sizes))
    if len(wide) > 1 and sum(count > 1 for count in sizes) == 1:
        last = wide[-1] == 0
        if wide not in (sorted(filter(None, wide)) + [0] * last, sorted(wide, key=str)):
            raise Unsupported(
                "flattens a map whose axes are transposed",
                "flatten in the order of channels, rows, columns",
            )
        flat = read.add(node, Flatten, value, grid=read.grid(value), channels_last=last)
        axes = tuple(0 if count > 1 else None for count in sizes)
        return replace(flat, axes=axes, integer=value.integer)
    if len(wide) == 1 and len(sizes) in (2, 3):
        return _mapped(read, node, read.as_vector(node, value), sizes)
    raise Unsupported(
        f"regroups {own} as {sizes} (channel shuffle, patches)",
        "leave maps as they are until Flatten",
    )


def _mapped(read: Reader, node: Node, vector: Value, sizes: tuple[int, ...]) -> Value:
    """Return a vector as a map."""
    axes: tuple[int, ...] = (0, 1, 2) if len(sizes) == 3 else (0, 2)
    last = len(sizes) == 3 and has_channels_last(
        read.readers, node.outputs[0], (read.batch, *sizes)
    )
    if last:
        axes = (1, 2, 0)
    shape = [1, 1, 1]
    for axis, count in zip(axes, sizes, strict=True):
        shape[axis] = count
    made = read.add(
        node, Unflatten, vector, grid=read.grid(vector), shape=tuple(shape), channels_last=last
    )
    return replace(made, axes=axes, integer=vector.integer)


def pad(read: Reader, node: Node) -> Value:
    """Read a Pad with a constant."""
    x = read.single(node, 0)
    rank = len(x.axes) + 1
    if node.text("mode", "constant") != "constant":
        raise Unsupported(f"pads by {node.text('mode', '')!r}", "pad with zeros")
    if node.version < 11:
        amounts = node.integers("pads") or node.integers("paddings") or ()
        value: Any = node.real("value", 0.0)
    else:
        amounts = tuple(int(number) for number in read.known(node, 1, "pads").array.reshape(-1))
        given = read.optional(node, 2, "value")
        value = 0.0 if given is None else scalar(np.asarray(given.values))
    given_axes = read.optional(node, 3, "axes")
    axes = folding.axes_of(node, None if given_axes is None else given_axes.array, rank)
    axes = tuple(range(rank)) if axes is None else axes
    if len(amounts) != 2 * len(axes) or value is None or not np.isfinite(value):
        raise Unsupported(f"has pads {amounts} for {len(axes)} axes, with {value}")
    if min(amounts) < 0:
        raise Unsupported("crops (negative pads)", "crop the images before")
    sides = [[0, 0], [0, 0], [0, 0]]
    for at, axis in enumerate(axes):
        both = [amounts[at], amounts[len(axes) + at]]
        own = x.axes[axis - 1] if axis else None
        if any(both) and own is None:
            raise Unsupported(f"pads axis {axis}, which is none of channels, rows and columns")
        if own is not None:
            sides[own] = both
    if not any(amounts):
        return x
    grid = read.grid(x)
    return read.add(
        node,
        Pad,
        x,
        grid=grid if grid is not None and _holds(grid, value) else None,
        padding=(*sides[1], *sides[2]),
        channels=tuple(sides[0]),
        value=float(value),
    )


def _holds(grid: Quantization, value: float) -> bool:
    """Whether a grid of one scale has a real number."""
    if grid.axis is not None or grid.bipolar:
        return False
    return bool(grid.reals(grid.integers(np.array(value))) == value)


def slice_(read: Reader, node: Node) -> Value:
    """Read a Slice that takes every second row and column."""
    value = read.input_value(node, 0)
    parts = tuple(
        read.known(node, at, what).array if node.has(at) else None
        for at, what in enumerate(("starts", "ends", "axes", "steps"), start=1)
    )
    sizes = read.shape(value)
    steps = {1: 1, 2: 1}
    for axis, start, end, step in folding.slices(node, len(sizes), parts):
        begin = start + sizes[axis] if start < 0 else start
        if begin == 0 and end >= sizes[axis] and step == 1:
            continue
        own = value.axes[axis - 1] if axis else None
        if begin != 0 or end < sizes[axis] or step < 1 or own not in (1, 2):
            raise Unsupported(
                f"takes {start}:{end}:{step} of axis {axis}, other than every second row or column",
                "leave maps whole, or write x[:, :, ::2, ::2]",
            )
        steps[own] = step
    if steps == {1: 1, 2: 1}:
        return value
    before = read.maker(value)
    if isinstance(before, Subsample):  # exporters take rows and columns one after the other
        steps = {1: steps[1] * before.stride[0], 2: steps[2] * before.stride[1]}
        value = replace(value, tensor=before.inputs[0])
    made = read.add(node, Subsample, value, grid=read.grid(value), stride=(steps[1], steps[2]))
    return replace(made, integer=value.integer)
