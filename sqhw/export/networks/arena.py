"""Places of feature maps in one array, each free for others after its last reader."""

from math import prod

from sqhw.network.graph import INPUT, Graph, GraphConv


def places(graph: Graph[GraphConv]) -> tuple[dict[str, int], int]:
    """Return the first value of every map in an array, and the length of the array.

    A map is put into the first gap that is long enough. Maps that are in use at the same time do
    not overlap. The input and the output share no memory with others.
    """
    sizes = {name: prod(shape) for name, shape in graph.shapes().items()}
    last = {tensor: at for at, layer in enumerate(graph.layers) for tensor in layer.sources}
    last |= {name: len(graph.layers) for name in (INPUT, graph.layers[-1].name)}
    offsets: dict[str, int] = {}
    for at, name in enumerate([INPUT, *(layer.name for layer in graph.layers)]):
        live = [one for one in offsets if last.get(one, -1) >= at - 1]
        taken = sorted((offsets[one], offsets[one] + sizes[one]) for one in live)
        offset = 0
        for begin, end in taken:
            if offset + sizes[name] <= begin:
                break
            offset = max(offset, end)
        offsets[name] = offset
    return offsets, max(offsets[name] + sizes[name] for name in offsets)
