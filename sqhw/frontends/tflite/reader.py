"""From a TensorFlow Lite file to the neutral graph."""

from collections.abc import Callable
from pathlib import Path

from sqhw.errors import SqhwError
from sqhw.files.input_file import read_bytes
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.files.plain import located
from sqhw.frontends.neutral import Graph, Problem, Refused, refuse
from sqhw.frontends.tflite import activations, layers, moves
from sqhw.frontends.tflite.building import INPUT_NAME, Building
from sqhw.frontends.tflite.layout import image_shape
from sqhw.frontends.tflite.model import FileModel, FileOperator, parse_model

#: Functions that add an operator to the graph, by its kind.
_HANDLERS: dict[str, Callable[[Building, FileOperator], None]] = {
    "ADD": layers.add,
    "AVERAGE_POOL_2D": layers.pool,
    "CONCATENATION": layers.concatenation,
    "CONV_2D": layers.convolution,
    "DEPTHWISE_CONV_2D": layers.depthwise,
    "FULLY_CONNECTED": layers.fully_connected,
    "MAX_POOL_2D": layers.pool,
    "MEAN": layers.mean,
    "MUL": layers.scaled,
    "SUB": layers.scaled,
    "DEQUANTIZE": moves.dequantize,
    "EXPAND_DIMS": moves.reshape,
    "PAD": moves.pad,
    "QUANTIZE": moves.quantize,
    "RESHAPE": moves.reshape,
    "SQUEEZE": moves.reshape,
    "RELU": activations.clip,
    "RELU6": activations.clip,
    "RELU_N1_TO_1": activations.clip,
    "LOGISTIC": activations.drop,
    "LOG_SOFTMAX": activations.drop,
    "SOFTMAX": activations.drop,
}
#: Advice by kind of an operator that is not read.
_INSTEAD = {
    **dict.fromkeys(
        ("LEAKY_RELU", "PRELU", "ELU", "HARD_SWISH", "GELU", "TANH"), "train with ReLU or ReLU6"
    ),
    **dict.fromkeys(
        ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE_CONV"),
        "the engine makes no map larger",
    ),
    "TRANSPOSE": "convert from a model whose data are channels last throughout",
    "BATCH_TO_SPACE_ND": "use a kernel without dilation",
    "SPACE_TO_BATCH_ND": "use a kernel without dilation",
    "REDUCE_MAX": "use MAX_POOL_2D over the whole map",
}


def read_tflite(path: Path) -> Graph:
    """Return the neutral graph of a TensorFlow Lite file.

    Raises
    ------
    SqhwError
        If it is no such file, damaged, or has operators that are not read, all of which the message
        names.
    """
    with located(path):
        return graph_of(parse_model(read_bytes(path, MAX_NETWORK_BYTES)), path.stem or "network")


def graph_of(model: FileModel, name: str) -> Graph:
    """Return the neutral graph of what a file holds.

    Raises
    ------
    SqhwError
        If operators or tensors are not read; the message names all of them.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise SqhwError(
            f"has {len(model.inputs)} inputs and {len(model.outputs)} outputs; networks of one "
            "input and one output are read"
        )
    building = Building(model)
    problems = []
    try:
        building.open_input()
    except Refused as refused:
        problems.append(Problem(INPUT_NAME, "input", refused.reason, refused.instead))
    for operator in model.operators:
        try:
            _add(building, operator)
        except Refused as refused:
            problems.append(Problem(operator.name, operator.kind, refused.reason, refused.instead))
    refuse(problems)
    return building.graph(name)


def _add(building: Building, operator: FileOperator) -> None:
    handler = _HANDLERS.get(operator.kind)
    if handler is None:
        raise Refused("is not read", _INSTEAD.get(operator.kind, ""))
    if operator.kind != "DEQUANTIZE":  # which may make weights
        for at in operator.outputs:
            image_shape(building.model.tensors[at])
    if len(operator.outputs) != 1 or not operator.inputs or operator.inputs[0] < 0:
        raise Refused("has no input, or not one output")
    handler(building, operator)
