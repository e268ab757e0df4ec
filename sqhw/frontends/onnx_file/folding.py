"""Operators on arrays that are known without an image: they are computed while the file is read."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from sqhw.frontends.onnx_file.arrays import MAX_RANK, Array
from sqhw.frontends.onnx_file.node import MISFITS, Node, Unsupported, reason_of

#: Most values of a computed array, and of all of a file together.
MAX_VALUES, MAX_ALL_VALUES = 1 << 26, 1 << 29

Fold = Callable[..., Array]


class Folder:
    """Computes nodes on arrays, within limits on the number of values."""

    def __init__(self) -> None:
        self._left = MAX_ALL_VALUES

    def __call__(self, node: Node, arrays: list[Array | None]) -> Array | None:
        """Return the first output of a node, or None if its kind is not computed.

        Raises
        ------
        Unsupported
            If it fails, or makes too many values.
        """
        fold = FOLDS.get(node.kind) if not node.domain else None
        if fold is None:
            return None
        try:
            with np.errstate(all="ignore"):
                made = np.asarray(fold(node, *arrays))
        except MISFITS as error:
            raise Unsupported(f"fails on its constants ({reason_of(error)})") from None
        self._left -= made.size
        if self._left < 0 or made.ndim > MAX_RANK:
            raise Unsupported(f"makes constants of more than {MAX_ALL_VALUES:,} values in all")
        return made


def within(*shape: int) -> None:
    """Refuse a shape of too many values.

    Raises
    ------
    Unsupported
    """
    if min(shape, default=0) < 0 or prod(map(int, shape)) > MAX_VALUES:
        raise Unsupported(f"makes a constant of shape {shape}, more than {MAX_VALUES:,} values")


def axes_of(node: Node, given: Array | None, rank: int) -> tuple[int, ...] | None:
    """Return axes from an attribute (old operator sets) or an input, not negative."""
    axes = (
        node.integers("axes") if given is None else tuple(int(axis) for axis in given.reshape(-1))
    )
    if axes is None:
        return None
    if any(not -rank <= axis < rank for axis in axes):
        raise Unsupported(f"has axes {axes} of a value of {rank} axes")
    return tuple(axis % rank for axis in axes)


def reshaped(shape: tuple[int, ...], wanted: Array, zero_copies: bool = True) -> tuple[int, ...]:
    """Return the shape that Reshape makes; 0 copies a size and -1 takes the rest."""
    sizes = [int(size) for size in wanted.reshape(-1)]
    if zero_copies:
        sizes = [shape[at] if size == 0 else size for at, size in enumerate(sizes)]
    if sizes.count(-1) == 1:
        rest = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = prod(shape) // rest if rest else 0
    if min(sizes, default=1) < 0 or prod(sizes) != prod(shape):
        raise Unsupported(f"makes the shape {tuple(sizes)} of {shape}")
    return tuple(sizes)


def slices(
    node: Node, rank: int, parts: tuple[Array | None, ...]
) -> list[tuple[int, int, int, int]]:
    """Return (axis, start, end, step) of a Slice."""
    if node.version < 10:
        starts, ends = node.integers("starts"), node.integers("ends")
        axes, steps = node.integers("axes"), None
    else:
        starts, ends, axes, steps = (
            None if part is None else tuple(int(number) for number in part.reshape(-1))
            for part in (*parts, None, None, None, None)[:4]
        )
    if starts is None or ends is None:
        raise Unsupported("has no starts or ends")
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if any(not -rank <= axis < rank for axis in axes) or 0 in steps:
        raise Unsupported(f"has axes {axes} and steps {steps} of a value of {rank} axes")
    return [
        (axis % rank, start, end, step)
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    ]


def _elementwise(function: Callable[[Array, Array], Array]) -> Fold:
    def fold(_: Node, a: Array, b: Array) -> Array:
        within(*np.broadcast_shapes(a.shape, b.shape))
        return function(a, b)

    return fold


def _divide(a: Array, b: Array) -> Array:
    if np.issubdtype(a.dtype, np.integer):  # ONNX rounds to zero
        return np.where(b == 0, 0, np.trunc(a / np.where(b == 0, 1, b))).astype(a.dtype)
    return np.asarray(a / b)


def _gather(node: Node, data: Array, indices: Array) -> Array:
    axis = node.integer("axis", 0)
    within(*data.shape[:axis] if axis >= 0 else (), *indices.shape)
    within(indices.size, data.size // max(1, data.shape[axis]))
    return np.take(data, indices.astype(np.int64), axis)


def _unsqueeze(node: Node, data: Array, axes: Array | None = None) -> Array:
    wanted = (
        node.integers("axes") if axes is None else tuple(int(axis) for axis in axes.reshape(-1))
    )
    if wanted is None or len(wanted) > MAX_RANK:
        raise Unsupported(f"has axes {wanted}")
    return np.expand_dims(data, wanted)


def _squeeze(node: Node, data: Array, axes: Array | None = None) -> Array:
    return np.squeeze(data, axes_of(node, axes, data.ndim))


def _concat(node: Node, *parts: Array) -> Array:
    within(sum(part.size for part in parts))
    return np.concatenate(parts, node.integer("axis", 0))


def _slice(node: Node, data: Array, *parts: Array | None) -> Array:
    index: list[Any] = [slice(None)] * data.ndim
    for axis, start, end, step in slices(node, data.ndim, parts):
        last = None if step < 0 and end < -data.shape[axis] else end
        index[axis] = slice(start, last, step)
    return np.asarray(data[tuple(index)])


def _reshape(node: Node, data: Array, wanted: Array) -> Array:
    return data.reshape(reshaped(data.shape, wanted, not node.integer("allowzero", 0)))


def _flatten(node: Node, data: Array) -> Array:
    axis = node.integer("axis", 1) % (data.ndim + 1)
    return data.reshape(prod(data.shape[:axis]), -1)


def _transpose(node: Node, data: Array) -> Array:
    return data.transpose(node.integers("perm"))


def _expand(_: Node, data: Array, shape: Array) -> Array:
    full = np.broadcast_shapes(data.shape, tuple(int(size) for size in shape.reshape(-1)))
    within(*full)
    return np.broadcast_to(data, full)


def _filled(node: Node, shape: Array) -> Array:
    sizes = tuple(int(size) for size in shape.reshape(-1))
    within(*sizes)
    value = node.attributes.get("value")
    fill = np.zeros(1, np.float32) if value is None else np.asarray(value)
    return np.full(sizes, fill.reshape(-1)[0], fill.dtype)


def _range(_: Node, start: Array, limit: Array, delta: Array) -> Array:
    count = int(np.ceil((limit.item() - start.item()) / delta.item()))
    within(max(0, count))
    return (start + np.arange(max(0, count)) * delta).astype(start.dtype)


def _cast(node: Node, data: Array) -> Array:
    import onnx

    kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.integer("to", 1)))
    if kind.hasobject:
        raise Unsupported("makes texts of numbers")
    return data.astype(np.float32 if kind.name in ("float16", "bfloat16") else kind)


def _constant(node: Node) -> Array:
    for name, kind in (
        ("value", None),
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if (value := node.attributes.get(name)) is not None:
            return np.asarray(value, kind)
    raise Unsupported("holds no number")


def _clip(node: Node, data: Array, low: Array | None = None, high: Array | None = None) -> Array:
    bounds = (
        [node.attributes.get("min"), node.attributes.get("max")]
        if node.version < 11
        else [low, high]
    )
    if bounds == [None, None]:
        return data
    return np.asarray(np.clip(data, *bounds), data.dtype)


def _reduce(function: Callable[..., Array]) -> Fold:
    def fold(node: Node, data: Array, axes: Array | None = None) -> Array:
        wanted = axes_of(node, axes, data.ndim)
        return np.asarray(function(data, axis=wanted, keepdims=bool(node.integer("keepdims", 1))))

    return fold


#: Functions of a node and its arrays, by the kind of the node.
FOLDS: dict[str, Fold] = {
    "Abs": lambda _, a: np.abs(a),
    "Add": _elementwise(np.add),
    "Cast": _cast,
    "Ceil": lambda _, a: np.ceil(a),
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Div": _elementwise(_divide),
    "Equal": _elementwise(np.equal),
    "Exp": lambda _, a: np.exp(a),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": lambda _, a: np.floor(a),
    "Gather": _gather,
    "Identity": lambda _, a: a,
    "Log": lambda _, a: np.log(a),
    "Max": _elementwise(np.maximum),
    "Min": _elementwise(np.minimum),
    "Mul": _elementwise(np.multiply),
    "Neg": lambda _, a: np.negative(a),
    "Pow": _elementwise(lambda a, b: np.power(a, b.astype(a.dtype, copy=False))),
    "Range": _range,
    "Reciprocal": lambda _, a: 1 / a,
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Shape": lambda _, a: np.array(a.shape, np.int64),
    "Sign": lambda _, a: np.sign(a),
    "Size": lambda _, a: np.array(a.size, np.int64),
    "Slice": _slice,
    "Sqrt": lambda _, a: np.sqrt(a),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": lambda _, which, a, b: np.asarray(np.where(which, a, b)),
}
