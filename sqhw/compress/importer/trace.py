"""Importing a module: it is traced, and its nodes become layers one by one."""

import operator
from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from sqhw.compress.importer.builder import Builder
from sqhw.compress.importer.operations import apply
from sqhw.compress.importer.supported import SUPPORTED, unsupported
from sqhw.compress.importer.view import View
from sqhw.errors import SqhwError
from sqhw.float_network import FloatNetwork
from sqhw.network import INPUT, Shape

_ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.floordiv)


def import_module(
    module: nn.Module,
    input_shape: Shape,
    *,
    name: str = "network",
    input_max: int = 255,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    metadata: dict[str, str] | None = None,
) -> FloatNetwork:
    """Convert a torch module to the network that it computes in eval mode.

    A batch normalisation is folded into the convolution before it, zero padding before a
    convolution is merged with its own, and an addition becomes a residual of the convolution
    whose bare output is one of its operands.

    Parameters
    ----------
    module : nn.Module
        Maps normalised images to logits. Left as it is.
    input_shape : tuple of int (channels, height, width)
    name : str
    input_max : int
        Largest pixel value.
    mean, std : sequence of float
        Normalisation ``(pixel / input_max - mean) / std`` that the module expects.
    metadata : dict of str to str, optional

    Returns
    -------
    FloatNetwork

    Raises
    ------
    SqhwError
        Naming the layer that is not supported, its type and what is.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise SqhwError(
            f"network {name!r}: input shape must be (channels, height, width), "
            f"not {tuple(input_shape)}"
        )
    channels, height, width = input_shape
    shape = (channels, height, width)
    readers = _readers(_trace(module, name))
    build = Builder(shape, readers)
    facts: dict[fx.Node, Any] = {}
    for node in readers:
        args, kwargs = _resolved(node, {**facts, **build.views})
        if node.op == "placeholder":
            if build.views:
                raise unsupported(node, "a second input")
            build.views[node] = View(INPUT, shape)
        elif node.op == "output":
            if not isinstance(args[0], View):
                raise unsupported(node, "an output of other than one tensor")
            return FloatNetwork(
                name=name,
                input_shape=shape,
                input_max=input_max,
                mean=tuple(float(value) for value in mean),
                std=tuple(float(value) for value in std),
                layers=build.result(node, args[0]),
                metadata=dict(metadata or {}),
            )
        elif _is_fact(node):
            facts[node] = _fact(node, *args, **kwargs)
        else:
            layer = module.get_submodule(str(node.target)) if node.op == "call_module" else None
            build.views[node] = apply(build, node, layer, args, kwargs)
    raise SqhwError(f"network {name!r}: its forward() returns nothing")


def _trace(module: nn.Module, name: str) -> fx.Graph:
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        return fx.Tracer().trace(module)
    except Exception as error:
        # Tracing runs the user's forward(): any exception may come out of it.
        raise SqhwError(
            f"network {name!r}: torch.fx cannot trace it ({error}); supported: {SUPPORTED}"
        ) from None
    finally:
        for part, mode in modes:
            part.training = mode


def _resolved(node: fx.Node, values: dict[fx.Node, Any]) -> tuple[Any, Any]:
    """Return the arguments of a node, each node among them replaced by its value."""

    def value(at: fx.Node) -> Any:
        return values.get(at)

    return fx.node.map_arg(node.args, value), fx.node.map_arg(node.kwargs, value)


def _readers(graph: fx.Graph) -> dict[fx.Node, list[fx.Node]]:
    """Return the nodes that the output depends on, in order, with those that read their values."""
    needed: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "output" or any(user in needed for user in node.users):
            needed.add(node)
    return {
        node: [user for user in node.users if user in needed and not _is_fact(user)]
        for node in graph.nodes
        if node in needed
    }


def _is_fact(node: fx.Node) -> bool:
    """Whether a node is about the size of a tensor and not about its values."""
    if node.op == "call_method" and node.target in ("size", "dim"):
        return True
    if node.op != "call_function" or not node.args:
        return False
    if node.target is getattr:
        return node.args[1:] == ("shape",)
    return node.target in (operator.getitem, *_ARITHMETIC) and all(
        _is_fact(source) for source in node.all_input_nodes
    )


def _fact(node: fx.Node, source: Any, key: Any = None, dim: Any = None) -> Any:
    """Return a size, a dimension of it (-1 for the number of images), or what is made of such."""
    key = dim if key is None else key
    if callable(node.target) and node.target in _ARITHMETIC:
        if -1 in (source, key):
            raise unsupported(node, "arithmetic on the number of images")
        return node.target(source, key)
    size = source.size if isinstance(source, View) else source
    if node.target == "dim":
        return len(size)
    try:
        return size if key in (None, "shape") else size[key]
    except (IndexError, TypeError):
        raise unsupported(node, f"dimension {key} of {size}") from None
