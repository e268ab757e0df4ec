"""Traced values that are known without an image: sizes, and what is made of weights alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from sqhw.errors import SqhwError
from sqhw.frontends.folding.view import View
from sqhw.frontends.torch_module.supported import described, unsupported


class Images(int):
    """The number of images, which no network may depend on; -1 where torch wants a number."""


def asks_size(node: fx.Node) -> bool:
    """Whether a node is about the size of a tensor and not about its values."""
    if node.op == "call_method":
        return node.target in ("size", "dim", "ndimension")
    return node.target is getattr and node.args[1:] in (("shape",), ("ndim",))


def size(node: fx.Node, x: View, key: Any = None, dim: Any = None) -> Any:
    """Return what `asks_size`: all dimensions, one of them, or their number."""
    dims = (Images(-1), *x.size)
    if node.target in ("dim", "ndimension") or key == "ndim":
        return len(dims)
    wanted = dim if key is None else key
    try:
        return dims if wanted in (None, "shape") else dims[wanted]
    except (IndexError, TypeError):
        raise unsupported(node, f"dimension {wanted} of {_shown(dims)}") from None


def _shown(dims: tuple[int, ...]) -> str:
    return "(" + ", ".join(["n", *map(str, dims[1:])]) + ")"


def computed(node: fx.Node, root: nn.Module, args: Any, kwargs: Any) -> Any:
    """Return the value of a node whose arguments are all known.

    Raises
    ------
    SqhwError
        If it depends on the number of images, or fails.
    """
    if node.op == "get_attr":
        value: Any = root
        for name in str(node.target).split("."):
            value = getattr(value, name)
        return value
    call: Callable[..., Any]
    layer = None
    if node.op == "call_module":
        call = layer = root.get_submodule(str(node.target))
    elif node.op == "call_method":
        call = getattr(args[0], str(node.target))
        args = args[1:]
    else:
        assert callable(node.target)
        call = node.target
        if getattr(call, "__name__", "") not in ("getitem", "getattr") and _counts(args):
            raise unsupported(
                node, "arithmetic on the number of images", "write -1, or x.flatten(1)"
            )
    try:
        with torch.no_grad():
            return call(*args, **kwargs)
    except Exception as error:  # whatever the user's arguments cause
        what = described(node, layer)
        raise SqhwError(f"layer {node.name!r}: {what} fails: {error}") from None


def _counts(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_counts, value))
    return isinstance(value, Images)
