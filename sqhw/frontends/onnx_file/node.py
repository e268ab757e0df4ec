"""A node of an ONNX graph as plain data, and the exception for what it does not support."""

from dataclasses import dataclass, field
from typing import Any

from sqhw.errors import SqhwError, printable, shown

#: Names of the standard operator set's domain.
STANDARD = ("", "ai.onnx")
#: Errors of Python and NumPy for inputs and attributes that do not fit together.
MISFITS = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)


def reason_of(error: Exception) -> str:
    """Return the first line of an error for a message."""
    text = printable(str(error).split("\n", 1)[0][:160])
    return text or type(error).__name__


class Unsupported(SqhwError):
    """What a node does is not supported.

    Parameters
    ----------
    reason : str
        Predicate of a sentence on the node.
    instead : str
        What to do, as an instruction; may be empty.
    node : Node, optional
        The node at fault, if it is another than the one that is read.
    """

    def __init__(self, reason: str, instead: str = "", node: "Node | None" = None) -> None:
        super().__init__(reason)
        self.instead = instead
        self.node = node


@dataclass(frozen=True, eq=False)
class Node:
    """A node.

    Parameters
    ----------
    name : str
        Unique name; made of type and output where the file has none.
    kind : str
        Type of the operator.
    domain : str
        Operator set that defines it; the standard one is empty.
    version : int
        Version of that set.
    inputs, outputs : tuple of str
        Names of values; an empty one is an optional one that is left out.
    attributes : dict of str to Any
        Numbers, texts and lists of them, arrays; None where a type is not read (graphs).
    """

    name: str
    kind: str
    domain: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The type, with the domain unless it is the standard one."""
        return f"{self.domain}.{self.kind}" if self.domain else self.kind

    def has(self, index: int) -> bool:
        """Whether an optional input is given."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def uses(self, index: int) -> bool:
        """Whether an optional output has a name."""
        return index < len(self.outputs) and self.outputs[index] != ""

    def integer(self, name: str, default: int) -> int:
        """Return an attribute that is a whole number."""
        return int(self._typed(name, default, int))

    def real(self, name: str, default: float) -> float:
        """Return an attribute that is a number."""
        return float(self._typed(name, default, float))

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is a text."""
        return str(self._typed(name, default, str))

    def integers(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...] | None:
        """Return an attribute that is a list of whole numbers, or the default."""
        value = self.attributes.get(name, default)
        if value is not None and not (
            isinstance(value, tuple | list) and all(type(number) is int for number in value)
        ):
            raise Unsupported(f"has the attribute {name} = {shown(value)}, not whole numbers")
        return None if value is None else tuple(value)

    def _typed(self, name: str, default: Any, kind: type) -> Any:
        value = self.attributes.get(name, default)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Unsupported(f"has the attribute {name} = {shown(value)} of another type")
        return value
