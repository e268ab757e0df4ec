"""Table of the ways to store a layer: number of weights, number of values, costs and loss."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64, Mask
from sqhw.compress.choice.after_training import expected_error
from sqhw.compress.choice.mask_sums import mask_sums
from sqhw.compress.choice.nested import NO_MASK, NestedMasks, nest
from sqhw.compress.choice.run_costs import least_entries, run_costs
from sqhw.cost_models.knapsack import Option, front, hull
from sqhw.cost_models.layer_shape import LayerShape
from sqhw.cost_models.storage import Levels, Storage, storage
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import formats_for

#: Share of a layer's mean loss for a weight below which the weight counts as dead.
DEAD = 1e-9
#: Share of a layer's energy below which it counts as empty.
LEAST_SIGNAL = 1e-6
#: Numbers of values to try: 2**bits for codes of `bits` bits. Dense streams may need one for 0.
LEVELS = Levels((2, 4, 8, 16), (1, 2, 3, 4, 7, 8, 15, 16, 31, 32))


@dataclass(frozen=True, eq=False)
class LayerState:
    """A layer as the projection sees it.

    Parameters
    ----------
    weight, importance : ndarray of float32
        Weights, and the loss that a squared change of each causes; shape (out_channels,
        in_channels / groups, kernel_h, kernel_w).
    floor : ndarray of bool, same shape
        Weights that are always kept.
    record_bits : int
        Estimated size of a channel record (unit: bit).
    all_rows : bool
        Whether channels without weights are stored too (`sqhw.network.simplify.pinned_tensors`).
    shape : LayerShape, optional
        Shape of the layer's work in a run. Without it options have no cycles and no energy.
    """

    weight: npt.NDArray[np.float32]
    importance: npt.NDArray[np.float32]
    floor: Mask
    record_bits: int
    all_rows: bool
    shape: LayerShape | None = None

    @cached_property
    def whole(self) -> float:
        """Loss by the quadratic estimate if all weights were dropped."""
        return float(max(self.score.sum(dtype=np.float64), 1e-30))

    @cached_property
    def alive(self) -> Mask:
        """Weights that matter at all; those that read or make dead channels do not."""
        score = self.score
        found: Mask = score > DEAD * float(score.mean(dtype=np.float64))
        return found

    @property
    def score(self) -> npt.NDArray[np.float32]:
        """Loss that dropping each weight causes."""
        score: npt.NDArray[np.float32] = self.importance * self.weight * self.weight
        return score


@dataclass(frozen=True, eq=False)
class LayerOptions:
    """All ways to store the part of a layer that belongs to stored channels.

    Parameters
    ----------
    rows, inputs : ndarray of bool, shapes (out_channels,), (in_channels / groups,)
        Channels that are stored.
    nested : NestedMasks
        Masks of these channels.
    stored : Storage
        Every option; `stored.source` is the index of its mask.
    records : ndarray of int64, shape (options,)
        Size of the channel records (unit: bit).
    distortion : ndarray of float64, shape (options,)
        Loss of all dropped and rounded weights, those of channels that are not stored included.
    slope : ndarray of float64, shape (options,)
        Loss that one more unit of dropped score causes.
    cycles, energy : ndarray of float64, shape (options,), optional
        Cycles and energy of the layer in a run (unit of energy: uJ).
    """

    rows: Mask
    inputs: Mask
    nested: NestedMasks
    stored: Storage
    records: npt.NDArray[np.int64]
    distortion: Floats64
    slope: Floats64
    cycles: Floats64 | None = None
    energy: Floats64 | None = None

    def costs(self, basis: str) -> Floats64:
        """Return the cost of every option on a basis, shape (options,).

        ``payload`` counts the codes, ``stream`` the weight stream and the codebook, ``rom`` and
        ``blocks`` the channel records too (unit: bit). ``cycles`` and ``energy`` are those of the
        layer.
        """
        stored = self.stored
        if basis in ("cycles", "energy"):
            work = self.cycles if basis == "cycles" else self.energy
            assert work is not None
            return work
        if basis == "payload":
            return np.asarray(stored.payload_bits, dtype=np.float64)
        bits = stored.stream_bits + stored.codebook_bits
        return np.asarray(bits if basis == "stream" else bits + self.records, dtype=np.float64)

    def hull(self, costs: Floats64) -> list[Option]:
        """Return the options on the hull of cost and loss, from the cheapest to the most exact."""
        return hull(
            [
                Option(
                    int(costs[at]),
                    float(self.distortion[at]),
                    int(self.stored.nonzeros[at]),
                    int(self.stored.levels[at]),
                    int(at),
                )
                for at in front(costs, self.distortion)
            ]
        )

    def mask(self, option: Option, shape: tuple[int, ...]) -> Mask:
        """Return the weights that an option keeps; `shape` is that of the whole layer."""
        return self._whole.mask(int(self.stored.source[option.index])).reshape(shape)

    @cached_property
    def _whole(self) -> NestedMasks:
        """Masks of the whole layer; channels that are not stored have no weight.

        A search reads dozens of masks. One comparison over the whole layer is faster than to
        scatter each mask into place.
        """
        first = np.full((len(self.rows), len(self.inputs), self.nested.first.shape[2]), NO_MASK)
        first[np.ix_(self.rows, self.inputs)] = self.nested.first
        return NestedMasks(self.nested.counts, first)


def _loss(energy: Floats64, whole: float) -> tuple[Floats64, Floats64]:
    """Return the loss of a layer that loses `energy` of its `whole` energy, and its derivative.

    The quadratic estimate of the loss holds for small changes only. By it a layer of little weight
    costs little to empty, although no signal passes an empty layer. ``-whole * log(1 - lost /
    whole)`` agrees with the estimate at first and grows without bound as the layer loses all of its
    signal.
    """
    share = np.minimum(energy / whole, 1 - LEAST_SIGNAL)
    return -whole * np.log1p(-share), 1 / (1 - share)


def layer_options(
    state: LayerState, rows: Mask, inputs: Mask, engine: EngineConfig, *, near: int | None = None
) -> LayerOptions:
    """Return the table of a layer: each number of weights with each number of values.

    Parameters
    ----------
    state : LayerState
    rows, inputs : ndarray of bool, shapes (out_channels,), (in_channels / groups,)
        Channels that are stored.
    engine : EngineConfig
    near : int, optional
        Number of weights around which the table has finer steps.
    """
    chosen = np.ix_(rows, inputs)
    taps = state.weight.shape[2] * state.weight.shape[3]
    shape = int(rows.sum()), int(inputs.sum()), taps
    weight, importance = (
        np.ascontiguousarray(part[chosen]).reshape(shape)
        for part in (state.weight, state.importance)
    )
    score = importance * weight * weight
    nested = nest(score, state.floor[chosen].reshape(shape), near=near)
    formats = formats_for(engine, shape[1], state.weight.shape[3])
    work = state.shape and replace(state.shape, outputs=shape[0], inputs=shape[1])
    least = least_entries(work, engine) if work else (0, 0)
    sums = mask_sums(nested, formats, every_row=state.all_rows, least=least)
    stored = storage(
        [(form, sums.entries[:, at], sums.quotients[:, at]) for at, form in enumerate(formats)],
        nested.counts,
        most_values=np.full(len(nested.counts), max(*LEVELS.nonzero, *LEVELS.dense)),
        has_zeros=nested.counts < weight.size,  # `QatConv` rounds no kept weight to 0
        levels=LEVELS,
        word_bits=engine.word_bits,
    )
    full = stored.codebook_words == 1 << stored.code_bits
    stored = stored.only(full | ~stored.stores_zeros)
    size = max(1, int(state.alive.sum()))
    error = expected_error(np.minimum(1.0, stored.nonzeros / size), stored.levels)
    distortion, slope = _loss(error * state.whole, state.whole)
    records = state.record_bits * sums.rows[stored.source]
    done = run_costs(work, engine, stored, sums, records) if work else (None, None)
    return LayerOptions(
        rows,
        inputs,
        nested,
        stored,
        records=records,
        distortion=distortion,
        slope=slope,
        cycles=done[0],
        energy=done[1],
    )
