"""The walk through the nodes of an ONNX file, which makes the neutral graph."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from sqhw.errors import SqhwError
from sqhw.frontends.neutral.graph import Tensor
from sqhw.frontends.neutral.operators import Flatten, Operator
from sqhw.frontends.neutral.problems import Problem
from sqhw.frontends.neutral.quantization import Quantization
from sqhw.frontends.onnx_file.arrays import Array
from sqhw.frontends.onnx_file.file import Model
from sqhw.frontends.onnx_file.node import Node, Unsupported
from sqhw.frontends.onnx_file.values import Doubles, Known, Value
from sqhw.network.limits import MAX_LAYERS, Extent

NCHW: tuple[int | None, ...] = (0, 1, 2)


class Reader:
    """Tensors and operators so far; handlers of nodes add to them.

    Parameters
    ----------
    model : Model

    Attributes
    ----------
    batch : int
        Number of images in the file.
    kind : str
        Type of the input's elements.
    readers : dict of str to list of Node
        The nodes that read each value.
    tensors, operators, notes
        Parts of the neutral graph.
    problems : list of Problem
        What keeps nodes from being read.
    values : dict
        Values by name; None after a problem.
    """

    def __init__(self, model: Model) -> None:
        shape = [1, 1, 1]
        axes = input_axes(model)
        for at, size in zip(axes, model.shape[1:], strict=True):
            shape[at] = size
        self.batch = model.shape[0]
        self.kind = model.kind
        self.readers = model.readers
        self.tensors = {model.input: Tensor((shape[0], shape[1], shape[2]))}
        self.operators: list[Operator] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        integer = np.issubdtype(np.dtype(model.kind), np.integer)
        self.values: dict[str, Known | Value | None] = {
            model.input: Value(model.input, axes, integer)
        }
        self._makers: dict[str, int] = {}
        self._counts: dict[str, int] = {f"tensor {model.input}": 1}
        self._extent = Extent("onnx", 0)
        self._extent.add_map("the input", self.tensors[model.input].shape)

    def shape(self, value: Value) -> tuple[int, ...]:
        """Return the shape that a value has in the file, with the axis of the images."""
        own = self.tensors[value.tensor].shape
        return (self.batch, *(1 if axis is None else own[axis] for axis in value.axes))

    def grid(self, value: Value) -> Quantization | None:
        """Return the grid of a value's tensor."""
        return self.tensors[value.tensor].quantization

    def set_grid(self, value: Value, grid: Quantization) -> None:
        """Say what the integers of a value stand for.

        Raises
        ------
        Unsupported
            If another node says something else.
        """
        found = self.grid(value)
        if found is None:
            tensor = self.tensors[value.tensor]
            self.tensors[value.tensor] = replace(tensor, quantization=grid)
        else:
            same_steps(found, grid)

    def add(
        self,
        node: Node,
        kind: type[Operator],
        *inputs: Value,
        axes: tuple[int | None, ...] | None = None,
        grid: Quantization | None = None,
        **fields: Any,
    ) -> Value:
        """Add an operator, and return the value that it makes.

        Parameters
        ----------
        node : Node
        kind : type of Operator
        *inputs : Value
        axes : tuple of int or None, optional
            Axes of the output; by default those of the first input.
        grid : Quantization, optional
            Grid of the output.
        **fields
            Parameters of the operator.
        """
        for value in inputs:
            if value.end is not None:
                raise Unsupported(
                    "is supported at the end of the network only",
                    "use ReLU, or ReLU6 where values must be bounded",
                    value.end,
                )
        if len(self.operators) >= MAX_LAYERS:
            raise Unsupported(f"is beyond the {MAX_LAYERS:,} operators of a network")
        output = self._free(f"tensor {node.outputs[0]}").removeprefix("tensor ")
        operator = kind(
            name=self._free(node.name),
            inputs=tuple(value.tensor for value in inputs),
            output=output,
            **fields,
        )
        shape = operator.output_shape(*(self.tensors[name].shape for name in operator.inputs))
        self._extent.add_map("its output", shape)
        self.tensors[output] = Tensor(shape, grid)
        self._makers[output] = len(self.operators)
        self.operators.append(operator)
        return Value(output, inputs[0].axes if axes is None else axes)

    def maker(self, value: Value) -> Operator | None:
        """Return the operator that makes a value, or None if it is the input."""
        at = self._makers.get(value.tensor)
        return None if at is None else self.operators[at]

    def replace_maker(self, value: Value, grid: Quantization, **fields: Any) -> Value:
        """Change the operator that makes a value, and the grid of its tensor."""
        at = self._makers[value.tensor]
        self.operators[at] = replace(self.operators[at], **fields)
        self.tensors[value.tensor] = replace(self.tensors[value.tensor], quantization=grid)
        return value

    def as_map(self, node: Node, value: Value) -> Value:
        """Return a value whose axes are channel, row and column, or channel and one of these.

        Raises
        ------
        Unsupported
            If its axes are in another order.
        """
        shape = self.shape(value)[1:]
        if len(shape) not in (2, 3):
            raise Unsupported(f"reads a value of {len(shape) + 1} axes, not 3 or 4")
        own = self.tensors[value.tensor].shape
        wide = [at for at, size in enumerate(shape) if size > 1]
        mapped = [value.axes[at] for at in wide]
        targets = NCHW if len(shape) == 3 else (0, value.axes[1] if value.axes[1] else 2)
        if all(value.axes[at] == targets[at] for at in wide):
            return replace(value, axes=targets)
        if len(wide) == 1 and wide[0] == 0:  # a vector that lies along rows or columns
            flat = self.add(node, Flatten, value, grid=self.grid(value))
            return replace(flat, axes=targets, integer=value.integer)
        raise Unsupported(
            f"reads a map whose axes are transposed ({mapped} of {own})",
            "export with channels first, without a Transpose in between",
        )

    def as_vector(self, node: Node, value: Value) -> Value:
        """Return a value of one axis that are the channels of its tensor."""
        if value.axes[-1] == 0 or prod(self.tensors[value.tensor].shape) == 1:
            return replace(value, axes=(*value.axes[:-1], 0))
        flat = self.add(node, Flatten, value, grid=self.grid(value))
        return replace(flat, axes=(*(None for _ in value.axes[:-1]), 0), integer=value.integer)

    def aligned(self, array: Array, value: Value) -> Doubles:
        """Return a constant that meets a value, with the three axes of its tensor.

        Raises
        ------
        Unsupported
            If the constant makes the value larger, or differs from image to image.
        """
        shape = self.shape(value)
        if array.ndim > len(shape) or any(
            own not in (1, size) for own, size in zip(array.shape[::-1], shape[::-1], strict=False)
        ):
            raise Unsupported(f"meets a value of shape {shape} with a constant of {array.shape}")
        full = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
        if full.shape[0] != 1:
            raise Unsupported("has constants that differ from image to image")
        order = [(value.axes.index(at) if at in value.axes else None) for at in range(3)]
        sizes = tuple(1 if at is None else full.shape[at + 1] for at in order)
        kept = [at for at in order if at is not None]
        rest = [at for at in range(len(value.axes)) if at not in kept]
        moved: Doubles = full[0].transpose([*kept, *rest]).astype(np.float64)
        return moved.reshape(sizes)

    def single(self, node: Node, at: int) -> Value:
        """Return an input that must depend on the image and be of real numbers."""
        value = self.input_value(node, at)
        if value.integer:
            raise Unsupported(
                "computes on integers without a scale",
                "put a DequantizeLinear before it, or convert the input to float",
            )
        return value

    def input_value(self, node: Node, at: int) -> Value:
        """Return an input that must depend on the image."""
        value = self.values.get(node.inputs[at]) if node.has(at) else None
        if not isinstance(value, Value):
            raise Unsupported(f"has a constant as input {at}")
        return value

    def known(self, node: Node, at: int, what: str) -> Known:
        """Return an input that must not depend on the image.

        Parameters
        ----------
        node : Node
        at : int
        what : str
            What the input is, for messages.
        """
        value = self.values.get(node.inputs[at]) if node.has(at) else None
        if not isinstance(value, Known):
            raise Unsupported(f"has no constant as its {what}", "fix it when you export")
        return value

    def optional(self, node: Node, at: int, what: str) -> Known | None:
        """Return an optional input that must not depend on the image."""
        return self.known(node, at, what) if node.has(at) else None

    def _free(self, name: str) -> str:
        """Return a name that was not returned before."""
        free = name
        while free in self._counts:
            self._counts[name] += 1
            free = f"{name}_{self._counts[name] - 1}"
        self._counts[free] = 1
        return free


def input_axes(model: Model) -> tuple[int, ...]:
    """Return the axis of the tensor that each axis of the input is, that of the images aside.

    Images have channels first unless what reads them moves the last axis to the channels.
    """
    rank = len(model.shape)
    if rank == 2:
        return (0,)
    last = has_channels_last(model.readers, model.input, model.shape)
    if rank == 3:
        return (2, 0) if last else (0, 2)
    return (1, 2, 0) if last else (0, 1, 2)


#: Kinds of nodes that leave the order of the axes as it is.
VALUE_BY_VALUE = (
    *("Add", "Sub", "Mul", "Div", "Neg", "Identity", "Cast", "Clip", "Dropout"),
    *("QuantizeLinear", "DequantizeLinear", "Quant", "IntQuant", "BipolarQuant"),
)


def has_channels_last(
    readers: Mapping[str, Sequence[Node]], name: str, shape: tuple[int, ...]
) -> bool:
    """Return whether the last axis of a value is its channels, by what reads it.

    It is if a Transpose moves it to the channels at once, or if there is one channel and a Reshape
    does. Nodes in between that compute value by value do not count.
    """
    queue, seen = [name], {name}
    while queue:
        for node in readers.get(queue.pop(), ()):
            order = node.attributes.get("perm")
            if node.kind == "Transpose" and order in ((0, 3, 1, 2), (0, 2, 1)):
                return True
            if node.kind == "Reshape" and shape[-1] == 1 < shape[1]:
                return True
            if node.kind in VALUE_BY_VALUE and node.outputs[0] not in seen:
                seen.add(node.outputs[0])
                queue.append(node.outputs[0])
    return False


def same_steps(a: Quantization, b: Quantization) -> None:
    """Refuse grids of different scales or zero points; ranges may differ.

    Raises
    ------
    Unsupported
    """
    if not (np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)):
        raise Unsupported(
            f"takes integers with scale {b.scale} and zero point {b.zero_point}, which were made "
            f"with {a.scale} and {a.zero_point}",
            "export the model anew",
        )


def as_problem(node: Node, error: SqhwError) -> Problem:
    """Return the problem of a node whose handler raised an error."""
    if isinstance(error, Unsupported):
        at = error.node or node
        return Problem(at.name, at.title, str(error), error.instead)
    return Problem(node.name, node.title, f"cannot be taken: {error}")
