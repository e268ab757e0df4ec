"""The table of ways to store a layer: how many weights, how many values, at what cost."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64, Mask
from sqhw.compress.choice.nested import NO_MASK, NestedMasks, histogram_errors, mask_sums, nest
from sqhw.compress.choice.run_costs import least_entries, run_costs
from sqhw.cost_models.knapsack import Option, front, hull
from sqhw.cost_models.layer_shape import LayerShape
from sqhw.cost_models.storage import Levels, Storage, storage
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import formats_for

LLOYD_STEPS = 12
#: Weight of rounding errors against dropped weights. Training makes up for less of what rounding
#: to a codebook costs than of what dropping does. Errors of weights that share a value add up,
#: which the diagonal of the Fisher does not see.
ROUNDING = 2.0
LEAST_SIGNAL = 1e-6  # share of a layer's energy below which it counts as empty
#: Numbers of values to try: as many as codes name, in dense streams with and without one for 0.
LEVELS = Levels((2, 4, 8, 16), (1, 2, 3, 4, 7, 8, 15, 16, 31, 32))


@dataclass(frozen=True, eq=False)
class LayerState:
    """What the projection knows of a layer.

    Parameters
    ----------
    weight, importance : ndarray of float32
        Weights, and the loss that a squared change of each causes; shape (out_channels,
        in_channels / groups, kernel_h, kernel_w).
    floor : ndarray of bool, same shape
        Weights that are always kept.
    record_bits : int
        Estimated bits of a channel record.
    all_rows : bool
        Whether channels without weights are stored too (`sqhw.network.simplify.pinned_tensors`).
    shape : LayerShape, optional
        What the layer does in a run; without it options have no cycles and no energy.
    """

    weight: npt.NDArray[np.float32]
    importance: npt.NDArray[np.float32]
    floor: Mask
    record_bits: int
    all_rows: bool
    shape: LayerShape | None = None

    @cached_property
    def whole(self) -> float:
        """Loss by the quadratic estimate if all were dropped."""
        return float(max(self.score.sum(dtype=np.float64), 1e-30))

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
        Every option, `stored.source` is its mask.
    records : ndarray of int64, shape (options,)
        Bits of the channel records.
    distortion : ndarray of float64, shape (options,)
        Loss of all that is dropped or rounded, with the weights of channels that are not stored.
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

        ``payload`` counts codes only, ``stream`` the weight stream and the codebook, ``rom`` and
        ``blocks`` the channel records too (unit: bit); ``cycles`` and ``energy`` are the layer's.
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
        """Return the useful options, from the cheapest to the most exact, by their costs."""
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
        """The masks with the channels that are not stored, of which none has a weight.

        A search takes dozens of masks: to compare the whole layer is faster than to spread each.
        """
        first = np.full((len(self.rows), len(self.inputs), self.nested.first.shape[2]), NO_MASK)
        first[np.ix_(self.rows, self.inputs)] = self.nested.first
        return NestedMasks(self.nested.counts, first)


def _loss(energy: Floats64, whole: float) -> tuple[Floats64, Floats64]:
    """Return the loss of a layer that loses some of its energy, and how fast it rises there.

    The quadratic estimate of the loss holds for small changes only: by it a layer that matters
    little costs little to empty, and then nothing passes. ``-whole * log(1 - lost / whole)`` agrees
    with it at first and rises beyond all bounds as the layer loses all of its signal.
    """
    share = np.minimum(energy / whole, 1 - LEAST_SIGNAL)
    return -whole * np.log1p(-share), 1 / (1 - share)


def layer_options(
    state: LayerState, rows: Mask, inputs: Mask, engine: EngineConfig, *, near: int | None = None
) -> LayerOptions:
    """Return all numbers of weights and of values of a layer, and what each costs.

    Parameters
    ----------
    state : LayerState
    rows, inputs : ndarray of bool, shapes (out_channels,), (in_channels / groups,)
        Channels that are stored.
    engine : EngineConfig
    near : int, optional
        Number of weights to stay near, in finer steps.
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
    # A weight with no measured importance still prefers a value near its own.
    worth = importance + np.float32(1e-3 * float(importance.mean()) + 1e-30)
    formats = formats_for(engine, shape[1], state.weight.shape[3])
    work = state.shape and replace(state.shape, outputs=shape[0], inputs=shape[1])
    least = least_entries(work, engine) if work else (0, 0)
    sums = mask_sums(
        nested, weight, importance, worth, formats, every_row=state.all_rows, least=least
    )
    stored = storage(
        [(form, sums.entries[:, at]) for at, form in enumerate(formats)],
        nested.counts,
        most_values=np.full(len(nested.counts), max(*LEVELS.nonzero, *LEVELS.dense)),
        has_zeros=nested.counts < weight.size,  # `QatConv` rounds no kept weight to 0
        levels=LEVELS,
        word_bits=engine.word_bits,
    )
    full = stored.codebook_words == 1 << stored.code_bits
    stored = stored.only(full | ~stored.stores_zeros)
    levels = np.unique(stored.levels)
    errors = histogram_errors(
        sums.mass, sums.moment, sums.second, sums.largest, levels, LLOYD_STEPS
    )
    lost = state.whole - sums.energy
    distortion, slope = _loss(
        np.maximum(lost, 0)[stored.source]
        + ROUNDING * errors[stored.source, np.searchsorted(levels, stored.levels)],
        state.whole,
    )
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
