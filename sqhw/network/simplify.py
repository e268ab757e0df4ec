"""Exact removal of dead channels: every output of the network stays as it is, bit for bit."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Mask
from sqhw.network.graph import INPUT, Graph, GraphConv, MaxPool
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.stored import IntArray, StoredConv

Places = npt.NDArray[np.intp]
S = TypeVar("S", bound=StoredConv)


def simplify(network: QuantizedNetwork) -> QuantizedNetwork:
    """Remove channels that are zero for every input or that no layer reads.

    The network's input and output keep all their channels, and so do the maps of grouped layers and
    of skip connections, whose channels belong together. Every layer keeps at least one channel. The
    gap field of a layer shrinks if it is too wide for the input channels that remain.

    Parameters
    ----------
    network : QuantizedNetwork

    Returns
    -------
    QuantizedNetwork
        Equal to `network` in every output.
    """
    layers = simplified(network)
    return network if layers is network.layers else replace(network, layers=layers)


def simplified(network: Graph[S]) -> tuple[S | MaxPool, ...]:
    """Return the layers of a network without the channels that `simplify` removes."""
    pinned = pinned_tensors(network)
    stay = {name: np.arange(shape[0]) for name, shape in network.shapes().items()}
    widths = {layer.name: layer.kernel[1] for layer in network.convs}
    layers = tuple(_outline(layer) for layer in network.layers)
    while True:
        keep = _live_channels(layers, {name: len(at) for name, at in stay.items()}, pinned)
        if all(mask.all() for mask in keep.values()):
            break
        layers = _without(layers, keep, widths)
        stay = {name: at[keep[name]] for name, at in stay.items()}
    if all(len(stay[name]) == shape[0] for name, shape in network.shapes().items()):
        return network.layers
    return _filled(layers, network.layers, stay)


def live_channels(network: Graph[GraphConv]) -> dict[str, Mask]:
    """Return which channels of every tensor to keep; removing the others may free further ones."""
    counts = {name: shape[0] for name, shape in network.shapes().items()}
    return _live_channels(network.layers, counts, pinned_tensors(network))


def _live_channels(
    layers: tuple[GraphConv | MaxPool, ...], counts: dict[str, int], pinned: set[str]
) -> dict[str, Mask]:
    """Return which channels of every tensor to keep, given the number of its channels."""
    zero: dict[str, Mask] = {INPUT: np.zeros(counts[INPUT], dtype=bool)}
    for layer in layers:
        if isinstance(layer, MaxPool):
            zero[layer.name] = zero[layer.source]
        else:
            zero[layer.name] = layer.zero_channels()
    used = {name: np.zeros(count, dtype=bool) for name, count in counts.items()}
    used[layers[-1].name][:] = True
    for layer in reversed(layers):
        if isinstance(layer, MaxPool):
            read = used[layer.name]
        elif layer.groups == 1:
            # The reduction over rows comes first, which is many times as fast.
            read = np.any(layer.weight.any(axis=0), axis=(1, 2))
        else:
            continue  # pinned
        used[layer.source] = used[layer.source] | read
    keep = {}
    for name, count in counts.items():
        live = used[name] & ~zero[name]
        if name in pinned:
            live = np.ones(count, dtype=bool)
        elif not live.any():
            live = np.arange(count) == 0
        keep[name] = live
    # A pooled tensor has the channels of its source: both keep the channels that either needs.
    for layer in reversed(layers):
        if isinstance(layer, MaxPool):
            keep[layer.source] = keep[layer.source] | keep[layer.name]
    for layer in layers:
        if isinstance(layer, MaxPool):
            keep[layer.name] = keep[layer.source]
    return keep


def pinned_tensors(network: Graph[GraphConv]) -> set[str]:
    """Return the tensors that keep all channels, and the tensors pooled from or to them.

    They are the network's input and output and the maps of grouped layers and of skip connections.
    """
    pinned = {INPUT, network.layers[-1].name}
    for conv in network.convs:
        if conv.groups > 1 or conv.residual:
            pinned |= {conv.name, *conv.sources[1 if conv.groups == 1 else 0 :]}
    for layer in reversed(network.layers):
        if isinstance(layer, MaxPool) and layer.name in pinned:
            pinned.add(layer.source)
    for layer in network.layers:
        if isinstance(layer, MaxPool) and layer.source in pinned:
            pinned.add(layer.name)
    return pinned


def _outline(layer: S | MaxPool) -> S | MaxPool:
    """Return a layer with one number a kernel, not 0 where the kernel has a weight.

    The removal of channels takes several rounds, as each may free further ones. The rounds work on
    outlines. The weights, which are many more numbers, are taken once at the end.
    """
    if isinstance(layer, MaxPool):
        return layer
    outputs, inputs, height, width = layer.weight.shape
    taps = np.ascontiguousarray(layer.weight.reshape(-1, height * width).T)
    filled = np.bitwise_or.reduce(taps, axis=0).reshape(outputs, inputs, 1, 1)
    return layer.taken(filled, np.ones(outputs, dtype=bool), layer.stream)


def _filled(
    outlines: tuple[S | MaxPool, ...], layers: tuple[S | MaxPool, ...], stay: dict[str, Places]
) -> tuple[S | MaxPool, ...]:
    """Return outlines with the weights of the channels that stay."""
    filled: list[S | MaxPool] = []
    for outline, layer in zip(outlines, layers, strict=True):
        if not (isinstance(outline, MaxPool) or isinstance(layer, MaxPool)):
            weight = layer.weight
            if layer.groups == 1:
                weight = _taken(weight, stay[layer.name], stay[layer.source])
            outline = outline.taken(weight, np.ones(len(weight), dtype=bool), outline.stream)
        filled.append(outline)
    return tuple(filled)


def _taken(weight: IntArray, rows: Places, columns: Places) -> IntArray:
    """Return the weights of some channels, contiguous."""
    return weight.take(rows, axis=0).take(columns, axis=1)


def _without(
    layers: tuple[S | MaxPool, ...], keep: dict[str, Mask], widths: dict[str, int]
) -> tuple[S | MaxPool, ...]:
    """Return outlines with fewer channels; `widths` are those of the layers' kernels."""
    smaller: list[S | MaxPool] = []
    for layer in layers:
        if not isinstance(layer, MaxPool) and layer.groups == 1:
            rows, columns = keep[layer.name], keep[layer.source]
            weight = _taken(layer.weight, np.flatnonzero(rows), np.flatnonzero(columns))
            inputs = layer.weight.shape[1]
            stream = layer.stream.narrowed(inputs, int(columns.sum()), widths[layer.name])
            layer = layer.taken(weight, rows, stream)
        smaller.append(layer)
    return tuple(smaller)
