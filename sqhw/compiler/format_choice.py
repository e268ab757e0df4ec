"""The compiler's choice of a weight stream for each layer, by the cost model of ROM or cycles."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.schedule import run_cycles
from sqhw.cost_models.storage import mask_storage
from sqhw.errors import unknown_name
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing
from sqhw.names import OBJECTIVES
from sqhw.network.graph import Graph, MaxPool
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.stored import StoredConv
from sqhw.planner.placement import Tiling, place

S = TypeVar("S", bound=StoredConv)


def cheapest_streams(
    network: QuantizedNetwork, engine: EngineConfig, objective: str = "rom"
) -> QuantizedNetwork:
    """Return the network with the cheapest stream in every layer.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
    objective : {"rom", "cycles"}
        Fewest stream and codebook bits, or fewest cycles and then fewest bits. Wide gap fields
        have fewer fillers, hence fewer cycles, and more bits.

    Returns
    -------
    QuantizedNetwork
        Network of the same integers in other formats. Values that no weight has leave the
        codebooks.

    Raises
    ------
    SqhwError
        If the objective is unknown, or ``cycles`` are asked for and the network does not fit the
        engine's activation memory.
    """
    return replace(network, layers=cheapest_layers(network, engine, objective))


def cheapest_layers(
    network: Graph[S], engine: EngineConfig, objective: str = "rom"
) -> tuple[S | MaxPool, ...]:
    """Return the layers of a network in the streams that `cheapest_streams` chooses."""
    if objective not in OBJECTIVES:
        raise unknown_name("objective", objective, OBJECTIVES)
    tilings: dict[str, Tiling[S]] = {}
    if objective == "cycles":
        tilings = {tiling.layer.name: tiling for tiling in place(network, engine)}
    return tuple(
        layer
        if isinstance(layer, MaxPool)
        else cheapest_stream(layer, engine, tilings.get(layer.name))
        for layer in network.layers
    )


def cheapest_stream(layer: S, engine: EngineConfig, tiling: Tiling[S] | None = None) -> S:
    """Return the layer in the format of fewest stream and codebook bits.

    A layer of constants (entries of no bits, as average pooling has) is returned as it is.

    Parameters
    ----------
    layer : StoredConv
    engine : EngineConfig
    tiling : Tiling, optional
        If given, cycles come first.
    """
    if not layer.has_stream:
        return layer
    stored, counts = mask_storage(layer.weight != 0, layer.levels, engine)
    bits = stored.stream_bits + stored.codebook_bits

    def cost(option: int) -> tuple[int, int]:
        if tiling is None:
            return 0, int(bits[option])
        work = counts[stored.form[option]] + (layer.residual is not None)
        cycles = run_cycles(work, tiling.tiles, Timing.of(engine), tiling.serial)
        return cycles, int(bits[option])

    return layer.in_stream(stored.stream(min(range(len(stored)), key=cost)))


def least_stream_bits(mask: npt.NDArray[np.bool_], levels: int, engine: EngineConfig) -> int:
    """Return the bits of a layer's cheapest exported stream and codebook.

    Channels without weights are not stored. If there are no others, one of them is.

    Parameters
    ----------
    mask : ndarray of bool, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Mask of the weights that are not 0.
    levels : int
        Distinct values of these.
    engine : EngineConfig
    """
    stored = mask.any(axis=(1, 2, 3))
    if not stored.any():
        stored = np.arange(len(mask)) == 0
    table, _ = mask_storage(mask[stored], max(1, levels), engine)
    return int((table.stream_bits + table.codebook_bits).min())
