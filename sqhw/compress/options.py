"""The table of ways to store a layer: how many weights, how many values, at what cost."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.compress.codebook import SortedWeights, kmeans
from sqhw.compress.knapsack import Option, hull
from sqhw.cost_models.storage import storage
from sqhw.engine import EngineConfig
from sqhw.format_choice import code_bits
from sqhw.stream import channel_order, count_entries, max_gap_bits

LLOYD_STEPS = 6  # enough to compare options; the codebooks themselves take more
GAP_LEVELS = (2, 4, 8, 16)
DENSE_LEVELS = (1, 2, 3, 4, 7, 8, 15, 16, 31, 32)  # with and without a code for 0
RATIO = 1.2  # between neighbouring numbers of weights


@dataclass(frozen=True, eq=False)
class LayerState:
    """What the projection knows of a layer.

    Parameters
    ----------
    weight, importance : ndarray of float64
        Weights, and the loss that a squared change of each causes; shape (out_channels,
        in_channels / groups, kernel_h, kernel_w).
    floor : ndarray of bool, same shape
        Weights that are always kept.
    inputs : ndarray of bool, shape (in_channels / groups,)
        Input channels that are stored.
    record_bits : int
        Estimated bits of a channel record.
    all_rows : bool
        Whether channels without weights are stored too (`sqhw.simplify.pinned_tensors`).
    """

    weight: npt.NDArray[np.float64]
    importance: npt.NDArray[np.float64]
    floor: npt.NDArray[np.bool_]
    inputs: npt.NDArray[np.bool_]
    record_bits: int
    all_rows: bool

    @property
    def stored(self) -> int:
        """Weights of stored input channels: with all of them kept no weight is 0."""
        outputs, _, *kernel = self.weight.shape
        return int(outputs * self.inputs.sum() * np.prod(kernel))

    def rank(self) -> npt.NDArray[np.int64]:
        """Return the rank of every weight, 0 for the last one to be dropped.

        Weights of input channels that are not stored come behind all others.
        """
        score = np.where(self.inputs[:, None, None], self.importance * self.weight**2, -1.0)
        key = np.where(self.floor, np.inf, score).reshape(-1)
        rank = np.empty(key.size, dtype=np.int64)
        rank[np.argsort(-key, kind="stable")] = np.arange(key.size)
        return rank.reshape(self.weight.shape)


def layer_options(state: LayerState, engine: EngineConfig, basis: str) -> list[Option]:
    """Return the useful options of a layer: the convex hull of all numbers and value counts.

    Parameters
    ----------
    state : LayerState
    engine : EngineConfig
    basis : str
        ``payload`` counts codes only, any other basis all bits of the weight stream, the codebook
        and the channel records.
    """
    rank = state.rank().reshape(-1)
    order = np.argsort(state.weight.reshape(-1), kind="stable")
    values = state.weight.reshape(-1)[order]
    importance = state.importance.reshape(-1)[order]
    # A weight with no measured importance still prefers a value near its own.
    importance = importance + 1e-3 * importance.mean() + 1e-30
    rank_by_value = rank[order]
    energy = np.empty(rank.size)
    energy[rank] = (state.importance * state.weight**2).reshape(-1)
    dropped = np.concatenate((np.cumsum(energy[::-1])[::-1], [0.0]))
    counts = _counts(int(state.floor.sum()), state.stored)
    options = []
    for count, costs in zip(counts, stream_costs(state, counts, engine, basis), strict=True):
        kept = rank_by_value < count
        sums = SortedWeights.make(values[kept], importance[kept])
        for levels, bits in costs.items():
            error = kmeans(sums, levels, LLOYD_STEPS)[1]
            options.append(Option(bits, float(dropped[count]) + error, count, levels))
    return hull(options)


def _counts(least: int, most: int) -> list[int]:
    """Return numbers of weights on a logarithmic grid, both ends included."""
    steps = max(1, int(np.ceil(np.log(max(most / least, 1.0)) / np.log(RATIO))))
    grid = np.geomspace(least, most, steps + 1)
    return sorted({round(float(value)) for value in grid} | {least, most})


def stream_costs(
    state: LayerState, counts: list[int], engine: EngineConfig, basis: str
) -> list[dict[int, int]]:
    """Return the bits of the cheapest stream by number of values, for each number of weights."""
    if basis == "payload":
        return [{levels: count * code_bits(levels) for levels in GAP_LEVELS} for count in counts]
    rank = channel_order(state.rank()[:, state.inputs])
    kernel_w = state.weight.shape[3]
    gaps = range(
        max_gap_bits(int(state.inputs.sum()), kernel_w, engine.taps_per_entry, engine.max_gap_bits)
        + 1
    )
    rows, entries = [], []
    for count in counts:
        mask = rank < count
        if not state.all_rows:
            mask = mask[mask.any(axis=1)]
        rows.append(mask.shape[0])
        entries.append([int(count_entries(mask, gap_bits).sum()) for gap_bits in gaps])
    totals = np.array(entries).T
    stored = storage(
        np.array(counts),
        np.full(len(counts), max(*GAP_LEVELS, *DENSE_LEVELS)),
        # `QatConv` rounds no kept weight to 0.
        np.array(counts) < state.stored,
        dict(zip(gaps, totals, strict=True)),
        GAP_LEVELS,
        DENSE_LEVELS,
    )
    full = stored.codebook_words == 1 << stored.code_bits
    stored = stored.only(full | (stored.gap_bits > 0))
    records = state.record_bits * np.array(rows)[stored.source]
    bits = stored.stream_bits + stored.codebook_bits + records
    costs: list[dict[int, int]] = [{} for _ in counts]
    for source, levels, cost in zip(stored.source, stored.levels, bits, strict=True):
        known = costs[source].get(int(levels), int(cost))
        costs[source][int(levels)] = min(known, int(cost))
    return costs
