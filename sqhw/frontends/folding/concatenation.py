"""Concatenation of channels: layers that write a map together, by skip connections.

A convolution gets channels without weights, and its skip connection adds the other map there. The
map is then written once more, by a layer that exists anyway.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from sqhw.errors import SqhwError
from sqhw.frontends.folding.builder import Builder
from sqhw.frontends.folding.view import View
from sqhw.network.floats import FloatConv, FloatResidual
from sqhw.network.graph import MaxPool

N = TypeVar("N", bound=Hashable)


def concatenated(build: Builder[N], node: N, parts: Sequence[View]) -> View:
    """Return a tensor with the channels of several, in their order.

    Parameters
    ----------
    build : Builder
    node : node of the source
    parts : sequence of View
        Tensors of one height and width.
    """
    parts = [build.settle(node, part) for part in parts]
    sizes = sorted({part.shape[1:] for part in parts})
    if len(sizes) > 1 or len({part.flat for part in parts}) > 1:
        raise SqhwError(
            f"layer {build.title(node)!r}: joins maps of different sizes, "
            + " and ".join(f"{high}x{wide}" for high, wide in sizes)
        )
    if not all(part.plain for part in parts):
        raise build.unsupported(node, "a concatenation of padded or sliced tensors")
    tensors = [part.tensor for part in parts]
    made, *rest = parts
    for part in rest:
        made = _joined(build, node, made, part, tensors)
    return replace(made, flat=parts[0].flat)


def _joined(build: Builder[N], node: N, one: View, other: View, tensors: list[str]) -> View:
    """Return the channels of `one`, then those of `other`."""
    before, behind = one.shape[0], other.shape[0]
    for host, skip, first, zeros in (
        (other, one, 0, (before, 0)),
        (one, other, before, (0, behind)),
    ):
        layer = build.layers.get(host.tensor)
        if (
            isinstance(layer, FloatConv)
            and tensors.count(host.tensor) == 1
            and _takes(build, node, layer, skip)
        ):
            build.hide(layer.name)
            return build.put(_wider(layer, zeros, FloatResidual(skip.tensor, first=first)))
    weight = np.eye(before + behind, before)[:, :, None, None]
    name = build.free_name(node)
    build.notes.append(
        f"layer {name!r} copies {one.tensor!r} beside {other.tensor!r}, as neither is the output "
        "of a convolution that nothing else reads"
    )
    return build.put(
        FloatConv(
            name=name,
            source=one.tensor,
            weight=weight,  # type: ignore[arg-type]
            bias=np.zeros(before + behind),  # type: ignore[arg-type]
            residual=FloatResidual(other.tensor, first=before),
        )
    )


def _takes(build: Builder[N], node: N, layer: FloatConv, skip: View) -> bool:
    """Return whether a layer can add a tensor as further channels, its activation included."""
    if not layer.trained or layer.groups > 1 or layer.residual is not None:
        return False
    if build.other_reader(node, (layer.name,)) is not None:
        return False
    if layer.bare:
        return True
    if layer.has_table:
        return False
    return build.not_negative(skip) and (
        layer.ceiling is None or _ceiling(build, skip.tensor) <= layer.ceiling
    )


def _ceiling(build: Builder[N], tensor: str) -> float:
    """Return the largest value that a tensor can have."""
    layer = build.layers.get(tensor)
    while isinstance(layer, MaxPool) or (isinstance(layer, FloatConv) and not layer.trained):
        layer = build.layers.get(layer.source)
    if not isinstance(layer, FloatConv) or not layer.relu or layer.ceiling is None:
        return float("inf")
    return layer.ceiling


def _wider(layer: FloatConv, zeros: tuple[int, int], residual: FloatResidual) -> FloatConv:
    """Return a layer with channels of no weights before and after its own."""
    return replace(
        layer,
        weight=np.pad(layer.weight, (zeros, (0, 0), (0, 0), (0, 0))),
        bias=np.pad(layer.bias, zeros),
        residual=residual,
    )
