"""The exact cycle schedule of a network on an engine. No tolerance: RTL takes these cycles."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.rom import entry_counts, pool_counts
from sqhw.engine import EngineConfig
from sqhw.network import Conv, QuantizedNetwork
from sqhw.placement import Tiling, place
from sqhw.timing import Timing, fetch_cycles

#: What the cycles of a layer can be spent on, see `LayerUse`.
BOUNDS = ("entries", "least slot", "writes", "overhead")


@dataclass(frozen=True)
class LayerCycles:
    """Cycles of one layer.

    Parameters
    ----------
    name : str
        The layer.
    tiles : int
        Tiles of `lanes` elements.
    entries : int
        Stream entries of one tile, all channels.
    run : int
        Cycles in which entries are issued or waited for.
    overhead : int
        Cycles of descriptor, preparation and drain.
    bound : float
        Non-zeros, pooling taps and channels that get a skip, times output positions over lanes,
        for all images of the run: what no schedule of this dataflow, which takes one weight a cycle
        and multiplies padding too, can beat.
    """

    name: str
    tiles: int
    entries: int
    run: int
    overhead: int
    bound: float

    @property
    def cycles(self) -> int:
        """All cycles of the layer."""
        return self.run + self.overhead


@dataclass(frozen=True)
class Schedule:
    """Cycles of a network.

    Parameters
    ----------
    layers : tuple of LayerCycles
        In execution order.
    batch : int
        Images of the run.
    """

    layers: tuple[LayerCycles, ...]
    batch: int = 1

    @property
    def cycles(self) -> int:
        """Cycles from `start` to `done`."""
        return 1 + sum(layer.cycles for layer in self.layers)

    @property
    def bound(self) -> float:
        """Cycles that no schedule of this dataflow can beat."""
        return sum(layer.bound for layer in self.layers)


def run_cycles(
    counts: npt.NDArray[np.int64], tiles: int, timing: Timing, serial: bool = True
) -> int:
    """Return the cycles in which a layer issues its entries.

    Parameters
    ----------
    counts : ndarray of int64, shape (channels,)
        Stream entries of each output channel.
    tiles : int
    timing : Timing
    serial : bool
        Whether the layer writes one byte a cycle.
    """
    least = timing.min_slot_serial if serial else timing.min_slot
    slots = np.maximum(counts, least)
    slots[0] = max(int(counts[0]) + timing.rewind, least)
    return tiles * int(slots.sum())


def schedule(network: QuantizedNetwork, engine: EngineConfig, batch: int = 1) -> Schedule:
    """Return the cycles of every layer of a network.

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
    timing = Timing.of(engine)
    layers = []
    for index, tiling in enumerate(place(network, engine, batch)):
        _, height, width = tiling.target.shape
        counts, work = _work(tiling)
        layers.append(
            LayerCycles(
                name=tiling.layer.name,
                tiles=tiling.tiles,
                entries=int(counts.sum()),
                run=run_cycles(counts, tiling.tiles, timing, tiling.serial),
                overhead=timing.prepare
                + (timing.drain_serial if tiling.serial else timing.drain)
                + (timing.load if index else 0),
                bound=work * height * width * batch / engine.lanes,
            )
        )
    return Schedule(tuple(layers), batch)


@dataclass(frozen=True)
class LayerUse:
    """Where the cycles of a layer go.

    Parameters
    ----------
    name : str
        The layer.
    cycles : int
        All of them, those of `LayerCycles`.
    work : float
        Cycles that its multiplications would take if every lane had one in each: the bound.
    spent : dict of str to int
        Cycles by what they are spent on, in the order of `BOUNDS`; their sum is `cycles`.
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
        """What most of the cycles are spent on, one of `BOUNDS`."""
        return max(self.spent, key=self.spent.__getitem__)


def layer_use(network: QuantizedNetwork, engine: EngineConfig, batch: int = 1) -> list[LayerUse]:
    """Return what the cycles of every layer are spent on.

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
        counts, _ = _work(tiling)
        entries = layer.tiles * layer.entries
        # Slots that are longer than the record takes to read wait for the requantizers.
        writes = layer.tiles * int(
            np.maximum(_least_slot(engine, tiling) - np.maximum(counts, fetch), 0).sum()
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


def _least_slot(engine: EngineConfig, tiling: Tiling) -> int:
    timing = Timing.of(engine)
    return timing.min_slot_serial if tiling.serial else timing.min_slot


def _work(tiling: Tiling) -> tuple[npt.NDArray[np.int64], int]:
    """Return the entries of every channel, shape (channels,), and those that are no fillers."""
    layer, channels = tiling.layer, tiling.target.shape[0]
    if isinstance(layer, Conv):
        counts = entry_counts(layer) + (layer.residual is not None)
        return counts, layer.nonzeros + (channels if layer.residual else 0)
    counts = pool_counts(channels, layer.kernel)
    return counts, int(counts.sum())
