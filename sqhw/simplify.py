"""Exact removal of dead channels: every output of the network stays as it is, bit for bit."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sqhw.network import INPUT, Conv, MaxPool, QuantizedNetwork
from sqhw.stream import MAX_TAPS_PER_ENTRY, StreamFormat, max_gap_bits

Mask = npt.NDArray[np.bool_]


def simplify(network: QuantizedNetwork) -> QuantizedNetwork:
    """Remove channels that are zero for every input or that no layer reads.

    The network's input and output keep all their channels, and so do the maps of grouped layers and
    of skip connections, whose channels belong together; every layer keeps at least one. Where a
    layer loses so many input channels that its gap field no longer suits them, the gap field
    shrinks.

    Parameters
    ----------
    network : QuantizedNetwork

    Returns
    -------
    QuantizedNetwork
        Equal to `network` in every output.
    """
    while True:
        keep = live_channels(network)
        if all(mask.all() for mask in keep.values()):
            return network
        network = _without(network, keep)


def live_channels(network: QuantizedNetwork) -> dict[str, Mask]:
    """Return which channels of every tensor to keep; removing the others may free further ones."""
    shapes = network.shapes()
    zero: dict[str, Mask] = {INPUT: np.zeros(shapes[INPUT][0], dtype=bool)}
    for layer in network.layers:
        zero[layer.name] = _always_zero(layer) if isinstance(layer, Conv) else zero[layer.source]
    used = {name: np.zeros(shape[0], dtype=bool) for name, shape in shapes.items()}
    used[network.layers[-1].name][:] = True
    for layer in reversed(network.layers):
        if not isinstance(layer, Conv):
            read = used[layer.name]
        elif layer.groups == 1:
            read = layer.weight.any(axis=0).any(axis=(1, 2))  # rows first: many times as fast
        else:
            continue  # pinned
        used[layer.source] = used[layer.source] | read
    keep = {}
    pinned = pinned_tensors(network)
    for name, shape in shapes.items():
        live = used[name] & ~zero[name]
        if name in pinned:
            live = np.ones(shape[0], dtype=bool)
        elif not live.any():
            live = np.arange(shape[0]) == 0
        keep[name] = live
    # A pooled tensor has the channels of its source: keep what either needs.
    for layer in reversed(network.layers):
        if isinstance(layer, MaxPool):
            keep[layer.source] = keep[layer.source] | keep[layer.name]
    for layer in network.layers:
        if isinstance(layer, MaxPool):
            keep[layer.name] = keep[layer.source]
    return keep


def pinned_tensors(network: QuantizedNetwork) -> set[str]:
    """Return the tensors that keep all channels, and what they are pooled from or to.

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


def _always_zero(layer: Conv) -> Mask:
    """Return which output channels are 0 whatever the input."""
    empty = ~layer.weight.any(axis=(1, 2, 3))
    shift = layer.shift.astype(np.int64)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    value = (layer.bias.astype(np.int64) * layer.multiplier.astype(np.int64) + half) >> shift
    zero: Mask = empty & (np.clip(value, layer.output.lo, layer.output.hi) == 0)
    return zero


def _without(network: QuantizedNetwork, keep: dict[str, Mask]) -> QuantizedNetwork:
    layers = []
    for layer in network.layers:
        if isinstance(layer, Conv) and layer.groups == 1:
            rows, columns = keep[layer.name], keep[layer.source]
            layer = replace(
                layer,
                weight=np.ascontiguousarray(layer.weight[rows][:, columns]),
                bias=layer.bias[rows],
                multiplier=layer.multiplier[rows],
                shift=layer.shift[rows],
                weight_scale=layer.weight_scale[rows],
                stream=_allowed(layer, int(columns.sum())),
            )
        layers.append(layer)
    return replace(network, layers=tuple(layers))


def _allowed(layer: Conv, in_channels: int) -> StreamFormat:
    """Return the layer's format for fewer channels; its entries pass no more taps than before."""
    stream = layer.stream
    taps = 1 if stream.filler <= layer.weight.shape[1] else MAX_TAPS_PER_ENTRY
    gap_bits = max_gap_bits(in_channels, layer.kernel[1], taps, stream.gap_bits)
    return StreamFormat(gap_bits, stream.code_bits)
