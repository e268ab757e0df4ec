"""The walk through a network: each layer once, on the outputs of earlier layers."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from sqhw.network.graph import INPUT, C, Graph, MaxPool

T = TypeVar("T")


def run_graph(
    graph: Graph[C],
    x: T,
    conv: Callable[[C, Mapping[str, T]], T],
    pool: Callable[[MaxPool, T], T],
) -> T:
    """Return the output of a network; a tensor is dropped after the last layer that reads it.

    Parameters
    ----------
    graph : Graph
    x : T
        Input of the network, of the type that `conv` and `pool` compute with.
    conv : callable
        Returns the output of a convolution, from the layer and the tensors that are still needed,
        by name.
    pool : callable
        Returns the output of a pooling maximum, from the layer and its input.
    """
    last = {tensor: at for at, layer in enumerate(graph.layers) for tensor in layer.sources}
    tensors = {INPUT: x}
    for at, layer in enumerate(graph.layers):
        if isinstance(layer, MaxPool):
            tensors[layer.name] = pool(layer, tensors[layer.source])
        else:
            tensors[layer.name] = conv(layer, tensors)
        for tensor in set(layer.sources):
            if last[tensor] == at:
                del tensors[tensor]
    return tensors[graph.layers[-1].name]
