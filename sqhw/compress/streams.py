"""The cheapest weight stream for weights that are final."""

from dataclasses import replace

import numpy as np

from sqhw.engine import EngineConfig
from sqhw.layout import CODEBOOK_WIDTH
from sqhw.network import Conv, QuantizedNetwork
from sqhw.stream import StreamFormat, channel_order, count_entries, max_gap_bits


def code_bits(levels: int) -> int:
    """Return the bits of a code that names one of `levels` values, at least 1."""
    return max(1, (levels - 1).bit_length())


def cheapest_streams(network: QuantizedNetwork, engine: EngineConfig) -> QuantizedNetwork:
    """Return the network with the stream of fewest bits in every layer.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig

    Returns
    -------
    QuantizedNetwork
        The same integers, other formats; values that no weight has leave the codebooks.
    """
    layers = tuple(
        cheapest_stream(layer, engine) if isinstance(layer, Conv) else layer
        for layer in network.layers
    )
    return replace(network, layers=layers)


def cheapest_stream(layer: Conv, engine: EngineConfig) -> Conv:
    """Return the layer in the format of fewest stream and codebook bits."""
    values = tuple(int(value) for value in np.unique(layer.weight))
    nonzero = tuple(value for value in values if value != 0) or (1,)
    mask = channel_order(layer.weight) != 0
    limit = max_gap_bits(mask.shape[1] // (layer.kernel[0] * layer.kernel[1]), engine.max_gap_bits)
    best: tuple[int, StreamFormat, tuple[int, ...]] | None = None
    for gap_bits in range(limit + 1):
        book = nonzero if gap_bits else values
        stream = StreamFormat(gap_bits, code_bits(len(book)))
        if stream.entry_bits > engine.word_bits:
            continue
        bits = int(count_entries(mask, gap_bits).sum()) * stream.entry_bits
        bits += CODEBOOK_WIDTH * len(book)
        if best is None or bits < best[0]:
            best = (bits, stream, book)
    assert best is not None  # a dense stream always exists
    return replace(layer, stream=best[1], codebook=best[2])
