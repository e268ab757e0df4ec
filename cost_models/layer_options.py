"""The table of options of every layer, with what each costs: the budget as a compressor sees it.

An option is a number of non-zeros, a number of bits of their codes, and a format. Its costs are
exact where the weights' places are known; where only their number is, the entries of the stream,
and what follows from them, are expectations over random places (`sqhw.machine.stream`). Block
RAMs do not add up layer by layer: `NetworkTable` maps the memories of a whole choice, so that what
an option adds includes the rounding to blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.activity import LayerActivity, layer_activity
from sqhw.cost_models.budget import LIMITS
from sqhw.cost_models.device import Device
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.layer_shape import LayerShape, layer_shapes
from sqhw.cost_models.layer_weights import (
    BITS,
    CONSTANT_BITS,
    LayerWeights,
    has_stream,
    random_weights,
)
from sqhw.cost_models.rom import rom_blocks
from sqhw.cost_models.schedule import least_slot
from sqhw.cost_models.storage import Storage, storage
from sqhw.errors import unknown_name
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ROMS, descriptor_words, rom_widths
from sqhw.machine.stream import Dense, EntryCounts, EqualEntries, formats_for
from sqhw.machine.timing import Timing
from sqhw.network.graph import Graph, GraphConv, MaxPool

Numbers = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerTable:
    """Options of a layer and their costs; every array has the shape (options,).

    Parameters
    ----------
    name : str
        The layer.
    stored : Storage
        How the weights are stored; a layer without a stream has one dense option of no bits.
    weight_words, param_words : ndarray of int64
        Words of these ROMs; expectations are rounded up.
    done : LayerActivity
        What the layer does in a run.
    energy_pj : ndarray
        Of the layer in a run (unit: pJ).
    """

    name: str
    stored: Storage
    weight_words: Ints
    param_words: Ints
    done: LayerActivity
    energy_pj: Numbers

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def cycles(self) -> Numbers:
        """Cycles of the layer in a run."""
        return self.done.cycles

    @property
    def payload_bits(self) -> Ints:
        """Bits of the codes of the weights."""
        return self.stored.payload_bits

    @property
    def stream_bits(self) -> Ints:
        """Bits of the weight stream and the codebook; expectations are rounded up."""
        return _words(self.stored.stream_bits, 1) + self.stored.codebook_bits

    def only(self, chosen: npt.NDArray[Any]) -> "LayerTable":
        """Return the options of a mask or of indices."""
        return LayerTable(
            self.name,
            self.stored.only(chosen),
            self.weight_words[chosen],
            self.param_words[chosen],
            self.done.only(chosen),
            self.energy_pj[chosen],
        )


@dataclass(frozen=True)
class ChoiceCost:
    """What one option a layer costs together.

    Parameters
    ----------
    payload : int
        Bits of the codes of weights.
    stream : int
        Bits of weight streams and codebooks.
    rom : int
        Bits of the three ROM images.
    blocks : int
        Block RAMs that they occupy.
    cycles : float
        Of a run.
    energy : float
        Of an image (unit: uJ).
    """

    payload: int
    stream: int
    rom: int
    blocks: int
    cycles: float
    energy: float


@dataclass(frozen=True, eq=False)
class NetworkTable:
    """The tables of all layers of a network on an engine and a device.

    Parameters
    ----------
    layers : tuple of LayerTable
        In execution order.
    engine : EngineConfig
    device : Device
    batch : int
        Images of a run.
    """

    layers: tuple[LayerTable, ...]
    engine: EngineConfig
    device: Device
    batch: int = 1

    def cost(self, choice: Sequence[int]) -> ChoiceCost:
        """Return the cost of one option a layer, blocks included.

        Parameters
        ----------
        choice : sequence of int
            Index of the option of each layer.
        """
        rows = zip(self.layers, choice, strict=True)
        words = np.array([self._words[i][:, at] for i, (_, at) in enumerate(rows)]).sum(axis=0)
        rows = zip(self.layers, choice, strict=True)
        cycles, energy = np.sum([(t.cycles[at], t.energy_pj[at]) for t, at in rows], axis=0)
        rows = zip(self.layers, choice, strict=True)
        bits = np.sum([(t.payload_bits[at], t.stream_bits[at]) for t, at in rows], axis=0)
        return ChoiceCost(
            payload=int(bits[0]),
            stream=int(bits[1]),
            rom=int(self._bits(words)),
            blocks=int(self._blocks(words[:, None])[0]),
            cycles=float(cycles) + 1,
            energy=float(energy) * 1e-6 / self.batch,
        )

    def marginal(self, choice: Sequence[int], layer: int) -> dict[str, Numbers]:
        """Return what the network would cost with each option of one layer, the others as chosen.

        Parameters
        ----------
        choice : sequence of int
            Index of the option of each layer.
        layer : int
            Index of the layer whose options are tried.

        Returns
        -------
        dict of str to ndarray, shape (options,)
            All costs by name, exactly as `cost` has them.
        """
        table, at = self.layers[layer], choice[layer]
        total = np.sum([self._words[i][:, j] for i, j in enumerate(choice)], axis=0)
        words = (total - self._words[layer][:, at])[:, None] + self._words[layer]
        base = self.cost(choice)
        return {
            "payload": base.payload - table.payload_bits[at] + table.payload_bits,
            "stream": base.stream - table.stream_bits[at] + table.stream_bits,
            "rom": self._bits(words),
            "blocks": self._blocks(words),
            "cycles": base.cycles - table.cycles[at] + table.cycles,
            "energy": base.energy + (table.energy_pj - table.energy_pj[at]) * 1e-6 / self.batch,
        }

    def costs(self, layer: int, basis: str) -> Numbers:
        """Return what each option of a layer adds on a basis, shape (options,).

        Parameters
        ----------
        layer : int
            Index of the layer.
        basis : str
            Of `sqhw.cost_models.budget.LIMITS`; ``blocks`` are counted as the bits that they hold.

        Raises
        ------
        SqhwError
            If the basis is unknown.
        """
        table = self.layers[layer]
        if basis in ("rom", "blocks"):
            bits: Numbers = self._words[layer].T @ self.widths
            return bits
        if basis == "payload":
            return table.payload_bits
        if basis == "stream":
            return table.stream_bits
        if basis == "cycles":
            return table.cycles
        if basis == "energy":
            return np.asarray(table.energy_pj * 1e-6 / self.batch)
        raise unknown_name("cost", basis, LIMITS)

    def words_of(self, layer: int) -> Ints:
        """Return the words of weight, parameter and codebook ROM, shape (3, options)."""
        return self._words[layer]

    @property
    def widths(self) -> Ints:
        """Width of a word of each of the three ROMs, shape (3,) (unit: bit)."""
        return np.array([rom_widths(self.engine)[name] for name in ROMS])

    @cached_property
    def _words(self) -> list[Ints]:
        return [
            np.stack((t.weight_words, t.param_words, t.stored.codebook_words)) for t in self.layers
        ]

    def _bits(self, words: Ints) -> Ints:
        bits: Ints = np.maximum(words, 1).T @ self.widths
        return bits

    def _blocks(self, words: Ints) -> Ints:
        """Return the blocks of the three ROMs, shape (options,)."""
        total = np.zeros(words.shape[1], dtype=np.int64)
        for name, depths in zip(ROMS, np.maximum(words, 1), strict=True):
            unique, back = np.unique(depths, return_inverse=True)
            total += self._rising(name, unique)[back]
        return total

    def _rising(self, name: str, depths: Ints) -> Ints:
        """Return the blocks of a ROM of rising depths, each number of blocks looked for once.

        Where synthesis gives up a memory that would fill a block badly, a deeper ROM may take fewer
        blocks, but only beyond a multiple of a block's depth: between two of these it never does.
        """
        blocks = np.zeros(len(depths), dtype=np.int64)

        def at(index: int) -> int:
            return rom_blocks(name, int(depths[index]), self.engine, self.device)

        step = min(depth for depth, _ in self.device.bram.modes)
        ends = np.flatnonzero(np.diff((depths - 1) // step, append=-1))
        starts = np.concatenate(([0], ends[:-1] + 1))
        spans = [
            (low, high, at(low), at(high))
            for low, high in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        while spans:
            low, high, first, last = spans.pop()
            if first == last or high - low < 2:
                blocks[low : high + 1] = first
                blocks[high] = last
                continue
            middle = (low + high) // 2
            between = at(middle)
            spans += [(low, middle, first, between), (middle, high, between, last)]
        return blocks


def network_table(
    network: Graph[GraphConv],
    engine: EngineConfig,
    device: Device,
    prices: EnergyPrices,
    nonzeros: Mapping[str, Ints],
    bits: Sequence[int] | Mapping[str, Sequence[int]] = BITS,
    constant_bits: int = CONSTANT_BITS,
    batch: int = 1,
) -> NetworkTable:
    """Return the expected costs of all layers of a network, whatever its weights are.

    Parameters
    ----------
    network : Graph
    engine : EngineConfig
    device : Device
    prices : EnergyPrices
    nonzeros : mapping of str to ndarray of int64, shape (counts,)
        Numbers of non-zeros to try, for each layer with a weight stream.
    bits : sequence of int, 1 to 8, or mapping of str to such
        Code widths to try, for all layers or each with a weight stream.
    constant_bits : int
        Bits of a channel record beside the entry count.
    batch : int, power of two, 1 to engine.max_batch
        Images of a run.

    Raises
    ------
    SqhwError
        If the network does not fit the engine's activation memory.
    """
    tables = []
    for shape in layer_shapes(network, engine, batch):
        weights = None
        if not isinstance(shape.layer, MaxPool) and has_stream(shape):
            widths = bits[shape.name] if isinstance(bits, Mapping) else bits
            weights = random_weights(shape.layer, nonzeros[shape.name], widths, constant_bits)
        tables.append(layer_table(shape, engine, prices, weights, constant_bits))
    return NetworkTable(tuple(tables), engine, device, batch)


def nonzero_grid(weights: int, counts: int = 64) -> Ints:
    """Return numbers of non-zeros from 1 to `weights`, evenly on a logarithmic scale.

    Parameters
    ----------
    weights : int
        Of the layer.
    counts : int, 2 or more
        Numbers at most; fewer if rounding makes some of them equal.
    """
    return np.unique(np.round(np.geomspace(1, weights, counts)).astype(np.int64))


def layer_table(
    shape: LayerShape,
    engine: EngineConfig,
    prices: EnergyPrices,
    weights: LayerWeights | None,
    constant_bits: int = CONSTANT_BITS,
) -> LayerTable:
    """Return the options of a layer: every number of non-zeros, format and codebook.

    Parameters
    ----------
    shape : LayerShape
    engine : EngineConfig
    prices : EnergyPrices
    weights : LayerWeights or None
        None for a layer without a weight stream, which has one option.
    constant_bits : int
        Bits of a channel record beside the entry count, of a layer without a weight stream.
    """
    if weights is None:
        return _fixed_table(shape, engine, prices, constant_bits)
    formats = formats_for(engine, shape.inputs, shape.inside.shape[1])
    entries = [weights.entries(form) for form in formats]
    stored = storage(
        [(form, found.total) for form, found in zip(formats, entries, strict=True)],
        weights.nonzeros,
        most_values=np.maximum(weights.nonzeros, 1),
        has_zeros=weights.has_zeros,
        levels=weights.levels,
        word_bits=engine.word_bits,
    )
    at = stored.source, stored.form
    tiles = [_tile_cycles(found, shape, engine) for found in entries]
    counts = np.stack([found.count_bits for found in entries], axis=1)
    macs = (weights.by_tap * shape.inside).sum(axis=(1, 2))
    return _costed(
        shape,
        engine,
        prices,
        stored,
        np.stack(tiles, axis=1)[at],
        macs[stored.source],
        records=shape.outputs * (counts[at] + weights.constant_bits),
        weight_bits=weights.value_bits,
    )


def _tile_cycles(entries: EntryCounts, shape: LayerShape, engine: EngineConfig) -> Numbers:
    """Return the cycles of one tile of a layer, shape (options,)."""
    timing = Timing.of(engine)
    least = least_slot(timing, shape.serial)
    return entries.tile_cycles(least=least, rewind=timing.rewind, skips=shape.skips)


def _fixed_table(
    shape: LayerShape, engine: EngineConfig, prices: EnergyPrices, constant_bits: int
) -> LayerTable:
    """Return the only option of a layer of maxima, of an average, or of the input stage."""
    zero = np.zeros(1, dtype=np.int64)
    one = zero + shape.weights
    entries = EqualEntries(one, shape.outputs, shape.length)
    book = 0 if shape.pools else 1  # the one value of an average
    records = 0 if shape.pools else shape.outputs * constant_bits
    return _costed(
        shape,
        engine,
        prices,
        Storage((Dense(),), zero, one, zero, zero, zero, entries.total, zero + book),
        _tile_cycles(entries, shape, engine),
        zero + shape.outputs * int(shape.inside.sum()) * shape.inputs,
        records=zero + records,
        weight_bits=shape.value_bits,
    )


def _costed(
    shape: LayerShape,
    engine: EngineConfig,
    prices: EnergyPrices,
    stored: Storage,
    tile: Numbers,
    macs: Numbers,
    *,
    records: Ints,
    weight_bits: int,
) -> LayerTable:
    weight_words = _words(stored.stream_bits, engine.word_bits)
    param_words = descriptor_words(engine) + _words(records, engine.word_bits)
    done = layer_activity(
        shape,
        engine,
        stream_entries=stored.entries,
        tile=tile,
        nonzeros=stored.nonzeros,
        macs=macs,
        weight_bits=weight_bits,
        weight_words=weight_words,
        param_words=param_words,
    )
    return LayerTable(
        name=shape.name,
        stored=stored,
        weight_words=weight_words,
        param_words=param_words,
        done=done,
        energy_pj=np.asarray(prices.layer(done).total),
    )


def _words(bits: Numbers, word_bits: int) -> Ints:
    """Return the words that so many bits take; tiny excesses of a sum of floats are none."""
    words: Ints = np.ceil(bits / word_bits - 1e-9).astype(np.int64)
    return words
