"""Uses of the cycles of a network's layers."""

from dataclasses import dataclass

import numpy as np

from sqhw.cost_models.schedule import layer_work, least_slot, schedule
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing, fetch_cycles
from sqhw.network.quantized import QuantizedNetwork
from sqhw.planner.placement import place

#: Uses of the cycles of a layer, see `LayerUse`.
BOUNDS = ("entries", "least slot", "writes", "overhead")


@dataclass(frozen=True)
class LayerUse:
    """Cycles of a layer by use.

    Parameters
    ----------
    name : str
        Name of the layer.
    cycles : int
        All cycles of the layer, as in `LayerCycles`.
    work : float
        Cycles of its multiplications if every lane had one in each cycle: the bound.
    spent : dict of str to int
        Cycles by use, in the order of `BOUNDS`; their sum is `cycles`.
        ``entries``: a stream entry, a tap of a pooling or a skip is issued. ``least slot``: none
        is, because the next record is not read yet or the stream begins anew. ``writes``: none is,
        because the channel before is not written back yet. ``overhead``: descriptor, preparation
        and drain.
    """

    name: str
    cycles: int
    work: float
    spent: dict[str, int]

    @property
    def utilisation(self) -> float:
        """Share of the lanes' multiplications that are by a non-zero weight, 0 to 1."""
        return self.work / self.cycles

    @property
    def bounded_by(self) -> str:
        """The use of most of the cycles, one of `BOUNDS`."""
        return max(self.spent, key=self.spent.__getitem__)


def layer_use(network: QuantizedNetwork, engine: EngineConfig, batch: int = 1) -> list[LayerUse]:
    """Return the uses of the cycles of every layer.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
    batch : int, power of two, 1 to engine.max_batch
        Images of a run.

    Raises
    ------
    SqhwError
        If the network does not fit the engine's activation memory.
    """
    fetch = fetch_cycles(engine)
    uses = []
    tilings = place(network, engine, batch)
    for layer, tiling in zip(schedule(network, engine, batch).layers, tilings, strict=True):
        counts, _ = layer_work(tiling)
        entries = layer.tiles * layer.entries
        # Slots that are longer than the record takes to read wait for the requantizers.
        writes = layer.tiles * int(
            np.maximum(
                least_slot(Timing.of(engine), tiling.serial) - np.maximum(counts, fetch), 0
            ).sum()
        )
        uses.append(
            LayerUse(
                name=layer.name,
                cycles=layer.cycles,
                work=layer.bound,
                spent={
                    "entries": entries,
                    "least slot": layer.run - entries - writes,
                    "writes": writes,
                    "overhead": layer.overhead,
                },
            )
        )
    return uses
