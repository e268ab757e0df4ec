"""Operations and memory accesses of a run, counted from the schedule.

All counts are whole numbers and exact for known weights. For numbers of non-zeros without their
places they are expectations (`sqhw.machine.stream`). Needless accesses are not counted: the
engine's memories have no read enable, so that they read a word in idle cycles too.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sqhw.arrays import Numbers
from sqhw.cost_models.layer_shape import LayerShape, layer_shapes
from sqhw.cost_models.rom import LayerRom, entry_counts, pool_counts, rom_cost
from sqhw.cost_models.schedule import tile_cycles, write_turn
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import descriptor_words
from sqhw.machine.timing import Timing
from sqhw.network.graph import INPUT, Graph, MaxPool
from sqhw.network.stored import StoredConv


@dataclass(frozen=True, eq=False)
class LayerActivity:
    """Activity of a layer in a run; every field but the name may be an array, one value an option.

    Parameters
    ----------
    name : str
        Name of the layer.
    cycles : ndarray, shape (options,)
        All cycles of the layer.
    entries : ndarray, shape (options,)
        Entries that are issued in all tiles, skip connections included. Every activation bank
        reads one byte with each entry.
    macs : ndarray, shape (options,)
        Products of a weight that is not zero and an activation inside of the map, each added to an
        accumulator. A lane beyond the end of the map, in the padding or at a filler multiplies 0.
    skips : ndarray, shape (options,)
        Such products of skip connections.
    comparisons : ndarray, shape (options,)
        Activations that a maximum is taken of.
    weight_bits : int
        Width of the widest weight as a signed number (unit: bit).
    activation_bits, skip_bits : int
        Widths of the activations that are multiplied, or added (unit: bit).
    idle_outside, idle_fillers, idle_waiting, idle_overhead : ndarray, shape (options,)
        Idle lanes, summed over the cycles: outside of the map; at fillers and the zeros of a dense
        stream; waiting for the end of a slot, or for banks that are written; between layers.
    requantizations : ndarray, shape (options,)
        Accumulators that are requantized, those of lanes beyond the end of the map too.
    writes : ndarray, shape (options,)
        Bytes that are written to the activation banks, those of tiles or groups beyond the map
        included.
    weight_words, param_words : ndarray, shape (options,)
        Words read from the weight ROM, where all words of the layer are read once a tile. Words
        read from the parameter ROM: the descriptor and the table once, the channel records once a
        tile.
    codebook_reads : ndarray, shape (options,)
        Bytes read from the codebook.
    bank_reads : ndarray, shape (options,)
        Bytes read from the activation banks.
    """

    name: str
    cycles: Numbers
    entries: Numbers
    macs: Numbers
    skips: Numbers
    comparisons: Numbers
    weight_bits: int
    activation_bits: int
    skip_bits: int
    idle_outside: Numbers
    idle_fillers: Numbers
    idle_waiting: Numbers
    idle_overhead: Numbers
    requantizations: Numbers
    writes: Numbers
    weight_words: Numbers
    param_words: Numbers
    codebook_reads: Numbers
    bank_reads: Numbers

    @property
    def useful(self) -> Numbers:
        """Lanes that multiply and add, add a skip connection, or compare, over the cycles."""
        return self.macs + self.skips + self.comparisons

    @property
    def lane_cycles(self) -> Numbers:
        """All lanes, over the cycles."""
        idle = self.idle_outside + self.idle_fillers + self.idle_waiting + self.idle_overhead
        lanes: Numbers = self.useful + idle
        return lanes

    def only(self, chosen: Any) -> "LayerActivity":
        """Return the options of a mask or of indices."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return LayerActivity(
            **{
                name: part[chosen] if isinstance(part, np.ndarray) else part
                for name, part in parts.items()
            }
        )


@dataclass(frozen=True, eq=False)
class Activity:
    """Activity of an engine in a run.

    Parameters
    ----------
    layers : tuple of LayerActivity
        In execution order, each with one option.
    batch : int
        Images of the run.
    pixels, results : int
        Bytes that are written to the activation banks before the run and read from them after it.
    """

    layers: tuple[LayerActivity, ...]
    batch: int
    pixels: int
    results: int

    def total(self, field: str) -> int | float:
        """Return the sum of a count over the layers."""
        total: int | float = sum(getattr(layer, field) for layer in self.layers).item()
        return total

    def macs_by_width(self) -> dict[tuple[int, int], int | float]:
        """Return the multiply-accumulates by widths of weight and activation (unit: bit)."""
        found: dict[tuple[int, int], int | float] = {}
        for layer in self.layers:
            widths = layer.weight_bits, layer.activation_bits
            if layer.macs.item():
                found[widths] = found.get(widths, 0) + layer.macs.item()
        return found


@dataclass(frozen=True, eq=False)
class LayerCounts:
    """Counts that a layer's activity follows from, one value a way to store its weights.

    Parameters
    ----------
    entries : ndarray, shape (options,)
        Entries of the weight stream, or kernel positions of a maximum, in one tile.
    tile : ndarray, shape (options,)
        Cycles of one tile, without those in which banks of a single port are written.
    nonzeros : ndarray, shape (options,)
        Entries that are neither fillers nor zeros.
    macs : ndarray, shape (options,)
        Products inside of the map.
    weight_bits : int
        Width of the widest weight as a signed number (unit: bit).
    weight_words, param_words : ndarray, shape (options,)
        ROM words of the layer, its descriptor included.
    """

    entries: Numbers
    tile: Numbers
    nonzeros: Numbers
    macs: Numbers
    weight_bits: int
    weight_words: Numbers
    param_words: Numbers


def layer_activity(shape: LayerShape, engine: EngineConfig, counts: LayerCounts) -> LayerActivity:
    """Return the operations and accesses of a layer, for several ways to store its weights."""
    skips_a_tile = shape.outputs if shape.skips else 0
    entries = (counts.entries + skips_a_tile) * shape.tiles
    work = counts.nonzeros + shape.skip_channels
    zero = np.zeros_like(entries)
    useful = zero + shape.skip_channels * shape.elements + counts.macs
    turns = shape.outputs * write_turn(Timing.of(engine), shape.serial)
    run = (counts.tile + turns) * shape.tiles
    once = descriptor_words(engine) + shape.table_words(engine)
    return LayerActivity(
        name=shape.name,
        cycles=run + shape.overhead,
        entries=entries,
        macs=zero if shape.pools else zero + counts.macs,
        skips=zero + shape.skip_channels * shape.elements,
        comparisons=zero + counts.macs if shape.pools else zero,
        weight_bits=counts.weight_bits,
        activation_bits=shape.activation_bits,
        skip_bits=shape.skip_bits,
        idle_outside=work * shape.tiles * engine.lanes - useful,
        idle_fillers=(entries - work * shape.tiles) * engine.lanes,
        idle_waiting=(run - entries) * engine.lanes,
        idle_overhead=zero + shape.overhead * engine.lanes,
        requantizations=zero + shape.tiles * shape.outputs * engine.lanes,
        writes=zero + shape.outputs * shape.written,
        weight_words=zero + counts.weight_words * shape.tiles,
        param_words=zero + once + (counts.param_words - once) * shape.tiles,
        codebook_reads=zero if shape.pools else zero + counts.entries * shape.tiles,
        bank_reads=entries * engine.lanes,
    )


def activity(network: Graph[StoredConv], engine: EngineConfig, batch: int = 1) -> Activity:
    """Return the exact activity of an engine in a run of a network.

    Parameters
    ----------
    network : Graph of StoredConv
    engine : EngineConfig
    batch : int, power of two, 1 to engine.max_batch
        Images of the run.

    Raises
    ------
    SqhwError
        If the network does not fit the engine's activation memory.
    """
    timing, roms = Timing.of(engine), rom_cost(network, engine).layers
    layers = [
        _known(layer, shape, rom, engine, timing)
        for layer, shape, rom in zip(
            network.layers, layer_shapes(network, engine, batch), roms, strict=True
        )
    ]
    sizes = {name: int(np.prod(shape)) for name, shape in network.shapes().items()}
    return Activity(
        tuple(layers), batch, batch * sizes[INPUT], batch * sizes[network.layers[-1].name]
    )


def _known(
    layer: StoredConv | MaxPool,
    shape: LayerShape,
    rom: LayerRom,
    engine: EngineConfig,
    timing: Timing,
) -> LayerActivity:
    if not isinstance(layer, MaxPool):
        by_channel = entry_counts(layer)
        by_tap = np.count_nonzero(layer.weight, axis=(0, 1))
        nonzeros = layer.nonzeros
    else:
        by_channel = pool_counts(shape.outputs, layer.taps)
        by_tap = np.full(shape.inside.shape, shape.outputs)
        nonzeros = int(by_channel.sum())

    def one(value: int) -> Numbers:
        return np.array([value], dtype=np.int64)

    counts = LayerCounts(
        entries=one(int(by_channel.sum())),
        tile=one(int(tile_cycles(by_channel + shape.skips, timing, shape.serial))),
        nonzeros=one(nonzeros),
        macs=one(int((by_tap * shape.inside).sum())),
        weight_bits=shape.value_bits,
        weight_words=one(rom.weight_words),
        param_words=one(rom.param_words),
    )
    return layer_activity(shape, engine, counts)
