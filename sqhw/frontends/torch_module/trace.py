"""Tracing a module with torch.fx, with errors that name the user's line."""

import linecache
import operator
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.compiled import recorded
from sqhw.frontends.torch_module.supported import DOCS, ROOT, layer_type

_TORCH = str(Path(torch.__file__).parent)
_TRACED = (TraceError, TypeError, RuntimeError, ValueError, NameError)
_HERE = str(Path(__file__).parent)
#: Advice by the tracer's exception: what it means, and what to write instead.
_CAUSES = (
    (
        r"cannot be iterated|not iterable",
        "iterates over a tensor or its size",
        "index it: x.shape[1], x.shape[2]",
    ),
    (
        r"control flow|cannot be converted|__bool__",
        "branches on a tensor's values or size",
        "decide by a constant of the module",
    ),
    (
        r"'len' is not supported|__len__",
        "takes len() of a tensor",
        "write x.shape[0], or x.flatten(1) in place of x.view(len(x), -1)",
    ),
    (
        r"interpreted as an integer|(int|float)\(\) argument|__index__|must be real|__(round|ceil)",
        "turns a tensor or its size into a Python number",
        "write a constant, or use + - * // alone",
    ),
    (
        r"is not installed as a submodule",
        "calls a module that is no attribute of the network",
        "assign it in __init__(): self.NAME = ...",
    ),
    (  # a compiled function that `recorded` did not find, in old releases of torch
        r"must be (int|float|Number|tuple of ints), .*(Proxy|TracedTensor)|ints, not (tuple|list)",
        "passes a size to a function imported from torch by name",
        "write torch.NAME(x, ...), or a method of x",
    ),
)


class TracedTensor(fx.Proxy):
    """A tensor while its module is traced; unlike those of torch.fx, it records writes."""

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("tracer", "node"):
            raise TypeError(f"sets attribute .{name} of a tensor; compute a new tensor instead")
        super().__setattr__(name, value)


def _augmented(target: Callable[..., Any]) -> Callable[[fx.Proxy, Any], fx.Proxy]:
    def method(self: fx.Proxy, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", target, (self, other), {})

    return method


for _name in ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"):
    setattr(TracedTensor, f"__{_name}__", _augmented(getattr(operator, _name)))


class Root(nn.Module):
    """Calls a module; traced in its place, so that the module's own attributes count."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Any:
        """Return what the module returns."""
        return self.module(x)


class _Tracer(fx.Tracer):
    """Traces to the layers of torch.nn, and keeps the path of modules that it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return the tensor that stands for a node's value."""
        return TracedTensor(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one of torch.nn and not a container; its weights may be computed."""
        home = layer_type(m).__module__
        return home.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(m, nn.Sequential)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Trace the call of a submodule."""
        self.inside.append(self.path_of_module(m).removeprefix(ROOT).removeprefix("."))
        made = super().call_module(m, forward, args, kwargs)
        self.inside.pop()
        return made


def trace(root: Root, name: str) -> fx.Graph:
    """Return the graph of what a module does to one tensor.

    Raises
    ------
    SqhwError
        If the module does more than that; it names the submodule and the line of its code.
    """
    tracer = _Tracer()
    try:
        with recorded(root):
            return tracer.trace(root)
    except SqhwError:
        raise
    except Exception as error:
        # Tracing runs the user's forward(): any exception may come out of it.
        _refuse(error, tracer.inside, name)


def _refuse(error: Exception, inside: list[str], name: str) -> NoReturn:
    where = f"layer {inside[-1]!r}" if inside and inside[-1] else f"network {name!r}"
    text = str(error)
    for pattern, what, instead in _CAUSES:
        if isinstance(error, _TRACED) and re.search(pattern, text):
            raise SqhwError(f"{where}: forward() {what}{_place(error)}; {instead}") from None
    said = re.sub(r"'?\bProxy\b(\([^)]*\))?'?( object)?|TracedTensor", "tensor", text)
    kind = type(error).__name__
    raise SqhwError(
        f"{where}: forward() cannot be traced ({kind}: {said.partition(chr(10))[0]})"
        f"{_place(error)}; {DOCS} supported"
    ) from None


def _place(error: Exception) -> str:
    """Return the last line of the user's own code that an exception passed, or nothing."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((_TORCH, _HERE, "<")):
            line = linecache.getline(frame.filename, frame.lineno or 0).strip()
            said = f", `{line}`" if line else ""
            return f" in {Path(frame.filename).name}, line {frame.lineno}{said}"
    return ""
