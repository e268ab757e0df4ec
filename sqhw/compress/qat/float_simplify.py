"""Removal of dead channels from float networks; no output changes."""

from dataclasses import replace

import numpy as np

from sqhw.arrays import Mask
from sqhw.network.floats import FloatConv, FloatLayer, FloatNetwork
from sqhw.network.simplify import live_channels


def simplify_float(network: FloatNetwork) -> FloatNetwork:
    """Remove channels that are zero for every input or that no layer reads.

    The rules are those of `sqhw.network.simplify.simplify`: maps of grouped layers and of skip
    connections keep all channels.

    Parameters
    ----------
    network : FloatNetwork

    Returns
    -------
    FloatNetwork
        Equal to `network` in every output, but for the order of float sums.
    """
    while True:
        keep = live_channels(network)
        if all(mask.all() for mask in keep.values()):
            return network
        network = cut(network, keep)


def cut(network: FloatNetwork, keep: dict[str, Mask]) -> FloatNetwork:
    """Return the network of some of its channels.

    Parameters
    ----------
    network : FloatNetwork
    keep : dict of str to ndarray of bool, shape (channels,)
        Channels to keep, by tensor; all those of grouped layers and of the tensors that they read.
    """
    return replace(network, layers=tuple(_without(layer, keep) for layer in network.layers))


def _without(layer: FloatLayer, keep: dict[str, Mask]) -> FloatLayer:
    if not isinstance(layer, FloatConv) or layer.groups > 1:
        return layer
    rows, columns = keep[layer.name], keep[layer.source]
    weight = np.ascontiguousarray(layer.weight[rows][:, columns])
    return replace(layer, weight=weight, bias=layer.bias[rows])
