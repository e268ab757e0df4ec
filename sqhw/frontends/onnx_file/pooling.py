"""Handlers of poolings."""

from sqhw.frontends.neutral.operators import AveragePooling, MaxPooling, Operator
from sqhw.frontends.neutral.quantization import Quantization
from sqhw.frontends.onnx_file.folding import axes_of
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.reader import Reader
from sqhw.frontends.onnx_file.values import Value
from sqhw.frontends.onnx_file.windows import line_axis, windows_of


def max_pool(read: Reader, node: Node) -> Value:
    """Read a MaxPool; the grid of its input is that of its output."""
    if node.uses(1):
        raise Unsupported("returns indices", "use the maxima alone")
    value = read.input_value(node, 0)
    x = read.as_map(node, value)
    windows = windows_of(node, read.shape(x), line_axis(x.axes), None)
    made = read.add(
        node,
        MaxPooling,
        x,
        grid=read.grid(x),
        kernel=windows.kernel,
        stride=windows.stride,
        padding=windows.padding,
        dilation=windows.dilation,
    )
    return _like(made, value)


def average_pool(read: Reader, node: Node) -> Value:
    """Read an AveragePool."""
    return average(read, node, read.single(node, 0))


def average(read: Reader, node: Node, value: Value, grid: Quantization | None = None) -> Value:
    """Add an average over windows."""
    x = read.as_map(node, value)
    windows = windows_of(node, read.shape(x), line_axis(x.axes), None)
    if windows.dilation != (1, 1):
        raise Unsupported(f"has dilations {windows.dilation}")
    return read.add(
        node,
        AveragePooling,
        x,
        grid=grid,
        kernel=windows.kernel,
        stride=windows.stride,
        padding=windows.padding,
        counted=windows.own if node.integer("count_include_pad", 0) else (0, 0, 0, 0),
    )


def global_average(read: Reader, node: Node) -> Value:
    """Read a GlobalAveragePool."""
    return global_average_of(read, node, read.single(node, 0))


def global_average_of(
    read: Reader, node: Node, value: Value, grid: Quantization | None = None
) -> Value:
    """Add an average over all rows and columns."""
    return _global(read, node, read.as_map(node, value), AveragePooling, grid)


def global_max(read: Reader, node: Node) -> Value:
    """Read a GlobalMaxPool."""
    value = read.input_value(node, 0)
    x = read.as_map(node, value)
    return _like(_global(read, node, x, MaxPooling, read.grid(x)), value)


def _global(
    read: Reader,
    node: Node,
    x: Value,
    kind: type[Operator],
    grid: Quantization | None = None,
) -> Value:
    return read.add(node, kind, x, grid=grid, kernel=read.tensors[x.tensor].shape[1:])


def reduced(read: Reader, node: Node, kind: type[Operator]) -> Value:
    """Read a reduction over rows and columns."""
    x = read.single(node, 0) if kind is AveragePooling else read.input_value(node, 0)
    rank = len(x.axes) + 1
    given = read.optional(node, 1, "axes")
    axes = axes_of(node, None if given is None else given.array, rank)
    if axes is None:
        axes = () if node.integer("noop_with_empty_axes", 0) else tuple(range(rank))
    shape = read.shape(x)
    wide = sorted(at for at in axes if shape[at] > 1)
    spatial = [at for at, axis in enumerate(x.axes, start=1) if axis in (1, 2) and shape[at] > 1]
    if 0 in axes or wide != spatial:
        raise Unsupported(
            f"works on axes {axes} of a value of shape {shape}, other than height and width",
            "average over all rows and columns, before Flatten",
        )
    made = x
    if spatial:
        grid = read.grid(x) if kind is MaxPooling else None
        made = _like(_global(read, node, x, kind, grid), x)
    if node.integer("keepdims", 1):
        return made
    return Value(
        made.tensor,
        tuple(axis for at, axis in enumerate(x.axes, start=1) if at not in axes),
        made.integer,
        made.end,
    )


def reduce_mean(read: Reader, node: Node) -> Value:
    """Read a ReduceMean over height and width."""
    return reduced(read, node, AveragePooling)


def reduce_max(read: Reader, node: Node) -> Value:
    """Read a ReduceMax over height and width."""
    return reduced(read, node, MaxPooling)


def _like(made: Value, value: Value) -> Value:
    """Return what a maximum made, integers if its input is."""
    return Value(made.tensor, made.axes, value.integer)
