"""Operations that change a tensor in place, rewritten so that every value is made once."""

import inspect
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.supported import described, title

_OPERATORS = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


class _Writes(fx.Interpreter):
    """Runs a graph and finds, for every node, the earlier values that it changes."""

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        super().__init__(root, garbage_collect_values=False, graph=graph)
        self.extra_traceback = False  # it would be part of the error's text
        self.values: dict[fx.Node, Tensor] = {}
        self.changed: dict[fx.Node, list[fx.Node]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run a node; a tensor counts its changes, in common with all its views."""
        before = {at: value._version for at, value in self.values.items()}
        made = super().run_node(n)
        changed = [at for at, version in before.items() if self.values[at]._version != version]
        if changed:
            self.changed[n] = changed
        if isinstance(made, Tensor):
            self.values[n] = made
        return made


def make_functional(graph: fx.Graph, root: nn.Module, image: Tensor) -> None:
    """Replace operations in place by those that return new tensors, and drop unused nodes.

    What reads a changed tensor later reads the new one.

    Parameters
    ----------
    graph : fx.Graph
        Changed in place.
    root : nn.Module
        What the graph was traced from; its layers lose ``inplace=True``.
    image : Tensor, shape (1, channels, height, width)
        The graph is run on it to see which tensors share memory.

    Raises
    ------
    SqhwError
        If a change cannot be written in another way; it names the node.
    """
    writes = _Writes(root, graph)
    with torch.no_grad():
        writes.run(image.clone())
    order = {node: index for index, node in enumerate(graph.nodes)}
    for node, changed in writes.changed.items():
        late = {
            at: users
            for at in changed
            if (users := [user for user in at.users if order[user] > order[node]])
        }
        pure = _make_pure(node, root)
        for at, users in late.items():
            if at.op == "get_attr":
                raise _refused(node, root, f"changes {title(at)!r}, a parameter or buffer", "")
            if not pure or not _same_place(writes.values.get(node), writes.values[at]):
                raise _refused(
                    node,
                    root,
                    "changes a part or another shape of a tensor in place, which "
                    f"{title(users[0])!r} reads later",
                    "; compute a new tensor and use that",
                )
            for user in users:
                user.replace_input_with(at, node)
    for part in root.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    _drop_unused(graph)


def _refused(node: fx.Node, root: nn.Module, what: str, instead: str) -> SqhwError:
    layer = root.get_submodule(str(node.target)) if node.op == "call_module" else None
    return SqhwError(f"layer {title(node)!r}: {described(node, layer)} {what}{instead}")


def _same_place(a: Tensor | None, b: Tensor) -> bool:
    """Whether two tensors show the same memory in the same shape."""
    return a is not None and (
        a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride()
    )


def _make_pure(node: fx.Node, root: nn.Module) -> bool:
    """Let a node return a new tensor, if there is an operation that does; else return False."""
    if node.op == "call_module":
        return hasattr(root.get_submodule(str(node.target)), "inplace")
    if node.op == "call_method":
        name = str(node.target).removesuffix("_")
        if name == node.target or not hasattr(Tensor, name):
            return False
        node.target = name
        return True
    if node.op != "call_function" or "out" in node.kwargs or not callable(node.target):
        return False
    if node.target in _OPERATORS:
        node.target = _OPERATORS[node.target]
        return True
    name = getattr(node.target, "__name__", "")
    pure = getattr(torch, name[:-1], None) or getattr(functional, name[:-1], None)
    if name.endswith("_") and callable(pure):
        node.target = pure
        return True
    return _without_inplace(node)


def _without_inplace(node: fx.Node) -> bool:
    assert callable(node.target)
    try:
        bound = inspect.signature(node.target).bind(*node.args, **node.kwargs)
    except (TypeError, ValueError):
        return False
    if "inplace" not in bound.arguments:
        return False
    bound.arguments["inplace"] = False
    node.args, node.kwargs = bound.args, bound.kwargs
    return True


def _drop_unused(graph: fx.Graph) -> None:
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op not in ("output", "placeholder"):
            graph.erase_node(node)
