"""Handlers of quantizers: QuantizeLinear and DequantizeLinear, Clip between them, and QONNX."""

from dataclasses import replace
from typing import Any

import numpy as np

from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.operators import Affine, Quantize
from sqhw.frontends.neutral.quantization import MAX_BITS, Quantization
from sqhw.frontends.onnx_file.arrays import Array
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.reader import Reader, same_steps
from sqhw.frontends.onnx_file.values import Known, Value, scalar

#: Width and sign of integer types by name (unit: bit).
TYPES = {
    **{f"int{bits}": (bits, True) for bits in (2, 4, 8, 16, 32)},
    **{f"uint{bits}": (bits, False) for bits in (2, 4, 8, 16)},
}
#: Ways of rounding by their names in QONNX.
ROUNDINGS = {
    "ROUND": "half_even",
    "HALF_EVEN": "half_even",
    "HALF_UP": "half_away",  # QONNX rounds the magnitude up
    "FLOOR": "floor",
    "CEIL": "ceil",
    "DOWN": "to_zero",
}


def linear_grid(
    node: Node, scale: Known, zero: Known | None, kind: np.dtype[Any], axis: int | None
) -> Quantization:
    """Return the grid of ONNX's own operators.

    Parameters
    ----------
    node : Node
    scale, zero : Known
        Scale and zero point; without the latter it is 0.
    kind : dtype
        Type of the integers.
    axis : int, optional
        Axis of scales of which there are several.
    """
    if kind.name not in TYPES:
        raise Unsupported(f"makes {kind}", "use int8 or uint8")
    if node.integer("block_size", 0):
        raise Unsupported("has scales for blocks (block_size)", "use one scale for a channel")
    bits, signed = TYPES[kind.name]
    scales = np.asarray(scale.values, np.float64)
    zeros = np.zeros(1, np.int64) if zero is None else np.asarray(zero.array).astype(np.int64)
    if scales.ndim > 1 or zeros.ndim > 1 or zeros.size not in (1, scales.size):
        raise Unsupported(f"has scales {scales.shape} and zero points {zeros.shape}")
    if scales.size == 1:
        return _checked(Quantization(scales.reshape(()), zeros.reshape(()), bits, signed))
    full = np.broadcast_to(zeros.reshape(-1), scales.shape)
    return _checked(Quantization(scales, full, bits, signed, axis=axis))


def _checked(grid: Quantization) -> Quantization:
    if not (grid.scale > 0).all():
        raise Unsupported("has a scale that is not positive", "calibrate it anew")
    return grid


def quantize_linear(read: Reader, node: Node) -> Known | Value:
    """Read a QuantizeLinear: the value is integers from here on."""
    scale, zero = read.known(node, 1, "scale"), read.optional(node, 2, "zero point")
    kind = np.dtype(np.uint8) if zero is None else zero.array.dtype
    if zero is None and node.integer("output_dtype", 0):
        import onnx

        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.integer("output_dtype", 0)))
    source = read.values[node.inputs[0]]
    if isinstance(source, Known):
        axis = node.integer("axis", 1) % max(1, source.array.ndim)
        grid = linear_grid(node, scale, zero, kind, axis)
        return Known(grid.integers(source.values), grid, raw=True, name=source.name)
    value = read.single(node, 0)
    if value.end is not None:
        return value
    grid = linear_grid(node, scale, zero, kind, _axis(node, value))
    return replace(read.add(node, Quantize, value, grid=grid), integer=True)


def dequantize_linear(read: Reader, node: Node) -> Known | Value:
    """Read a DequantizeLinear: the value is real numbers from here on."""
    scale, zero = read.known(node, 1, "scale"), read.optional(node, 2, "zero point")
    source = read.values[node.inputs[0]]
    if isinstance(source, Known):
        axis = node.integer("axis", 1) % max(1, source.array.ndim)
        if source.grid is not None:
            grid = linear_grid(node, scale, zero, _kind(source.grid), axis)
            same_steps(source.grid, grid)
            return replace(source, raw=False)
        grid = linear_grid(node, scale, zero, source.array.dtype, axis)
        return Known(source.array, grid, name=source.name)
    value = read.input_value(node, 0)
    if value.end is not None:
        return value
    if not value.integer:
        raise Unsupported("reads real numbers", "put a QuantizeLinear before it")
    found = read.grid(value)
    kind = _kind(found) if found is not None else np.dtype(read.kind)
    grid = linear_grid(node, scale, zero, kind, _axis(node, value))
    read.set_grid(value, grid)
    return replace(value, integer=False)


def _kind(grid: Quantization) -> np.dtype[Any]:
    """Return the type that integers of a grid are stored in."""
    bits = next(size for size in (8, 16, 32) if grid.bits <= size)
    return np.dtype(f"int{bits}" if grid.signed or bits == 32 else f"uint{bits}")


def _axis(node: Node, value: Value) -> int | None:
    """Return the axis of the tensor that the scales of a node go along."""
    axis = node.integer("axis", 1)
    axis += len(value.axes) + 1 if axis < 0 else 0
    return value.axes[axis - 1] if 1 <= axis <= len(value.axes) else None


def narrowed(grid: Quantization, low: int, high: int) -> Quantization | None:
    """Return a narrower grid whose integers are those from `low` to `high`, if there is one."""
    for bits in range(1, grid.bits + 1):
        for signed in (False, True):
            for narrow in (False, True):
                new = replace(grid, bits=bits, signed=signed, narrow=narrow)
                if (new.lo, new.hi) == (low, high):
                    return new
    return None


def clipped_integers(read: Reader, node: Node, value: Value, low: Any, high: Any) -> Value:
    """Read a Clip between QuantizeLinear and DequantizeLinear: a width below 8 bits."""
    grid = read.grid(value)
    if grid is None or len(read.readers.get(node.inputs[0], ())) > 1:
        raise Unsupported("clips integers that a quantizer did not make for it alone")
    least, most = _integer_bounds(grid, low, high)
    new = narrowed(grid, least, most)
    if new is None:
        return read.replace_maker(value, grid, clamp=(least, most))
    return read.replace_maker(value, new)


def clipped_constant(source: Known, low: Any, high: Any) -> Known:
    """Clip constant integers between quantizers."""
    assert source.grid is not None
    least, most = _integer_bounds(source.grid, low, high)
    new = narrowed(source.grid, least, most) or source.grid
    return replace(source, array=source.array.clip(least, most), grid=new)


def _integer_bounds(grid: Quantization, low: Any, high: Any) -> tuple[int, int]:
    least = grid.lo if low is None else max(grid.lo, int(low))
    most = grid.hi if high is None else min(grid.hi, int(high))
    if least > most:
        raise Unsupported(f"has the bounds {low} and {high} for integers {grid.lo} to {grid.hi}")
    return least, most


def quant(read: Reader, node: Node) -> Known | Value:
    """Read a Quant or IntQuant of QONNX: rounding to a grid of any width."""
    bits = _whole(read.known(node, 3, "bit width").values, "bit width")
    if not 1 <= bits <= MAX_BITS:
        raise Unsupported(f"has a width of {bits} bits", f"use 1 to {MAX_BITS}")
    mode = node.text("rounding_mode", "ROUND").upper()
    if mode not in ROUNDINGS:
        raise Unsupported(f"rounds by {mode}", f"use one of {', '.join(ROUNDINGS)}")
    return _onto(
        read,
        node,
        read.known(node, 2, "zero point").values,
        bits=bits,
        signed=bool(node.integer("signed", 1)),
        narrow=bool(node.integer("narrow", 0)),
        rounding=ROUNDINGS[mode],
    )


def bipolar_quant(read: Reader, node: Node) -> Known | Value:
    """Read a BipolarQuant of QONNX: signs times a scale."""
    return _onto(read, node, np.zeros(1), bits=1, signed=True, bipolar=True)


def _onto(read: Reader, node: Node, zero: Array, **form: Any) -> Known | Value:
    scale = np.asarray(read.known(node, 1, "scale").values, np.float64)
    source = read.values[node.inputs[0]]
    if isinstance(source, Known):
        grid = _checked(_array_grid(scale, zero, source.array.ndim, **form))
        return Known(grid.integers(source.values), grid, name=source.name)
    value = read.single(node, 0)
    if value.end is not None:
        return value
    grid = _checked(_array_grid(scale, zero, len(value.axes) + 1, **form))
    if grid.axis is not None:
        axis = value.axes[grid.axis - 1] if grid.axis else None
        if axis is None:
            raise Unsupported(f"has scales along axis {grid.axis}, other than the channels")
        grid = replace(grid, axis=axis)
    return read.add(node, Quantize, value, grid=grid)


def _array_grid(scale: Array, zero: Array, rank: int, **form: Any) -> Quantization:
    """Return the grid of scales and zero points that broadcast to a value of `rank` axes."""
    zeros = np.asarray(zero, np.float64)
    if not np.array_equal(zeros, np.rint(zeros)) or np.abs(zeros).max(initial=0) > 1 << 31:
        raise Unsupported("has a zero point that is not a whole number")
    if scale.size == 1 and zeros.size == 1:
        return Quantization(scale.reshape(()), zeros.astype(np.int64).reshape(()), **form)
    if max(scale.ndim, zeros.ndim) > rank:
        raise Unsupported(f"has scales of shape {scale.shape} for a value of {rank} axes")
    full = np.broadcast_shapes(scale.shape, zeros.shape)
    full = (1,) * (rank - len(full)) + full
    wide = [at for at, size in enumerate(full) if size > 1]
    if len(wide) != 1:
        raise Unsupported(f"has scales of shape {scale.shape}", "use one for a channel")
    scales, points = (np.broadcast_to(part, full).reshape(-1) for part in (scale, zeros))
    return Quantization(scales, points.astype(np.int64), axis=wide[0], **form)


def _whole(array: Array, what: str) -> int:
    value = scalar(np.asarray(array))
    if value is None or not np.isfinite(value) or value != int(value):
        raise Unsupported(f"has a {what} that is not one whole number")
    return int(value)


def trunc(read: Reader, node: Node) -> Value:
    """Read a Trunc of QONNX: the low bits of integers are dropped, rounded down."""
    scale = scalar(np.asarray(read.known(node, 1, "scale").values, np.float64))
    zero = _whole(read.known(node, 2, "zero point").values, "zero point")
    wide, bits = (
        _whole(read.known(node, at, what).values, what)
        for at, what in ((3, "input width"), (4, "output width"))
    )
    mode = node.text("rounding_mode", "FLOOR").upper()
    if len(node.inputs) > 5 or scale is None or zero or mode not in ROUNDINGS:
        raise Unsupported(f"has a zero point, several scales or the rounding {mode}")
    if not 1 <= bits <= wide <= MAX_BITS:
        raise Unsupported(f"makes {bits} bits of {wide}")
    x = read.single(node, 0)
    factor = Constant(node.name, np.full((1, 1, 1), 2.0 ** (bits - wide)))
    shifted = read.add(node, Affine, x, scale=factor, shift=Constant("", np.zeros((1, 1, 1))))
    grid = Quantization(
        np.asarray(scale),
        np.asarray(0),
        bits,
        bool(node.integer("signed", 1)),
        narrow=bool(node.integer("narrow", 0)),
        rounding=ROUNDINGS[mode],
    )
    return read.add(node, Quantize, shifted, grid=_checked(grid))
