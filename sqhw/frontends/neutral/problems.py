"""What keeps a model from being imported: every cause at once, each with its way out."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqhw.errors import SqhwError, shown

#: Most nodes that a cause lists; the number of the others follows them.
MAX_NODES = 20
#: Most characters of a message, and of a cause in it; the number of other causes follows.
MAX_CHARS, MAX_CAUSE_CHARS = 1600, 800


@dataclass(frozen=True)
class Problem:
    """A cause why a model is not imported.

    Parameters
    ----------
    node : str
        Name of the operator in the file, or of the tensor at fault.
    kind : str
        Type of the operator as the file spells it, for example ``LeakyRelu``.
    reason : str
        What is not supported, as the predicate of a sentence on the node.
    instead : str
        What to do, as an instruction; may be empty.
    """

    node: str
    kind: str
    reason: str
    instead: str = ""

    def __str__(self) -> str:
        hint = f" ({self.instead})" if self.instead else ""
        return f"{self.kind[:80]} {shown(self.node)} {self.reason}{hint}"


class Refused(Exception):
    """An operator that is not taken, on its way to the list of all of them.

    Parameters
    ----------
    reason : str
        Predicate of a sentence on the operator.
    instead : str
        What to do, as an instruction; may be empty.
    """

    def __init__(self, reason: str, instead: str = "") -> None:
        super().__init__(reason)
        self.reason, self.instead = reason, instead


def refuse(problems: Sequence[Problem]) -> None:
    """Raise SqhwError with every problem, if there are any.

    Problems of the same kind, reason and way out are one entry with all their nodes.
    """
    if not problems:
        return
    groups: dict[tuple[str, str, str], list[str]] = {}
    for problem in problems:
        groups.setdefault((problem.kind, problem.reason, problem.instead), []).append(problem.node)
    texts: list[str] = []
    for (kind, reason, instead), nodes in groups.items():
        text = str(Problem(nodes[0], kind, reason, instead))
        others = ", ".join(map(shown, nodes[1:MAX_NODES]))
        if len(nodes) > MAX_NODES:
            others += f" and {len(nodes) - MAX_NODES} more"
        text = f"{text}, also {others}" if others else text
        if len(text) > MAX_CAUSE_CHARS:
            text = f"{text[:MAX_CAUSE_CHARS]}..."
        if texts and sum(map(len, texts)) + len(text) > MAX_CHARS:
            texts.append(f"and {len(groups) - len(texts)} other causes")
            break
        texts.append(text)
    raise SqhwError("; ".join(texts))
