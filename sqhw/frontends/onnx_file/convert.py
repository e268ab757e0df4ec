"""ONNX files to the neutral graph, and to float networks."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sqhw.errors import SqhwError
from sqhw.files.plain import located
from sqhw.frontends.neutral.elementwise import looked_up
from sqhw.frontends.neutral.graph import Graph
from sqhw.frontends.neutral.problems import refuse
from sqhw.frontends.onnx_file import (
    activations,
    arithmetic,
    integers,
    joining,
    layers,
    pooling,
    quantizers,
    shapes,
)
from sqhw.frontends.onnx_file.file import Model, load_model
from sqhw.frontends.onnx_file.folding import FOLDS, Folder
from sqhw.frontends.onnx_file.instead import instead_of
from sqhw.frontends.onnx_file.node import MISFITS, Node, Unsupported, reason_of
from sqhw.frontends.onnx_file.reader import Reader, as_problem
from sqhw.frontends.onnx_file.values import Known, Value, reshaped, transposed

Handler = Callable[[Reader, Node], Known | Value]

#: Domains of QONNX: Brevitas, QONNX itself, FINN.
QONNX = ("onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general")
#: Domain of ONNX Runtime's own operators.
RUNTIME = "com.microsoft"

#: Handlers of nodes that read a value which depends on the image.
HANDLERS: dict[tuple[str, str], Handler] = {
    **{
        ("", kind): handler
        for kind, handler in {
            "Add": arithmetic.add,
            "ArgMax": activations.argmax,
            "AveragePool": pooling.average_pool,
            "BatchNormalization": layers.batch_norm,
            "Cast": shapes.cast,
            "Clip": activations.clip,
            "Concat": joining.concat,
            "Conv": layers.conv,
            "DequantizeLinear": quantizers.dequantize_linear,
            "Div": arithmetic.divide,
            "Dropout": shapes.dropout,
            "Elu": activations.elu,
            "Erf": activations.function("erf"),
            "Flatten": shapes.flatten,
            "Gelu": activations.gelu,
            "Gemm": layers.gemm,
            "GlobalAveragePool": pooling.global_average,
            "GlobalMaxPool": pooling.global_max,
            "HardSigmoid": joining.hard_sigmoid,
            "HardSwish": activations.function("hard_swish"),
            "Identity": shapes.same,
            "LeakyRelu": joining.leaky_relu,
            "LogSoftmax": activations.softmax,
            "MatMul": layers.matmul,
            "Max": activations.maximum,
            "MaxPool": pooling.max_pool,
            "Min": activations.minimum,
            "Mish": activations.function("mish"),
            "Mul": arithmetic.multiply,
            "Neg": arithmetic.negate,
            "PRelu": joining.prelu,
            "Pad": shapes.pad,
            "Pow": activations.power,
            "QLinearConv": integers.q_conv,
            "QLinearMatMul": integers.q_matmul,
            "QuantizeLinear": quantizers.quantize_linear,
            "ReduceMax": pooling.reduce_max,
            "ReduceMean": pooling.reduce_mean,
            "Relu": activations.relu,
            "Reshape": shapes.reshape,
            "Shape": shapes.shape,
            "Sigmoid": activations.sigmoid,
            "Size": shapes.size,
            "Slice": shapes.slice_,
            "Softmax": activations.softmax,
            "Softplus": activations.function("softplus"),
            "Squeeze": shapes.squeeze,
            "Sub": arithmetic.subtract,
            "Sum": arithmetic.add_all,
            "Swish": activations.swish,
            "Tanh": activations.function("tanh"),
            "Transpose": shapes.transpose,
            "Unsqueeze": shapes.unsqueeze,
        }.items()
    },
    **{
        (domain, kind): handler
        for domain in QONNX
        for kind, handler in {
            "BipolarQuant": quantizers.bipolar_quant,
            "IntQuant": quantizers.quant,
            "Quant": quantizers.quant,
            "Trunc": quantizers.trunc,
        }.items()
    },
    (RUNTIME, "QGemm"): integers.q_gemm,
    (RUNTIME, "QLinearAdd"): integers.q_add,
    (RUNTIME, "QLinearAveragePool"): integers.q_average,
    (RUNTIME, "QLinearGlobalAveragePool"): integers.q_global_average,
}
#: Quantizers, which make integers of constants too.
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear", "Quant", "IntQuant", "BipolarQuant")
#: Kinds that keep the integers of a constant as they are.
MOVERS = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def read_onnx(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    input_shape: Sequence[int] | None = None,
    output: str | None = None,
) -> Graph:
    """Return the neutral graph of an ONNX file; the file is read, never run.

    Parameters
    ----------
    path : path
    name : str, optional
        Name of the network; by default that of the file.
    input_shape : sequence of int, optional
        Shape of an image as the file orders it, for inputs of dynamic shape.
    output : str, optional
        Name of the output, if the file has several.

    Raises
    ------
    SqhwError
        If the file is no ONNX file, damaged, or has operators that are not supported; all of them
        are named, each with what to do instead.
    """
    with located(path):
        model = load_model(path, input_shape=input_shape, output=output)
        return graph_of(read_nodes(model), model, Path(path).stem if name is None else name)


def read_nodes(model: Model) -> Reader:
    """Return the reader after all nodes.

    Raises
    ------
    SqhwError
        Naming every node that is not supported.
    """
    read = Reader(model)
    fold = Folder()
    for node in model.nodes:
        _read_node(read, model, node, fold)
    refuse(read.problems)
    return read


def graph_of(read: Reader, model: Model, name: str) -> Graph:
    """Return the neutral graph of what a reader has read."""
    result = read.values.get(model.output)
    if not isinstance(result, Value):
        raise SqhwError("its output does not depend on its input")
    if model.arrays.narrow:
        read.notes.append(
            f"{len(model.arrays.narrow)} arrays of 16-bit floats are read as 32-bit ones"
        )
    needed, operators = {model.input, result.tensor}, []
    for operator in reversed(read.operators):
        if operator.output in needed:
            needed.update(operator.inputs)
            operators.append(operator)
    graph = Graph(
        name=name,
        source="onnx",
        input=model.input,
        output=result.tensor,
        tensors={tensor: read.tensors[tensor] for tensor in read.tensors if tensor in needed},
        operators=tuple(reversed(operators)),
        notes=tuple(read.notes),
        pixels=model.pixels,
    )
    graph, problems = looked_up(graph)
    refuse(problems)
    return graph


def _read_node(read: Reader, model: Model, node: Node, fold: Folder) -> None:
    """Give the outputs of a node their values; None after a problem, which is recorded."""
    read.values.update(dict.fromkeys(filter(None, node.outputs)))
    try:
        inputs = _inputs(read, model, node)
        handler = HANDLERS.get((node.domain, node.kind))
        if any(value is None for value in inputs.values()):
            if handler is None and not _folds(node):
                raise Unsupported("is not supported", instead_of(node))
            return  # after another problem
        made: Known | Value | None
        if any(isinstance(value, Value) for value in inputs.values()) or node.kind in QUANTIZERS:
            if handler is None:
                raise Unsupported("is not supported", instead_of(node))
            made = _checked(handler)(read, node)
        else:
            made = _folded(read, node, fold)
        read.values[node.outputs[0]] = made
    except SqhwError as error:
        problem = as_problem(node, error)
        if problem not in read.problems:
            read.problems.append(problem)


def _checked(handler: Handler) -> Handler:
    """Return a handler whose failures on odd numbers of inputs are refusals."""

    def call(read: Reader, node: Node) -> Known | Value:
        try:
            return handler(read, node)
        except MISFITS as error:
            reason = reason_of(error)
            raise Unsupported(f"has inputs or attributes that do not fit ({reason})") from None

    return call


def _inputs(read: Reader, model: Model, node: Node) -> dict[str, Known | Value | None]:
    """Return the inputs of a node by name; initializers are read when they are wanted."""
    found: dict[str, Known | Value | None] = {}
    for name in filter(None, node.inputs):
        if name not in read.values:
            read.values[name] = None
            read.values[name] = Known(model.arrays[name], name=name)
        found[name] = read.values[name]
    return found


def _folds(node: Node) -> bool:
    return not node.domain and node.kind in FOLDS


def _folded(read: Reader, node: Node, fold: Folder) -> Known:
    """Return what a node makes of constants."""
    sources = [read.values[name] if name else None for name in node.inputs]
    known = [source if isinstance(source, Known) else None for source in sources]
    first = known[0] if known else None
    name = "" if first is None else first.name
    if first is not None and not node.domain:
        if node.kind == "Transpose":
            order = node.integers("perm", tuple(reversed(range(first.array.ndim))))
            if order is None or sorted(order) != list(range(first.array.ndim)):
                raise Unsupported(f"has perm {order} for an array of shape {first.array.shape}")
            return transposed(first, order)
        if first.grid is not None and node.kind in MOVERS:
            moved = fold(node, [None if one is None else one.array for one in known])
            if moved is not None:
                return reshaped(first, moved.shape)
        if first.raw and node.kind == "Clip":
            return quantizers.clipped_constant(first, *activations.bounds(read, node))
    made = fold(node, [None if one is None else np.asarray(one.values) for one in known])
    if made is None:
        raise Unsupported("is not supported", instead_of(node))
    return Known(made, name=name)
