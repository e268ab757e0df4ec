"""Pruning of whole channels: the channels that can go, and the cost and the value of each.

A channel that goes takes along its record, its row of weights and the column of weights that each
layer has for it. The streams of these layers then have fewer positions (`sqhw.network.simplify`).
"""

from dataclasses import dataclass

import numpy as np

from sqhw.arrays import Floats64, Mask
from sqhw.compress.qat.convolution import QatConv
from sqhw.compress.qat.network import QatNetwork
from sqhw.network.floats import FloatConv
from sqhw.network.graph import MaxPool


@dataclass(frozen=True, eq=False)
class ChannelGraph:
    """Graph of the trained layers: whose output channels each of them reads.

    Parameters
    ----------
    producers : tuple of int or None
        Index of the trained layer whose output each trained layer reads, directly or through max
        pooling. None if channels of its input cannot go.
    removable : tuple of bool
        Whether output channels of each trained layer can go. Those of skip connections, of grouped
        layers and of the network's output cannot (`sqhw.network.simplify.pinned_tensors`).
    """

    producers: tuple[int | None, ...]
    removable: tuple[bool, ...]

    @classmethod
    def of(cls, model: QatNetwork) -> "ChannelGraph":
        """Return the graph of a model's layers, in the order of ``model.layers()``."""
        makers: dict[str, int | None] = {}
        producers: list[int | None] = []
        removable: list[bool] = []
        for layer in model.network.layers:
            source = makers.get(layer.source)
            if isinstance(layer, MaxPool):
                makers[layer.name] = source
                continue
            assert isinstance(layer, FloatConv)
            step = model.step(layer)
            if not isinstance(step, QatConv):
                continue
            can_go = not step.pinned
            makers[layer.name] = len(producers) if can_go else None
            producers.append(source if layer.groups == 1 else None)
            removable.append(can_go)
        return cls(tuple(producers), tuple(removable))

    def inputs(self, rows: list[Mask], layer: int, width: int) -> Mask:
        """Return which input channels of a layer are stored.

        Parameters
        ----------
        rows : list of ndarray of bool, shape (out_channels,)
            Output channels of each layer that are stored.
        layer : int
        width : int
            Input channels of one of its groups.
        """
        maker = self.producers[layer]
        return np.ones(width, dtype=bool) if maker is None else rows[maker]

    def readers(self, layer: int) -> list[int]:
        """Return the layers that read the output of a layer."""
        return [at for at, maker in enumerate(self.producers) if maker == layer]


@dataclass(frozen=True, eq=False)
class ChannelShares:
    """Share of each channel in the cost and the worth of a layer, for one way to store it.

    Parameters
    ----------
    row_cost, column_cost : ndarray of float64, shapes (out_channels,), (in_channels / groups,)
        Part of the cost of the layer's stream and records, on the budget's scale.
    row_worth, column_worth : ndarray of float64
        Sum of the losses that dropping each kept weight of the channel causes.
    """

    row_cost: Floats64
    column_cost: Floats64
    row_worth: Floats64
    column_worth: Floats64


def without_channels(
    graph: ChannelGraph,
    rows: list[Mask],
    needed: list[Mask],
    shares: list[ChannelShares],
    price: float,
) -> list[Mask]:
    """Return the output channels of each layer whose value exceeds their cost.

    The worth of a channel is the sum over its row and over the columns that read it, weight by
    weight. The smaller of the two sums would do in theory. On LeNet-5 it gave up nine tenths of the
    channels at once, and no training made up for that.

    Parameters
    ----------
    graph : ChannelGraph
    rows : list of ndarray of bool, shape (out_channels,)
        Channels that are stored now.
    needed : list of ndarray of bool, shape (out_channels,)
        Channels that never go.
    shares : list of ChannelShares
    price : float
        Loss that one more unit of the budget saves.

    Returns
    -------
    list of ndarray of bool, shape (out_channels,)
        Channels that stay stored. Channels without weights, channels that nothing reads, and
        channels that are worth less than their cost at `price` are False.
    """
    kept = []
    for layer, (stored, always) in enumerate(zip(rows, needed, strict=True)):
        if not graph.removable[layer]:
            kept.append(stored)
            continue
        readers = graph.readers(layer)
        cost = shares[layer].row_cost + sum(shares[at].column_cost for at in readers)
        read = sum((shares[at].column_worth for at in readers), np.zeros(len(stored)))
        worth = shares[layer].row_worth + read
        kept.append(stored & (always | (worth > price * cost)))
    return kept


def stored_rows(graph: ChannelGraph, masks: list[Mask]) -> list[Mask]:
    """Return the output channels of each layer that have weights and that some layer reads.

    Channels that cannot go are stored in any case.

    Parameters
    ----------
    graph : ChannelGraph
    masks : list of ndarray of bool, shape (out_channels, in_channels / groups, ...)
        Weights that are kept.

    Returns
    -------
    list of ndarray of bool, shape (out_channels,)
    """
    found = []
    for layer, mask in enumerate(masks):
        rows: Mask = np.asarray(mask.any(axis=(1, 2, 3)))
        readers = graph.readers(layer)
        if readers:
            rows = rows & np.any([masks[at].any(axis=(0, 2, 3)) for at in readers], axis=0)
        found.append(rows if graph.removable[layer] else np.ones_like(rows))
    return found
