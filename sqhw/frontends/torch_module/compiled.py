"""Compiled functions of torch while a module is traced: they record a call with a traced value.

Some releases of torch, 2.6 among them, check the numbers and sizes that a compiled function is
given before they look for a traced value among them: ``torch.reshape(x, (x.size(0), -1))`` is a
TypeError there.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, ModuleType
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

#: Compiled functions that make a constant from sizes alone.
_MAKERS = (torch.zeros, torch.ones, torch.full)


@contextmanager
def recorded(root: nn.Module) -> Iterator[None]:
    """Let the compiled functions of torch record every call with a traced argument.

    They are replaced where they are found by name: in torch, in torch.nn.functional, and in the
    Python modules that define the classes of the layers.

    Parameters
    ----------
    root : nn.Module
        What is traced meanwhile.
    """
    functions = {
        id(value): _recording(value)
        for functions in torch.overrides.get_overridable_functions().values()
        for value in (*functions, *_MAKERS)
        if isinstance(value, BuiltinFunctionType)
    }
    found = [
        (space, name, value)
        for space in _spaces(root)
        for name, value in vars(space).items()
        if id(value) in functions
    ]
    try:
        for space, name, value in found:
            setattr(space, name, functions[id(value)])
        yield
    finally:
        for space, name, value in found:
            setattr(space, name, value)


def _spaces(root: nn.Module) -> list[ModuleType]:
    names = {type(module).__module__ for module in root.modules()}
    own = [
        space for name in sorted(names) if isinstance(space := sys.modules.get(name), ModuleType)
    ]
    return [torch, functional, *(space for space in own if space not in (torch, functional))]


def _recording(function: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def record(*args: Any, **kwargs: Any) -> Any:
        traced = _traced((args, kwargs))
        if traced is None:
            return function(*args, **kwargs)
        return traced.tracer.create_proxy("call_function", function, args, kwargs)

    return record


def _traced(value: Any) -> fx.Proxy | None:
    """Return a traced value in nested tuples, lists and dictionaries, if there is one."""
    if isinstance(value, fx.Proxy):
        return value
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            if (traced := _traced(part)) is not None:
                return traced
    return None
