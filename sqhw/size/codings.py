"""Bits of a network's weight streams in other codings, codebooks and tables left out."""

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.storage import mask_storage
from sqhw.machine.config import MAX_ONES, EngineConfig
from sqhw.machine.stream import Places, channel_order
from sqhw.network.quantized import QuantizedNetwork

#: Module of the package ``ethos-u-vela`` that has the weight codec of Arm's Ethos-U.
CODEC = "ethosu.mlw_codec"


def stream_codings(network: QuantizedNetwork, engine: EngineConfig) -> dict[str, int]:
    """Return the bits of a network's weights by coding (unit: bit).

    ``fixed`` and ``rice`` are the cheapest formats layer by layer, without and with Golomb-Rice
    streams; ``rice`` is missing if no engine with these words and gaps decodes them. ``entropy`` is
    `entropy_bits`, rounded. ``mlw`` is what the codec of Ethos-U needs; it is there if
    ``ethos-u-vela`` is installed.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
        Engine whose words and gaps bound the formats.
    """
    found = {"fixed": _cheapest(network, replace(engine, quotient_ones=0))}
    coded = engine if engine.quotient_ones else _with_decoder(engine)
    if coded.quotient_ones:
        found["rice"] = _cheapest(network, coded)
    found["entropy"] = round(entropy_bits(network))
    try:
        codec = importlib.import_module(CODEC)
    except ImportError:
        return found
    layers = weights_in_order(network)
    return found | {"mlw": sum(8 * len(codec.encode(layer.tolist())) for layer in layers)}


def entropy_bits(network: QuantizedNetwork) -> float:
    """Return the zero-order entropy of gaps and of values, each layer with its own distributions.

    Entries without a weight and tables of the distributions are not counted (unit: bit).
    """
    bits = 0.0
    for layer in network.convs:
        if layer.has_stream and layer.nonzeros:
            _, zeros = Places.of(layer.weight).runs
            bits += _entropy(zeros) + _entropy(layer.weight[layer.weight != 0])
    return bits


def weights_in_order(network: QuantizedNetwork) -> Sequence[npt.NDArray[np.int16]]:
    """Return the weights of each layer that has a stream, in its order."""
    return [
        channel_order(layer.weight).reshape(-1).astype(np.int16)
        for layer in network.convs
        if layer.has_stream
    ]


def _cheapest(network: QuantizedNetwork, engine: EngineConfig) -> int:
    """Return the bits of all streams, each in the format of fewest bits with its codebook."""
    bits = 0
    for layer in network.convs:
        if layer.has_stream:
            table, _ = mask_storage(layer.weight != 0, layer.levels, engine)
            best = int(np.argmin(table.stream_bits + table.codebook_bits))
            bits += int(table.stream_bits[best])
    return bits


def _with_decoder(engine: EngineConfig) -> EngineConfig:
    """Return an engine with the most quotient ones that its words admit, itself if they do not."""
    for ones in range(MAX_ONES, 0, -1):
        try:
            return replace(engine, quotient_ones=ones)
        except ValueError:
            continue
    return engine


def _entropy(symbols: npt.NDArray[Any]) -> float:
    """Return the bits of symbols whose frequencies are known."""
    counts = np.unique(symbols, return_counts=True)[1].astype(np.float64)
    return float(-(counts * np.log2(counts / counts.sum())).sum())
