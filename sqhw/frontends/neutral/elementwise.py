"""Activation functions of the neutral graph: what computes each number from one number alone.

Files spell them in many ways: one operator, or several around a product (``x * sigmoid(x)``), with
quantizers in between or without. `looked_up` makes one `Lookup` of each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from sqhw.errors import SqhwError
from sqhw.frontends.neutral.concatenation import Leaky
from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.graph import Graph, Tensor
from sqhw.frontends.neutral.operators import Add, Affine, Clip, Operator, Quantize, Shape
from sqhw.frontends.neutral.problems import Problem
from sqhw.frontends.neutral.quantization import Doubles

#: Operators on one number each, if their constants are the same for all channels.
SINGLE = (Affine, Clip, Leaky, Quantize)
#: Why a product of two tensors is not supported, and what to do instead.
PRODUCT = (
    "multiplies two computed values (attention, squeeze and excite)",
    "train without such a block",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Function(Operator):
    """A function of single numbers.

    Parameters
    ----------
    function : str
        Name of the function, see `sqhw.frontends.neutral.evaluate`.
    """

    function: str

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the input."""
        return shapes[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Product(Operator):
    """The products of the numbers of two tensors of one shape."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of both."""
        if shapes[0] != shapes[1]:
            raise SqhwError(f"it multiplies tensors of different shapes, {shapes[0]}, {shapes[1]}")
        return shapes[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Lookup(Operator):
    """An activation function: all that computes a tensor from one other, number by number.

    Parameters
    ----------
    graph : Graph
        The operators in between, on a tensor of shape (1, 1, n) for some n.
    """

    graph: Graph

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the input."""
        return shapes[0]


def looked_up(graph: Graph) -> tuple[Graph, list[Problem]]:
    """Return the graph with a `Lookup` for each activation function, and the products left over.

    Parameters
    ----------
    graph : Graph
        Graph with operators `Function` and `Product`.
    """
    if not any(isinstance(operator, Function | Product) for operator in graph.operators):
        return graph, []
    makers = {operator.output: operator for operator in graph.operators}
    roots: dict[str, list[str]] = {graph.input: [graph.input]}
    made: list[Operator] = []
    problems = []
    for operator in graph.operators:
        roots[operator.output] = [operator.output]
        if _single(operator):
            own = [roots[name] for name in operator.inputs]
            roots[operator.output] += [name for name in own[0] if all(name in one for one in own)]
        above = roots[operator.output][1:]
        if isinstance(operator, Product) and not above:
            problems.append(Problem(operator.name, "Mul", *PRODUCT))
        if isinstance(operator, Function | Product) and above:
            made.append(_lookup(graph, makers, operator, above[0]))
        else:
            made.append(operator)
    return _needed(graph, made), problems


def _single(operator: Operator) -> bool:
    """Return whether an operator computes each number from those at its place alone."""
    if isinstance(operator, Function | Product | Add):
        return True
    return isinstance(operator, SINGLE) and all(
        (constant.values == constant.values.reshape(-1)[0]).all() for constant in operator.constants
    )


def _lookup(graph: Graph, makers: dict[str, Operator], end: Operator, root: str) -> Lookup:
    """Return the operator that stands for all those from a tensor to the output of one."""
    inside: set[str] = set()
    waiting = [end.output]
    while waiting:
        name = waiting.pop()
        if name != root and name not in inside:
            inside.add(name)
            waiting += makers[name].inputs
    steps = [operator for operator in graph.operators if operator.output in inside]
    tensors = {
        name: Tensor((1, 1, 1), graph.tensors[name].quantization) for name in (root, *inside)
    }
    own = Graph(
        name="function",
        source=graph.source,
        input=root,
        output=end.output,
        tensors=tensors,
        operators=tuple(_scalar(step) for step in steps),
    )
    return Lookup(name=end.name, inputs=(root,), output=end.output, clamp=end.clamp, graph=own)


def _scalar(operator: Operator) -> Operator:
    """Return an operator with one number in place of equal ones."""

    def one(constant: Constant) -> Constant:
        return replace(constant, values=constant.values.reshape(-1)[:1].reshape(1, 1, 1))

    if isinstance(operator, Affine):
        return replace(operator, scale=one(operator.scale), shift=one(operator.shift))
    return replace(operator, slope=one(operator.slope)) if isinstance(operator, Leaky) else operator


def _needed(graph: Graph, operators: Iterable[Operator]) -> Graph:
    """Return the graph with those of some operators that its output depends on."""
    needed, kept = {graph.input, graph.output}, []
    for operator in reversed(list(operators)):
        if operator.output in needed:
            needed.update(operator.inputs)
            kept.append(operator)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in needed}
    return replace(graph, operators=tuple(reversed(kept)), tensors=tensors)


def values_of(lookup: Lookup, evaluate: Callable[..., dict[str, Doubles]], x: Doubles) -> Doubles:
    """Return the values of an activation function for real numbers, shape as `x`.

    Parameters
    ----------
    lookup : Lookup
    evaluate : callable
        `sqhw.frontends.neutral.evaluate.evaluate`.
    x : ndarray of float64
    """
    found = evaluate(lookup.graph, np.asarray(x, np.float64).reshape(1, 1, 1, -1))
    return found[lookup.graph.output].reshape(x.shape)
