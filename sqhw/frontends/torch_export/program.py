"""The graph of an exported program as plain data: calls of ATen operators with their arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqhw.errors import SqhwError, shown
from sqhw.files.plain import typed

#: Number that stands for the number of images in a shape.
IMAGES = 0
#: Sizes of an axis are below this number.
MAX_SIZE = 1 << 31
#: Prefix of the names of operators.
PREFIX = "torch.ops."


@dataclass(frozen=True)
class Tensor:
    """The name of a tensor among the arguments of a call."""

    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """A call of an operator.

    Parameters
    ----------
    name : str
        Name of the node.
    target : str
        Name of the operator, such as ``aten.relu.default``.
    arguments : dict of str to Any
        Numbers, texts, lists of them, `Tensor`, or None, by the names of the operator's schema.
        Whole numbers that are not known, such as the number of images, are `IMAGES`.
    outputs : tuple of str
        Names of the tensors that it makes.
    """

    name: str
    target: str
    arguments: dict[str, Any]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """An exported program.

    Parameters
    ----------
    calls : tuple of Call
    inputs, outputs : tuple of str
        Tensors of the user.
    stored : dict of str to str
        Names of weights and constants in the archive, by the tensor that each is in the graph.
    shapes : dict of str to tuple of int
        Shape of every tensor; `IMAGES` where a size is not known.
    kinds : dict of str to int
        Number of the type of every tensor.
    """

    calls: tuple[Call, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    stored: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    kinds: dict[str, int]


def read_program(raw: Any) -> Program:
    """Return the program of a model's JSON.

    Raises
    ------
    SqhwError
        If it is not of the form that torch.export.save writes.
    """
    try:
        module = raw["graph_module"]
        graph, signature = module["graph"], module["signature"]
        values = {
            name: (tuple(map(_size, value["sizes"])), typed(int, value["dtype"]))
            for name, value in graph["tensor_values"].items()
        }
        inputs, stored = _inputs(signature["input_specs"])
        calls = tuple(_call(node) for node in graph["nodes"])
        outputs = tuple(
            name
            for spec in signature["output_specs"]
            if "user_output" in spec
            for name in _tensors(spec["user_output"]["arg"])
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {str(error)[:80]}"
        raise SqhwError(f"its JSON is not of the form that torch.export writes ({what})") from None
    return Program(
        calls,
        inputs,
        outputs,
        stored,
        {name: shape for name, (shape, _) in values.items()},
        {name: kind for name, (_, kind) in values.items()},
    )


def _inputs(specs: list[Any]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the user's inputs, and the stored name of every other one."""
    inputs: list[str] = []
    stored: dict[str, str] = {}
    for spec in specs:
        ((kind, content),) = spec.items()
        if kind == "user_input":
            inputs += _tensors(content["arg"])
            continue
        key = next((name for name in content if name.endswith("_name")), None)
        if key is None:
            raise SqhwError(f"it has an input of the kind {shown(kind)}, which is not read")
        stored[typed(str, content["arg"]["name"])] = typed(str, content[key])
    return tuple(inputs), stored


def _call(node: Mapping[str, Any]) -> Call:
    target = typed(str, node["target"]).removeprefix(PREFIX)
    outputs = tuple(name for one in node["outputs"] for name in _tensors(one))
    name = node.get("name") or (outputs[0] if outputs else target)
    arguments = {typed(str, one["name"]): _value(one["arg"]) for one in node["inputs"]}
    return Call(typed(str, name), target, arguments, outputs)


def _tensors(argument: Any) -> list[str]:
    """Return the names of the tensors of an argument."""
    value = _value(argument)
    parts = value if isinstance(value, list) else [value]
    return [part.name for part in parts if isinstance(part, Tensor)]


def _value(argument: Any) -> Any:
    """Return an argument: the one entry of an object, whose key says its type."""
    ((kind, content),) = argument.items()
    if kind == "as_tensor":
        return Tensor(typed(str, content["name"]))
    if kind == "as_tensors":
        return [Tensor(typed(str, one["name"])) for one in content]
    if kind == "as_none":
        return None
    if kind == "as_sym_int":
        return _symbol(content)
    if kind == "as_sym_ints":
        return [_symbol(one) for one in content]
    return content


def _symbol(content: Any) -> int:
    """Return a whole number, `IMAGES` if it has a name only."""
    return typed(int, content["as_int"]) if "as_int" in content else IMAGES


def _size(content: Any) -> int:
    size = _symbol(content)
    if not 0 <= size < MAX_SIZE:
        raise ValueError(f"a size of {size}")
    return size
