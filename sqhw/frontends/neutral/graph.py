"""The neutral graph: tensors, and the operators that make them.

A tensor without a quantization holds real numbers. A tensor with one holds the integers of its
grid: the operator that makes it computes real numbers from the real numbers that its inputs stand
for, which are then rounded to the grid and clamped to its range, and to the operator's `clamp`.
How a runtime rounds in between is its own affair: `Graph.source` tells the format.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sqhw.errors import SqhwError, shown
from sqhw.files.plain import located
from sqhw.frontends.neutral.operators import Flatten, Operator, Quantize, Shape
from sqhw.frontends.neutral.quantization import Quantization
from sqhw.network.limits import Extent, check_name


@dataclass(frozen=True, eq=False)
class Tensor:
    """What one image has between two operators, without the axis of the batch.

    Parameters
    ----------
    shape : tuple of int (channels, height, width)
        A vector of `n` values, and any value after Flatten, has shape (n, 1, 1). Maps of one
        dimension have height 1. Readers of files that store channels last transpose shapes,
        weights and axes.
    quantization : Quantization, optional
        Grid of its integers; None for real numbers.
    """

    shape: Shape
    quantization: Quantization | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """Operators in the order of their execution, checked when it is made.

    Parameters
    ----------
    name : str
        Name of the network.
    source : str
        Format of the file, for example ``"onnx"`` or ``"tflite"``.
    input, output : str
        Names of the tensor that an image is, and of the one with the scores.
    tensors : dict of str to Tensor
        Every tensor by name, the input included.
    operators : tuple of Operator
        Each reads tensors of earlier ones. What does nothing (Identity, Dropout, Cast between
        floats) is left out by the reader, what does not change the largest score (Softmax at the
        end) is left out with a note.
    pixels : bool
        Whether the numbers of the input are pixels as they are, without normalisation.
    notes : tuple of str
        What the reader left out or changed, a sentence each.

    Raises
    ------
    SqhwError
        If operators do not fit together, or a limit of `sqhw.network.limits` is exceeded; the
        message names the operator.
    """

    name: str
    source: str
    input: str
    output: str
    tensors: dict[str, Tensor]
    operators: tuple[Operator, ...]
    notes: tuple[str, ...] = field(default=())
    pixels: bool = False

    def __post_init__(self) -> None:
        _check(self)

    @property
    def quantized(self) -> bool:
        """Whether a tensor or a constant has a quantization."""
        return any(tensor.quantization for tensor in self.tensors.values()) or any(
            constant.quantization for operator in self.operators for constant in operator.constants
        )

    def readers(self, tensor: str) -> tuple[Operator, ...]:
        """Return the operators that read a tensor, in the order of their execution."""
        return tuple(operator for operator in self.operators if tensor in operator.inputs)

    def merged(self) -> "Graph":
        """Return the graph without each `Quantize` that is all that reads a tensor of reals.

        The operator before it makes the quantized tensor itself, as in files of integers.
        """
        readers: dict[str, int] = {}
        for operator in self.operators:
            for tensor in operator.inputs:
                readers[tensor] = readers.get(tensor, 0) + 1
        makers: dict[str, int] = {}
        kept: list[Operator] = []
        for operator in self.operators:
            source = operator.inputs[0]
            if (
                isinstance(operator, Quantize)
                and source in makers
                and readers[source] == 1
                and source != self.output
                and self.tensors[source].quantization is None
            ):
                at = makers[source]
                kept[at] = replace(kept[at], output=operator.output, clamp=operator.clamp)
            else:
                at = len(kept)
                kept.append(operator)
            makers[operator.output] = at
        names = {self.input, *(operator.output for operator in kept)}
        tensors = {name: tensor for name, tensor in self.tensors.items() if name in names}
        return replace(self, tensors=tensors, operators=tuple(kept))


def quantized_first(graph: Graph) -> Graph:
    """Return the graph with maps of reals that are flattened and then quantized the other way."""
    tensors, operators = dict(graph.tensors), list(graph.operators)
    for at, later in enumerate(graph.operators):
        if not isinstance(later, Quantize) or len(graph.readers(later.inputs[0])) > 1:
            continue
        grid = graph.tensors[later.output].quantization
        before = next((i for i, one in enumerate(operators) if one.output == later.inputs[0]), -1)
        flat = operators[before] if before >= 0 else None
        if not isinstance(flat, Flatten) or grid is None or grid.axis is not None:
            continue
        (source,) = flat.inputs
        if graph.tensors[source].quantization is None and len(graph.readers(source)) == 1:
            if source == graph.input or flat.output == graph.output:
                continue
            tensors[flat.output] = Tensor(graph.tensors[source].shape, grid)
            operators[before] = replace(later, inputs=(source,), output=flat.output)
            operators[at] = replace(flat, inputs=(flat.output,), output=later.output)
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _check(graph: Graph) -> None:
    check_name("network", graph.name)
    extent = Extent(graph.name, len(graph.operators))
    made: set[str] = set()
    _add(graph, extent, f"network {graph.name!r}: its input", graph.input, made)
    names: set[str] = set()
    for operator in graph.operators:
        where = f"layer {operator.name!r}"
        check_name("layer", operator.name)
        if operator.name in names:
            raise SqhwError(f"{where}: the name is used twice")
        names.add(operator.name)
        _require(where, operator.inputs, made)
        with located(where):
            shape = operator.output_shape(*(graph.tensors[name].shape for name in operator.inputs))
        _add(graph, extent, where, operator.output, made)
        found = graph.tensors[operator.output]
        if found.shape != shape:
            raise SqhwError(
                f"{where}: makes a tensor of {shape}, which is said to be {found.shape}"
            )
        clamp, grid = operator.clamp, found.quantization
        if clamp and (grid is None or not grid.lo <= clamp[0] <= clamp[1] <= grid.hi):
            raise SqhwError(f"{where}: its bounds {clamp} are not those of integers of its output")
    _require(f"network {graph.name!r}", (graph.output,), made)


def _require(where: str, names: Iterable[str], made: set[str]) -> None:
    for name in names:
        if name not in made:
            raise SqhwError(f"{where}: reads tensor {shown(name)}, which no earlier layer makes")


def _add(graph: Graph, extent: Extent, where: str, name: str, made: set[str]) -> None:
    """Add a tensor to those that are made."""
    check_name("tensor", name)
    if name in made:
        raise SqhwError(f"{where}: makes tensor {shown(name)} a second time")
    if name not in graph.tensors:
        raise SqhwError(f"{where}: tensor {shown(name)} has no shape")
    shape = graph.tensors[name].shape
    if len(shape) != 3 or min(shape) < 1:
        raise SqhwError(f"{where}: a shape must be (channels, height, width), not {shape}")
    extent.add_map(where, shape)
    made.add(name)
