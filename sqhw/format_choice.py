"""The compiler's choice of a weight stream for each layer, by the cost model of ROM or cycles."""

from dataclasses import replace

from sqhw.cost_models.schedule import run_cycles
from sqhw.engine import EngineConfig
from sqhw.errors import unknown_name
from sqhw.layout import CODEBOOK_WIDTH
from sqhw.network import Conv, QuantizedNetwork
from sqhw.number import distinct_bytes
from sqhw.placement import Tiling, place
from sqhw.stream import StreamFormat, channel_order, count_all_entries, max_gap_bits
from sqhw.timing import Timing

OBJECTIVES = ("rom", "cycles")


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
    tilings: dict[str, Tiling] = {}
    if objective == "cycles":
        tilings = {tiling.layer.name: tiling for tiling in place(network, engine)}
    layers = tuple(
        cheapest_stream(layer, engine, tilings.get(layer.name))
        if isinstance(layer, Conv)
        else layer
        for layer in network.layers
    )
    return replace(network, layers=layers)


def cheapest_stream(layer: Conv, engine: EngineConfig, tiling: Tiling | None = None) -> Conv:
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
    mask = channel_order(layer.weight) != 0
    limit = max_gap_bits(
        layer.weight.shape[1], layer.kernel[1], engine.taps_per_entry, engine.max_gap_bits
    )
    best: tuple[tuple[int, int], StreamFormat, tuple[int, ...]] | None = None
    every = count_all_entries(mask, limit + 1)
    for gap_bits, counts in enumerate(every):
        book = nonzero if gap_bits else values
        stream = StreamFormat(gap_bits, code_bits(len(book)))
        if stream.entry_bits > engine.word_bits:
            continue
        bits = int(counts.sum()) * stream.entry_bits + CODEBOOK_WIDTH * len(book)
        cycles = 0
        if tiling is not None:
            work = counts + (layer.residual is not None)
            cycles = run_cycles(work, tiling.tiles, Timing.of(engine), tiling.serial)
        if best is None or (cycles, bits) < best[0]:
            best = ((cycles, bits), stream, book)
    assert best is not None  # a dense stream always exists
    return replace(layer, stream=best[1], codebook=best[2])
