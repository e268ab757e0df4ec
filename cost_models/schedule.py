"""The exact cycle schedule of a network on an engine. No tolerance: RTL takes these cycles."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.rom import entry_counts, pool_counts
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing
from sqhw.network.graph import INPUT, Graph, GraphConv, MaxPool
from sqhw.network.stored import StoredConv
from sqhw.planner.placement import Tiling, place

#: Cycles between two runs, beside the first layer's descriptor: done, boot, and two to settle.
BETWEEN_FRAMES = 4


@dataclass(frozen=True)
class LayerCycles:
    """Cycles of one layer.

    Parameters
    ----------
    name : str
        Name of the layer.
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
        for all images of the run. No schedule of this dataflow, which takes one weight a cycle and
        multiplies padding too, can beat it.
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
    turns = len(counts) * write_turn(timing, serial)
    return tiles * (int(tile_cycles(counts, timing, serial)) + turns)


def tile_cycles(
    counts: npt.NDArray[np.int64], timing: Timing, serial: bool = True
) -> npt.NDArray[np.int64]:
    """Return the cycles in which the entries of one tile are issued or waited for, shape (...).

    Those in which banks of a single port are written come on top, see `write_turn`.

    Parameters
    ----------
    counts : ndarray of int64, shape (..., channels)
        Stream entries of each output channel.
    timing : Timing
    serial : bool
        Whether the layer writes one byte a cycle.
    """
    least = least_slot(timing, serial)
    slots = np.maximum(counts, least)
    slots[..., 0] = np.maximum(counts[..., 0] + timing.rewind, least)
    total: npt.NDArray[np.int64] = slots.sum(axis=-1)
    return total


def least_slot(timing: Timing, serial: bool) -> int:
    """Return the fewest cycles of a channel in a layer that writes one byte a cycle, or several."""
    return timing.min_slot_serial if serial else timing.min_slot


def write_turn(timing: Timing, serial: bool) -> int:
    """Return the cycles of a channel of a tile that belong to its writes alone."""
    return timing.turn_serial if serial else timing.turn


def overhead_cycles(timing: Timing, serial: bool, first: bool, table: bool) -> int:
    """Return the cycles of a layer's descriptor, table, preparation and drain.

    Parameters
    ----------
    timing : Timing
    serial : bool
        Whether the layer writes one byte a cycle.
    first : bool
        Whether it is the first layer, whose descriptor is there before the run.
    table : bool
        Whether it has a table.
    """
    drain = timing.drain_serial if serial else timing.drain
    look = timing.look_table if table else timing.look
    return timing.prepare + drain + look + (0 if first else timing.load)


def schedule(network: Graph[StoredConv], engine: EngineConfig, batch: int = 1) -> Schedule:
    """Return the cycles of every layer of a network.

    Parameters
    ----------
    network : Graph of StoredConv
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
        counts, work = layer_work(tiling)
        layers.append(
            LayerCycles(
                name=tiling.layer.name,
                tiles=tiling.tiles,
                entries=int(counts.sum()),
                run=run_cycles(counts, tiling.tiles, timing, tiling.serial),
                overhead=overhead_cycles(
                    timing, tiling.serial, index == 0, has_table(tiling.layer)
                ),
                bound=work * height * width * batch / engine.lanes,
            )
        )
    return Schedule(tuple(layers), batch)


def frame_bytes(network: Graph[GraphConv]) -> tuple[int, int]:
    """Return the bytes of an image, one a pixel and channel, and those of its results."""
    shapes = network.shapes()
    return math.prod(shapes[INPUT]), math.prod(shapes[network.layers[-1].name])


def frame_cycles(network: Graph[GraphConv], engine: EngineConfig, cycles: int, batch: int) -> float:
    """Return the cycles of an image from its first pixel to its last result, never made to wait.

    Parameters
    ----------
    network : Graph
    engine : EngineConfig
    cycles : int
        Cycles of the run, from `start` to `done`.
    batch : int
        Images of the run.
    """
    pixels, results = frame_bytes(network)
    timing = Timing.of(engine)
    run = cycles + timing.load + BETWEEN_FRAMES
    return run / batch + pixels + (timing.output + 1) * results


def has_table(layer: GraphConv | MaxPool) -> bool:
    """Return whether the activation function of a layer is a table."""
    return not isinstance(layer, MaxPool) and layer.has_table


def layer_work(tiling: Tiling[StoredConv]) -> tuple[npt.NDArray[np.int64], int]:
    """Return the entries of every channel, shape (channels,), and the number of non-fillers."""
    layer, channels = tiling.layer, tiling.target.shape[0]
    if not isinstance(layer, MaxPool):
        counts = entry_counts(layer) + (layer.residual is not None)
        return counts, layer.nonzeros + (channels if layer.residual else 0)
    counts = pool_counts(channels, layer.taps)
    return counts, int(counts.sum())
