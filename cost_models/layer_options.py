"""The options of a layer and their costs.

An option is a number of non-zeros, a number of bits of their codes, and a format. Its costs are
exact where the weights' places are known. Where only their number is known, the entries of the
stream, and all costs that follow, are expectations over random places (`sqhw.machine.stream`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints, Numbers
from sqhw.cost_models.activity import LayerActivity, LayerCounts, layer_activity
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.layer_shape import LayerShape
from sqhw.cost_models.layer_weights import (
    CONSTANT_BITS,
    LayerWeights,
)
from sqhw.cost_models.schedule import least_slot
from sqhw.cost_models.storage import Storage, storage, words
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import descriptor_words
from sqhw.machine.stream import Dense, EntryCounts, EqualEntries, formats_for
from sqhw.machine.timing import Timing


@dataclass(frozen=True, eq=False)
class LayerTable:
    """Options of a layer and their costs; every array has the shape (options,).

    Parameters
    ----------
    name : str
        Name of the layer.
    stored : Storage
        Storage of the weights; a layer without a stream has one dense option of no bits.
    weight_words, param_words : ndarray of int64
        Words of these ROMs; expectations are rounded up.
    done : LayerActivity
        Activity of the layer in a run.
    energy_pj : ndarray
        Energy of the layer in a run (unit: pJ).
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
        return words(self.stored.stream_bits, 1) + self.stored.codebook_bits

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
        Weights; None for a layer without a weight stream, which has one option.
    constant_bits : int
        Bits of a channel record beside the entry count, of a layer without a weight stream.
    """
    if weights is None:
        return _fixed_table(shape, engine, prices, constant_bits)
    formats = formats_for(engine, shape.inputs, shape.inside.shape[1])
    entries = [weights.entries(form) for form in formats]
    stored = storage(
        [
            (form, found.total, found.quotient_bits)
            for form, found in zip(formats, entries, strict=True)
        ],
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
    return costed(
        shape,
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
    return costed(
        shape,
        prices,
        Storage((Dense(),), zero, one, zero, zero, zero, entries.total, zero, zero + book),
        _tile_cycles(entries, shape, engine),
        zero + shape.outputs * int(shape.inside.sum()) * shape.inputs,
        records=zero + records,
        weight_bits=shape.value_bits,
    )


def costed(
    shape: LayerShape,
    prices: EnergyPrices,
    stored: Storage,
    tile: Numbers,
    macs: Numbers,
    *,
    records: Ints,
    weight_bits: int,
) -> LayerTable:
    """Return the costs of options whose cycles of a tile are known.

    Parameters
    ----------
    shape : LayerShape
    prices : EnergyPrices
        Prices of the engine that runs the layer.
    stored : Storage
    tile : ndarray, shape (options,)
        Cycles of one tile.
    macs : ndarray, shape (options,)
        Multiplications of an image, over all positions.
    records : ndarray, shape (options,)
        Size of the channel records (unit: bit).
    weight_bits : int
        Width of a weight at the multiplier (unit: bit).
    """
    engine = prices.engine
    weight_words = stored.words(engine.word_bits)
    once = descriptor_words(engine) + shape.table_words(engine)
    param_words = once + words(records, engine.word_bits)
    counts = LayerCounts(
        entries=stored.entries,
        tile=tile,
        nonzeros=stored.nonzeros,
        macs=macs,
        weight_bits=weight_bits,
        weight_words=weight_words,
        param_words=param_words,
    )
    done = layer_activity(shape, engine, counts)
    return LayerTable(
        name=shape.name,
        stored=stored,
        weight_words=weight_words,
        param_words=param_words,
        done=done,
        energy_pj=np.asarray(prices.layer(done).total),
    )
