"""Importing a module: it is traced, its nodes become layers, and both are run and compared."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, fx, nn

from sqhw.errors import SqhwError
from sqhw.frontends.folding.view import View
from sqhw.frontends.torch_module import arguments, facts
from sqhw.frontends.torch_module.builder import Builder
from sqhw.frontends.torch_module.check import Check, Sample
from sqhw.frontends.torch_module.effects import make_functional
from sqhw.frontends.torch_module.operations import apply
from sqhw.frontends.torch_module.pixels import Pixels
from sqhw.frontends.torch_module.reference import require_one_input, run_reference
from sqhw.frontends.torch_module.supported import unsupported
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.frontends.torch_module.trace import Root, trace
from sqhw.network.floats import FloatLayer, FloatNetwork, check_input
from sqhw.network.graph import INPUT, Shape


def import_module(
    module: nn.Module,
    input_shape: Shape,
    *,
    name: str = "network",
    input_max: int = 255,
    mean: Sequence[float] | npt.NDArray[Any] | Tensor = (0.0,),
    std: Sequence[float] | npt.NDArray[Any] | Tensor = (1.0,),
    images: npt.NDArray[Any] | Tensor | None = None,
) -> FloatNetwork:
    """Convert a torch module to the network that it computes in eval mode.

    A batch normalisation and other constants are folded into the layers around them, zero padding
    before a convolution is merged with its own, and an addition becomes a residual of the
    convolution whose bare output is one of its operands. Module and network are then run on
    random images and compared layer by layer.

    Parameters
    ----------
    module : nn.Module
        Maps normalised images to logits. Left as it is; a copy is run, in eval mode.
    input_shape : tuple of int (channels, height, width)
    name : str
    input_max : int
        Largest pixel value, 1 to 255.
    mean, std : sequence of float, ndarray or Tensor
        Normalisation ``(pixel / input_max - mean) / std`` that the module expects.
    images : ndarray or Tensor, shape (n, channels, height, width), optional
        Pixels, 0 to `input_max`, on which module and network are compared too.

    Returns
    -------
    FloatNetwork
        Its metadata say under ``notes`` what the import left out or added, a line each.

    Raises
    ------
    SqhwError
        Naming the layer that is not supported, or whose output differs, or the argument that is
        out of its range or of another type.
    """
    if not isinstance(module, nn.Module):
        raise SqhwError(
            f"import_module takes a torch.nn.Module, not a {type(module).__name__}; load weights "
            "into their module first (docs/import.md says how)"
        )
    name = arguments.text("name", name)
    input_shape = arguments.shape(input_shape)
    input_max = arguments.whole("input_max", input_max)
    mean, std = arguments.reals("mean", mean), arguments.reals("std", std)
    check_input(name, input_shape, input_max, mean, std)
    pixels = Pixels(input_shape, input_max, mean, std)
    with (
        torch_threads(1),  # grouped convolutions in double precision crawl on several
        torch.inference_mode(False),
        torch.autocast("cpu", enabled=False),
    ):
        return _imported(module, name, pixels, images)


def _imported(
    module: nn.Module,
    name: str,
    pixels: Pixels,
    images: npt.NDArray[Any] | Tensor | None,
) -> FloatNetwork:
    require_one_input(module)
    reference = run_reference(module, pixels.normalised(pixels.random()), name)
    samples = [Sample(pixels.random(), reference.output)]
    for part in () if images is None else pixels.own(images):
        samples.append(Sample(part, reference.run(pixels.normalised(part))))
    root = Root(reference.module)
    graph = trace(root, name)
    if reference.failure is None:
        make_functional(graph, root, reference.images[:1])
    build, layers = _built(graph, root, pixels.shape, name)
    mean, std = build.normalisation(
        pixels.mean, pixels.std, "arithmetic on the input in forward() is part of mean and std"
    )
    network = FloatNetwork(
        name=name,
        input_shape=pixels.shape,
        input_max=pixels.input_max,
        mean=mean,
        std=std,
        layers=layers,
        metadata={"notes": "\n".join(build.notes)} if build.notes else {},
    )
    if reference.failure is not None:
        raise SqhwError(
            f"network {name!r}: the module fails on an image of shape {pixels.shape}: "
            f"{reference.failure}"
        )
    if reference.unstable is not None:
        raise reference.unstable
    check = Check(network, graph, root, build.shown(), build.bare, pixels, reference.dtype)
    for sample in samples:
        check.run_sample(sample)
    return network


def _built(
    graph: fx.Graph, root: nn.Module, shape: Shape, name: str
) -> tuple[Builder, tuple[FloatLayer, ...]]:
    """Return the builder when it is done, and the layers."""
    build = Builder(shape, _readers(graph))
    known: dict[fx.Node, Any] = {}
    for node in graph.nodes:
        args, kwargs = _resolved(node, {**known, **build.views})
        if node.op == "placeholder":
            build.views[node] = View(INPUT, shape)
        elif node.op == "output":
            if not isinstance(args[0], View):
                raise unsupported(node, "an output of other than one tensor", "return the logits")
            return build, build.result(node, args[0])
        elif not any(source in build.views for source in node.all_input_nodes):
            known[node] = facts.computed(node, root, args, kwargs)
        elif facts.asks_size(node):
            known[node] = facts.size(node, *args, **kwargs)
        else:
            layer = root.get_submodule(str(node.target)) if node.op == "call_module" else None
            build.views[node] = apply(build, node, layer, args, kwargs)
    raise SqhwError(f"network {name!r}: its forward() returns nothing")


def _resolved(node: fx.Node, values: dict[fx.Node, Any]) -> tuple[Any, Any]:
    """Return the arguments of a node, each node among them replaced by its value."""

    def value(at: fx.Node) -> Any:
        return values.get(at)

    return fx.node.map_arg(node.args, value), fx.node.map_arg(node.kwargs, value)


def _readers(graph: fx.Graph) -> dict[fx.Node, list[fx.Node]]:
    """Return the nodes of a graph with those that read their values."""
    return {
        node: [user for user in node.users if not facts.asks_size(user)] for node in graph.nodes
    }
