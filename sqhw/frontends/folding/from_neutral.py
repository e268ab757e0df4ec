"""From the neutral graph to a float network."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sqhw.errors import SqhwError
from sqhw.frontends.folding.activation import clipped, leaky
from sqhw.frontends.folding.builder import Builder
from sqhw.frontends.folding.concatenation import concatenated
from sqhw.frontends.folding.convolution import Convolution, spread
from sqhw.frontends.folding.pooling import Pooling
from sqhw.frontends.folding.view import Doubles, View
from sqhw.frontends.neutral import operators as ops
from sqhw.frontends.neutral.concatenation import Concatenation, Leaky
from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.elementwise import Lookup, values_of
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.neutral.graph import Graph
from sqhw.frontends.neutral.operators import Operator
from sqhw.frontends.neutral.problems import Problem, refuse
from sqhw.network.activations import FUNCTIONS, matching_function
from sqhw.network.floats import FloatLayer, FloatNetwork, check_input
from sqhw.network.graph import INPUT

#: Arguments at which activation functions are told apart.
SAMPLES = np.linspace(-9.0, 9.0, 1501)
_ONE = np.ones((1, 1, 1))


class _End(Operator):
    """What reads the output of the graph."""

    def output_shape(self, *shapes: ops.Shape) -> ops.Shape:
        """Return the shape of the input."""
        return shapes[0]


class _Unsupported(SqhwError):
    def __init__(self, reason: str, instead: str) -> None:
        super().__init__(reason)
        self.instead = instead


class GraphBuilder(Builder[Operator]):
    """Layers that are made of the operators of a neutral graph.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph: Graph) -> None:
        self.end = _End(name="output", inputs=(graph.output,), output="")
        everything = (*graph.operators, self.end)
        by_tensor: dict[str, list[Operator]] = {}
        for operator in everything:
            for tensor in operator.inputs:
                by_tensor.setdefault(tensor, []).append(operator)
        self.start = _End(name=graph.input, inputs=(), output=graph.input)
        readers = {
            operator: by_tensor.get(operator.output, []) for operator in (*everything, self.start)
        }
        super().__init__(graph.tensors[graph.input].shape, readers)

    def title(self, node: Operator) -> str:
        """Return the name that the file gives the operator."""
        return node.name

    def base_name(self, node: Operator) -> str:
        """Return the name without what is no part of a word."""
        return re.sub(r"\W+", "_", node.name).strip("_") or "layer"

    def unsupported(self, node: Operator, what: str, instead: str = "") -> SqhwError:
        """Return the error for an operator that cannot be taken."""
        return _Unsupported(f"{what} is not supported", instead)

    def is_output(self, node: Operator) -> bool:
        """Whether it is the end of the network."""
        return node is self.end


def float_network(
    graph: Graph,
    *,
    input_max: int = 255,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
) -> FloatNetwork:
    """Return the float network that computes a neutral graph.

    Parameters
    ----------
    graph : Graph
        Without quantizations.
    input_max : int
        Largest pixel value, 1 to 255.
    mean, std : sequence of float
        Normalisation ``(pixel / input_max - mean) / std`` that the graph's input expects.

    Raises
    ------
    SqhwError
        Naming every operator that no layer can take.
    """
    mean, std = tuple(map(float, mean)), tuple(map(float, std))
    check_input(graph.name, graph.tensors[graph.input].shape, input_max, mean, std)
    build = GraphBuilder(graph)
    walk = _Walk(graph, build)
    layers = walk.layers()
    mean, std = build.normalisation(
        mean, std, "arithmetic on the input within the file is part of mean and std"
    )
    notes = [*graph.notes, *build.notes]
    return FloatNetwork(
        name=graph.name,
        input_shape=graph.tensors[graph.input].shape,
        input_max=input_max,
        mean=mean,
        std=std,
        layers=layers,
        metadata={"notes": "\n".join(notes)} if notes else {},
    )


class _Walk:
    """Walks through the operators and makes layers of them."""

    def __init__(self, graph: Graph, build: GraphBuilder) -> None:
        self.graph = graph
        self.build = build
        self.problems: list[Problem] = []
        shape = graph.tensors[graph.input].shape
        self.views: dict[str, View] = {graph.input: View(INPUT, shape, flat=shape[1:] == (1, 1))}
        build.views[build.start] = self.views[graph.input]
        #: Tensors that are flat in the order of row, column and channel.
        self.last: set[str] = set()

    def layers(self) -> tuple[FloatLayer, ...]:
        """Return the layers."""
        for operator in self.graph.operators:
            try:
                made = _TAKES[type(operator)](self, operator, *self._inputs(operator))
            except SqhwError as error:
                self._note(operator, error)
                made = self._stand_in(operator)
            self.views[operator.output] = self.build.views[operator] = made
        if self.graph.output in self.last:
            self._note(
                self.graph.operators[-1],
                self.build.unsupported(
                    self.build.end, "a map that is flattened with channels last at the end"
                ),
            )
        refuse(self.problems)
        return self.build.result(self.build.end, self.views[self.graph.output])

    def _inputs(self, operator: Operator) -> list[View]:
        return [self.views[tensor] for tensor in operator.inputs]

    def _note(self, operator: Operator, error: SqhwError) -> None:
        kind = type(operator).__name__
        if isinstance(error, _Unsupported):
            reason = f"cannot be a layer: {error}"
            self.problems.append(Problem(operator.name, kind, reason, error.instead))
        else:
            text = str(error).removeprefix(f"layer {operator.name!r}: ")
            self.problems.append(Problem(operator.name, kind, f"cannot be a layer: {text}"))

    def _stand_in(self, operator: Operator) -> View:
        """Return a view of a layer in place of one that cannot be made."""
        shape = self.graph.tensors[operator.output].shape
        return self.build.stand_in(operator, shape)

    def convolution(self, operator: ops.Convolution, x: View) -> View:
        conv = Convolution(
            spread(_plain(operator.weight), operator.dilation),
            None if operator.bias is None else operator.bias.reals,
            operator.stride,
            operator.padding,
            operator.groups,
        )
        return self._flat_if_vector(self.build.conv(operator, _mapped(x), conv))

    def linear(self, operator: ops.Linear, x: View) -> View:
        weight = _plain(operator.weight)
        channels, height, width = x.shape
        if operator.inputs[0] in self.last:
            ordered = weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        else:
            ordered = weight.reshape(-1, channels, height, width)
        bias = None if operator.bias is None else operator.bias.reals
        made = self.build.conv(
            operator, replace(x, flat=True), Convolution(ordered, bias, kind="linear")
        )
        return View(made.tensor, made.shape, flat=True)

    def max_pooling(self, operator: ops.MaxPooling, x: View) -> View:
        if any(
            gap != 1 != size for gap, size in zip(operator.dilation, operator.kernel, strict=True)
        ):
            raise self.build.unsupported(operator, f"dilation {operator.dilation} of a maximum")
        pooling = Pooling(operator.kernel, operator.stride, operator.padding)
        return self._flat_if_vector(self.build.max_pool(operator, _mapped(x), pooling))

    def average_pooling(self, operator: ops.AveragePooling, x: View) -> View:
        pooling = Pooling(operator.kernel, operator.stride, operator.padding, operator.counted)
        return self._flat_if_vector(self.build.average(operator, _mapped(x), pooling))

    def add(self, operator: ops.Add, a: View, b: View) -> View:
        if {name in self.last for name in operator.inputs} == {True, False}:
            raise self.build.unsupported(operator, "a sum of vectors of different order")
        if operator.inputs[0] in self.last:
            self.last.add(operator.output)
        flat = a.flat and b.flat
        made = self.build.add(operator, replace(a, flat=flat), replace(b, flat=flat))
        return replace(made, flat=flat)

    def clip(self, operator: ops.Clip, x: View) -> View:
        self._keep_order(operator)
        if operator.low is not None and operator.low == operator.high:
            raise self.build.unsupported(operator, f"a clip to the one number {operator.low}")
        return clipped(self.build, operator, x, operator.low, operator.high)

    def leaky(self, operator: Leaky, x: View) -> View:
        self._keep_order(operator)
        if x.flat and x.shape[1:] != (1, 1) and operator.slope.values.size > 1:
            raise self.build.unsupported(operator, "a slope for each value of a flattened map")
        return leaky(self.build, operator, x, operator.slope.reals)

    def lookup(self, operator: Lookup, x: View) -> View:
        self._keep_order(operator)
        found = matching_function(SAMPLES, values_of(operator, evaluate, SAMPLES))
        if found is None:
            raise self.build.unsupported(
                operator, "an activation function of its own", f"use one of {', '.join(FUNCTIONS)}"
            )
        name, factor = found
        made = self.build.look_up(operator, x, name)
        if factor == 1.0:
            return made
        return self.build.affine(operator, made, factor * _ONE, 0 * _ONE)

    def concatenation(self, operator: Concatenation, *parts: View) -> View:
        if any(name in self.last for name in operator.inputs):
            raise self.build.unsupported(operator, "joining maps flattened with channels last")
        flat = all(part.flat for part in parts)
        made = concatenated(self.build, operator, [replace(part, flat=flat) for part in parts])
        return replace(made, flat=flat)

    def affine(self, operator: ops.Affine, x: View) -> View:
        self._keep_order(operator)
        parts = [self._shaped(operator, constant, x) for constant in operator.constants]
        return self.build.affine(operator, x, parts[0], parts[1])

    def _shaped(self, operator: Operator, constant: Constant, x: View) -> Doubles:
        """Return the constants of a vector in the shape of the map that it was; the same, if so."""
        values = constant.reals
        if x.flat and values.shape[0] > 1:
            channels, height, width = x.shape
            if operator.inputs[0] in self.last:
                values = values.reshape(height, width, channels).transpose(2, 0, 1)
            else:
                values = values.reshape(x.shape)
        first = values[:, :1, :1]
        if np.array_equal(values, np.broadcast_to(first, values.shape)):
            return first
        return np.broadcast_to(values, x.shape)

    def pad(self, operator: ops.Pad, x: View) -> View:
        if operator.value != 0:
            raise self.build.unsupported(
                operator, f"padding with {operator.value}", "pad with zeros"
            )
        x = self.build.settle(operator, _mapped(x))
        if any(operator.padding) and not x.whole:
            raise self.build.unsupported(operator, "padding of other than a convolution's input")
        return x.with_zeros(operator.padding, operator.channels)

    def subsample(self, operator: ops.Subsample, x: View) -> View:
        x = self.build.settle(operator, _mapped(x))
        if operator.stride != (2, 2) or x.padded or x.stride != 1:
            raise self.build.unsupported(
                operator,
                f"taking rows and columns with the strides {operator.stride}",
                "use stride 2 in both directions",
            )
        return x.subsampled()

    def flatten(self, operator: ops.Flatten, x: View) -> View:
        if x.padded or not x.whole:
            raise self.build.unsupported(operator, "a flattening of a padded or sliced tensor")
        self._keep_order(operator)
        if operator.channels_last and min(x.shape[0], x.shape[1] * x.shape[2]) > 1:
            self.last.add(operator.output)
        return replace(x, flat=True)

    def unflatten(self, operator: ops.Unflatten, x: View) -> View:
        last = operator.inputs[0] in self.last
        vector = x.shape[1:] == (1, 1)
        same_order = (
            operator.channels_last == last
            or min(operator.shape[0], operator.shape[1] * operator.shape[2]) == 1
        )
        if x.shape == operator.shape and same_order:
            return replace(x, flat=False)
        if vector and x.tensor == INPUT and x.plain:
            raise self.build.unsupported(
                operator, "an input that is a vector of pixels", "let the input be the map"
            )
        raise self.build.unsupported(operator, f"a map {operator.shape} made of a vector")

    def quantize(self, operator: ops.Quantize, x: View) -> View:
        raise self.build.unsupported(operator, "a quantizer in a float network")

    def _keep_order(self, operator: Operator) -> None:
        if operator.inputs[0] in self.last:
            self.last.add(operator.output)

    def _flat_if_vector(self, made: View) -> View:
        return replace(made, flat=made.shape[1:] == (1, 1))


def _mapped(x: View) -> View:
    """Return a vector, in whose place a map of one pixel may be read, as that."""
    return replace(x, flat=False) if x.shape[1:] == (1, 1) else x


def _plain(constant: Constant) -> Doubles:
    """Return weights in the precision of the file, single or double."""
    if constant.quantization is None and constant.values.dtype == np.float32:
        return constant.values
    return constant.reals


#: Methods of the walk, by the class of the operator.
_TAKES: dict[type[Operator], Callable[..., View]] = {
    ops.Add: _Walk.add,
    ops.Affine: _Walk.affine,
    ops.AveragePooling: _Walk.average_pooling,
    ops.Clip: _Walk.clip,
    Concatenation: _Walk.concatenation,
    ops.Convolution: _Walk.convolution,
    ops.Flatten: _Walk.flatten,
    Leaky: _Walk.leaky,
    ops.Linear: _Walk.linear,
    Lookup: _Walk.lookup,
    ops.MaxPooling: _Walk.max_pooling,
    ops.Pad: _Walk.pad,
    ops.Quantize: _Walk.quantize,
    ops.Subsample: _Walk.subsample,
    ops.Unflatten: _Walk.unflatten,
}
