"""The compiler's choice of a weight stream for each layer, by the cost model of ROM or cycles."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.schedule import run_cycles
from sqhw.errors import unknown_name
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import CODEBOOK_WIDTH
from sqhw.machine.number import distinct_bytes
from sqhw.machine.stream import StreamFormat, channel_order, count_all_entries, max_gap_bits
from sqhw.machine.timing import Timing
from sqhw.names import OBJECTIVES
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.planner.placement import Tiling, place


def code_bits(levels: int) -> int:
    """Return the bits of a code that names one of `levels` values, at least 1."""
    return max(1, (levels - 1).bit_length())


def cheapest_streams(
    network: QuantizedNetwork, engine: EngineConfig, objective: str = "rom"
) -> QuantizedNetwork:
    """Return the network with the cheapest stream in every layer.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
    objective : {"rom", "cycles"}
        Fewest stream and codebook bits, or fewest cycles and of those fewest bits. Wide gap fields
        have fewer fillers, hence fewer cycles, and more bits.

    Returns
    -------
    QuantizedNetwork
        The same integers, other formats; values that no weight has leave the codebooks.

    Raises
    ------
    SqhwError
        If the objective is unknown, or ``cycles`` are asked for and the network does not fit the
        engine's activation memory.
    """
    if objective not in OBJECTIVES:
        raise unknown_name("objective", objective, OBJECTIVES)
    tilings: dict[str, Tiling[Conv]] = {}
    if objective == "cycles":
        tilings = {tiling.layer.name: tiling for tiling in place(network, engine)}
    layers = tuple(
        cheapest_stream(layer, engine, tilings.get(layer.name))
        if isinstance(layer, Conv)
        else layer
        for layer in network.layers
    )
    return replace(network, layers=layers)


def cheapest_stream(layer: Conv, engine: EngineConfig, tiling: Tiling[Conv] | None = None) -> Conv:
    """Return the layer in the format of fewest stream and codebook bits.

    A layer of constants (entries of no bits, as average pooling has) is returned as it is.

    Parameters
    ----------
    layer : Conv
    engine : EngineConfig
    tiling : Tiling, optional
        If given, cycles come first.
    """
    if layer.stream.entry_bits == 0:
        return layer
    values = tuple(int(value) for value in distinct_bytes(layer.weight))
    nonzero = tuple(value for value in values if value != 0) or (1,)
    found = stream_choices(layer.weight != 0, len(nonzero), engine)

    def cost(choice: StreamChoice) -> tuple[int, int]:
        if tiling is None:
            return 0, choice.bits
        work = choice.counts + (layer.residual is not None)
        return run_cycles(work, tiling.tiles, Timing.of(engine), tiling.serial), choice.bits

    stream = min(found, key=cost).stream
    return replace(layer, stream=stream, codebook=values if stream.dense else nonzero)


@dataclass(frozen=True, eq=False)
class StreamChoice:
    """A layer's weights in one stream format.

    Parameters
    ----------
    stream : StreamFormat
    counts : ndarray of int64, shape (out_channels,)
        Entries of each channel.
    bits : int
        Of all entries and of the codebook (unit: bit).
    """

    stream: StreamFormat
    counts: npt.NDArray[np.int64]
    bits: int


def stream_choices(
    mask: npt.NDArray[np.bool_], levels: int, engine: EngineConfig
) -> list[StreamChoice]:
    """Return a layer's weights in every stream format that an engine reads, the dense one first.

    Parameters
    ----------
    mask : ndarray of bool, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Where weights are not 0.
    levels : int, 1 or more
        Distinct values of these.
    engine : EngineConfig
        An entry fits one word of its weight ROM.
    """
    _, inputs, _, kernel_w = mask.shape
    limit = max_gap_bits(inputs, kernel_w, engine.taps_per_entry, engine.max_gap_bits)
    found = []
    for gap_bits, counts in enumerate(count_all_entries(channel_order(mask), limit + 1)):
        values = levels if gap_bits else _dense_values(mask, levels)
        stream = StreamFormat(gap_bits, code_bits(values))
        if stream.entry_bits <= engine.word_bits:
            bits = int(counts.sum()) * stream.entry_bits + CODEBOOK_WIDTH * values
            found.append(StreamChoice(stream, counts, bits))
    return found


def _dense_values(mask: npt.NDArray[np.bool_], levels: int) -> int:
    """Return the values of a dense stream, whose zeros need a code."""
    if not mask.any():
        return 1
    return levels + int(not mask.all())


def least_stream_bits(mask: npt.NDArray[np.bool_], levels: int, engine: EngineConfig) -> int:
    """Return the bits of a layer's cheapest stream and codebook, as they are exported.

    Channels without weights are not stored, but for one if there are no others.

    Parameters
    ----------
    mask : ndarray of bool, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Where weights are not 0.
    levels : int
        Distinct values of these.
    engine : EngineConfig
    """
    stored = mask.any(axis=(1, 2, 3))
    if not stored.any():
        stored = np.arange(len(mask)) == 0
    return min(choice.bits for choice in stream_choices(mask[stored], max(1, levels), engine))
