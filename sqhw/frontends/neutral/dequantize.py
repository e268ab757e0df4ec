"""The real numbers that a graph of integers stands for, as a graph without quantizations."""

from dataclasses import replace

import numpy as np

from sqhw.errors import SqhwError
from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.graph import Graph, Tensor
from sqhw.frontends.neutral.operators import Clip, Convolution, Linear, Operator, Quantize


def dequantized(graph: Graph) -> Graph:
    """Return the graph on real numbers: weights times their scales, activations not rounded.

    Bounds of integers that begin or end at a real bound become those of real numbers: a range from
    the zero point on is a ReLU. The end of a format is no bound.

    Parameters
    ----------
    graph : Graph

    Raises
    ------
    SqhwError
        If it has operators on integers alone, such as a sign.
    """
    operators: list[Operator] = []
    names: dict[str, str] = {graph.input: graph.input}
    tensors = {graph.input: Tensor(graph.tensors[graph.input].shape)}
    for operator in graph.merged().operators:
        found = graph.tensors[operator.output]
        grid = found.quantization
        if grid is not None and grid.bipolar:
            raise SqhwError(
                f"layer {operator.name!r}: makes -1 and +1 alone, which no layer of real numbers "
                "does; leave --floats out"
            )
        real = _real(replace(operator, inputs=tuple(names[name] for name in operator.inputs)))
        if not isinstance(real, Quantize):
            operators.append(real)
            tensors[real.output] = Tensor(found.shape)
        names[operator.output] = real.inputs[0] if isinstance(real, Quantize) else real.output
        if grid is None or operator.clamp is None or grid.axis is not None:
            continue
        low, high = operator.clamp
        bounds = (
            _bound(low, grid.lo, float(grid.scale), int(grid.zero_point)),
            _bound(high, grid.hi, float(grid.scale), int(grid.zero_point)),
        )
        if low == int(grid.zero_point):
            bounds = (0.0, bounds[1])
        if bounds != (None, None):
            name = f"{operator.name}_bounds"
            clip = Clip(
                name=name,
                inputs=(names[operator.output],),
                output=name,
                low=bounds[0],
                high=bounds[1],
            )
            operators.append(clip)
            tensors[name] = Tensor(found.shape)
            names[operator.output] = name
    return Graph(
        name=graph.name,
        source=graph.source,
        input=graph.input,
        output=names[graph.output],
        tensors=tensors,
        operators=tuple(operators),
        notes=(*graph.notes, "quantized weights were converted to real numbers"),
    )


def input_normalisation(graph: Graph, input_max: int) -> tuple[float, float] | None:
    """Return mean and standard deviation of pixels, if the graph's input has integers.

    The pixel 0 is the lowest integer.

    Parameters
    ----------
    graph : Graph
    input_max : int
        Largest pixel value.
    """
    grid = graph.tensors[graph.input].quantization
    if grid is None:
        return None
    return (int(grid.zero_point) - grid.lo) / input_max, 1 / (input_max * float(grid.scale))


def _bound(value: int, end: int, scale: float, zero_point: int) -> float | None:
    return None if value == end else scale * (value - zero_point)


def _real(operator: Operator) -> Operator:
    """Return an operator with real constants and without bounds."""
    bare = replace(operator, clamp=None)
    if not isinstance(bare, Convolution | Linear):
        return bare
    weight = Constant(bare.weight.name, bare.weight.reals.astype(np.float32))
    bias = bare.bias and Constant(bare.bias.name, bare.bias.reals)
    return replace(bare, weight=weight, bias=bias)
