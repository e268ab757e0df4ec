"""Concatenations of integers: a layer writes its own channels, and others by its skip connection.

A channel without weights, with a skip connection of weight 1, multiplier 1 and shift 0, is a copy.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import Refused
from sqhw.frontends.quantized.held import Held
from sqhw.frontends.quantized.making import Making
from sqhw.frontends.quantized.sums import Window
from sqhw.frontends.quantized.views import View
from sqhw.machine.number import distinct_bytes
from sqhw.machine.stream import Dense
from sqhw.network.quantized import Conv, Residual


def joined(making: Making, name: str, parts: Sequence[View], target: Held, free: set[str]) -> View:
    """Return a map with the channels of several, which all hold integers as `target` does.

    Parameters
    ----------
    making : Making
    name : str
        Name of a layer that copies, if one must.
    parts : sequence of View
    target : Held
    free : set of str
        Maps that nothing else reads; the layers that make them may get channels.

    Raises
    ------
    Refused
        If maps are padded, flattened or of different sizes.
    """
    if len({part.shape[1:] for part in parts}) > 1:
        raise Refused(f"joins maps of shapes {' and '.join(str(part.shape) for part in parts)}")
    if any(any(part.padding) for part in parts):
        raise Refused("joins padded maps", "pad after the concatenation")
    if any(part.channels_last is not None and part.shape[1:] != (1, 1) for part in parts):
        raise Refused("joins flattened maps", "flatten after the concatenation")
    made, *rest = parts
    for at, part in enumerate(rest):
        own = name if at == len(rest) - 1 else f"{name}_{at}"
        made = _pair(making, own, made, part, target, free)
    return made


def _pair(making: Making, name: str, one: View, other: View, target: Held, free: set[str]) -> View:
    before, behind = one.shape[0], other.shape[0]
    shape = (before + behind, *one.shape[1:])
    for host, skip, first, zeros in (
        (other, one, 0, (before, 0)),
        (one, other, before, (0, behind)),
    ):
        layer = next((layer for layer in making.layers if layer.name == host.map), None)
        if not isinstance(layer, Conv) or host.map not in free or skip.map == host.map:
            continue
        if layer.groups == 1 and layer.residual is None and layer.kind != "avgpool":
            making.layers.remove(layer)
            making.layers.append(_wider(layer, zeros, Residual(skip.map, 1, first=first)))
            return replace(one, map=host.map, shape=shape, held=target)
    weight = np.eye(before + behind, before, dtype=np.int64)[:, :, None, None]
    zero = np.zeros(before + behind, np.int64)
    making.notes[
        f"layer {name!r} copies {one.map!r} beside {other.map!r}, as neither is the output of a "
        "convolution that nothing else reads"
    ] = None
    making.append(
        name,
        one.map,
        Window(weight, np.full(before + behind, target.unit)),
        target,
        (zero, zero + 1, zero),
        Residual(other.map, 1, first=before),
    )
    return replace(one, map=name, shape=shape, held=target)


def _wider(layer: Conv, zeros: tuple[int, int], residual: Residual) -> Conv:
    """Return a layer with channels before and after its own that its skip connection copies."""

    def padded(values: npt.NDArray[Any], value: int) -> npt.NDArray[Any]:
        return np.pad(values, zeros, constant_values=value)

    weight = np.pad(layer.weight, (zeros, (0, 0), (0, 0), (0, 0)))
    codebook = tuple(int(value) for value in distinct_bytes(weight))
    return replace(
        layer,
        weight=weight,
        bias=padded(layer.bias, 0),
        multiplier=padded(layer.multiplier, 1),
        shift=padded(layer.shift, 0),
        weight_scale=padded(layer.weight_scale, 1),
        codebook=codebook,
        stream=Dense().coded(len(codebook)),
        residual=residual,
    )
