"""Mutations of ONNX files that protobuf can parse: nodes, attributes, shapes, names, arrays."""

import random
from typing import Any

import onnx
from onnx import helper

from benchmarks.fuzz.mutate import Mutated

#: Numbers for sizes, axes and attributes.
NUMBERS = (0, 1, -1, 2, 3, 7, 255, 1 << 16, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63))
#: Kinds that a node becomes.
KINDS = (
    *("Add", "Clip", "Concat", "ConstantOfShape", "Conv", "DequantizeLinear", "Expand", "Flatten"),
    *("Gather", "Gemm", "GRU", "MatMul", "MaxPool", "Pad", "QLinearConv", "Quant", "Range"),
    *("ReduceMean", "Relu", "Reshape", "Resize", "Slice", "Softmax", "Squeeze", "Tile"),
    *("Transpose", "Trunc", "Unsqueeze", "Where"),
)
NAMES = ("", "x", "y", "x" * 5000, "a\n\x1b[31m", "\u202e", "..", "../../etc/passwd")


def mutate_model(data: bytes, rng: random.Random) -> Mutated:
    """Change one to four places of a model."""
    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(_CHANGES)(model, rng)
    return model.SerializeToString(), False


def _node(model: Any, rng: random.Random) -> Any:
    return rng.choice(model.graph.node) if model.graph.node else onnx.NodeProto()


def _rewire(model: Any, rng: random.Random) -> None:
    node = _node(model, rng)
    names = [name for one in model.graph.node for name in (*one.input, *one.output)] or ["x"]
    ends = node.input if rng.random() < 0.8 else node.output
    if ends and rng.random() < 0.8:
        ends[rng.randrange(len(ends))] = rng.choice((rng.choice(names), rng.choice(NAMES)))
    elif ends and rng.random() < 0.5:
        del ends[rng.randrange(len(ends))]
    else:
        ends.append(rng.choice(names))


def _change_kind(model: Any, rng: random.Random) -> None:
    node = _node(model, rng)
    node.op_type = rng.choice(KINDS)
    if rng.random() < 0.3:
        node.domain = rng.choice(("onnx.brevitas", "com.microsoft", "my.own", ""))


def _change_attribute(model: Any, rng: random.Random) -> None:
    node = _node(model, rng)
    if not node.attribute or rng.random() < 0.2:
        name = rng.choice(("pads", "strides", "dilations", "group", "axis", "axes", "perm", "to"))
        value = [rng.choice(NUMBERS) for _ in range(rng.choice((1, 2, 4)))]
        node.attribute.append(helper.make_attribute(name, rng.choice((value, value[0]))))
        return
    attribute = rng.choice(node.attribute)
    action = rng.random()
    if action < 0.5 and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
    elif action < 0.6 and attribute.ints:
        attribute.ints.append(rng.choice(NUMBERS))
    elif action < 0.7:
        attribute.type = rng.randrange(15)
    elif action < 0.8:
        attribute.f = rng.choice((float("nan"), float("inf"), -1.0, 1e38, 1e-45))
    else:
        attribute.i = rng.choice(NUMBERS)


def _change_array(model: Any, rng: random.Random) -> None:
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    action = rng.random()
    if action < 0.3 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif action < 0.4:
        tensor.dims.extend([1] * rng.choice((1, 3, 40)))
    elif action < 0.55:
        tensor.data_type = rng.randrange(28)
    elif action < 0.7:
        tensor.raw_data = tensor.raw_data[: rng.choice((0, 1, 4, 7))] * rng.choice((1, 3))
    elif action < 0.8:
        tensor.name = rng.choice(NAMES)
    elif action < 0.9:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", rng.choice((*NAMES, "/etc/passwd", "net.onnx"))
    else:
        content = bytearray(tensor.raw_data or b"\0" * 8)
        at = rng.randrange(len(content))
        content[at : at + 4] = rng.choice((b"\xff" * 4, b"\0\0\xc0\x7f", b"\0\0\x80\x7f"))
        tensor.raw_data = bytes(content)


def _change_input(model: Any, rng: random.Random) -> None:
    if not model.graph.input:
        return
    kind = model.graph.input[0].type.tensor_type
    dims = kind.shape.dim
    action = rng.random()
    if action < 0.5 and dims:
        rng.choice(dims).dim_value = rng.choice(NUMBERS)
    elif action < 0.7 and dims:
        rng.choice(dims).dim_param = rng.choice(NAMES)
    elif action < 0.8:
        dims.add().dim_value = rng.choice(NUMBERS)
    elif action < 0.9:
        kind.elem_type = rng.randrange(28)
    else:
        model.graph.input[0].name = rng.choice(NAMES)


def _change_list(model: Any, rng: random.Random) -> None:
    """Remove, repeat or move a node, or say another version of an operator set."""
    nodes = model.graph.node
    action = rng.random()
    if action < 0.3 and nodes:
        del nodes[rng.randrange(len(nodes))]
    elif action < 0.5 and nodes:
        nodes.append(rng.choice(nodes))
    elif action < 0.7 and nodes:
        nodes.insert(0, rng.choice(nodes))
    elif action < 0.9 and model.opset_import:
        rng.choice(model.opset_import).version = rng.choice((*range(1, 28), *NUMBERS))
    elif model.graph.output:
        model.graph.output[0].name = rng.choice(NAMES)


_CHANGES = (
    _rewire,
    _change_kind,
    _change_attribute,
    _change_attribute,
    _change_array,
    _change_array,
    _change_input,
    _change_list,
)
