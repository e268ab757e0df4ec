"""The table of ways to store a layer: how many weights, how many values, at what cost."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.compress.codebook import SortedWeights, kmeans
from sqhw.compress.knapsack import Option, hull
from sqhw.engine import EngineConfig
from sqhw.format_choice import code_bits
from sqhw.layout import CODEBOOK_WIDTH
from sqhw.stream import channel_order, count_entries, max_gap_bits

LLOYD_STEPS = 6  # enough to compare options; the codebooks themselves take more
GAP_LEVELS = (2, 4, 8, 16)
DENSE_LEVELS = (1, 3, 7, 15, 31)
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

    def rank(self) -> npt.NDArray[np.int64]:
        """Return the rank of every weight, 0 for the last one to be dropped."""
        score = self.importance * self.weight**2
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
    ordered_rank = channel_order(rank.reshape(state.weight.shape)[:, state.inputs])
    options = []
    for count in _counts(int(state.floor.sum()), rank.size):
        kept = rank_by_value < count
        sums = SortedWeights.make(values[kept], importance[kept])
        mask = ordered_rank < count
        for levels, bits in _costs(state, mask, count, engine, basis).items():
            error = kmeans(sums, levels, LLOYD_STEPS)[1]
            options.append(Option(bits, float(dropped[count]) + error, count, levels))
    return hull(options)


def _counts(least: int, most: int) -> list[int]:
    """Return numbers of weights on a logarithmic grid, both ends included."""
    steps = max(1, int(np.ceil(np.log(max(most / least, 1.0)) / np.log(RATIO))))
    grid = np.geomspace(least, most, steps + 1)
    return sorted({round(float(value)) for value in grid} | {least, most})


def _costs(
    state: LayerState,
    mask: npt.NDArray[np.bool_],
    count: int,
    engine: EngineConfig,
    basis: str,
) -> dict[int, int]:
    """Return the bits of the cheapest stream by number of values."""
    if basis == "payload":
        return {levels: count * code_bits(levels) for levels in GAP_LEVELS}
    in_channels = int(state.inputs.sum())
    if not state.all_rows:
        mask = mask[mask.any(axis=1)]
    if mask.size == 0:
        return dict.fromkeys(GAP_LEVELS, 0)
    kernel_w = state.weight.shape[3]
    gap_limit = max_gap_bits(in_channels, kernel_w, engine.taps_per_entry, engine.max_gap_bits)
    entries = {r: int(count_entries(mask, r).sum()) for r in range(1, gap_limit + 1)}
    records = state.record_bits * mask.shape[0]
    costs: dict[int, int] = {}
    for levels in GAP_LEVELS:
        stream = min(n * (r + code_bits(levels)) for r, n in entries.items())
        costs[levels] = stream + CODEBOOK_WIDTH * levels + records
    for levels in DENSE_LEVELS:
        stream = mask.size * code_bits(levels + 1)
        costs[levels] = stream + CODEBOOK_WIDTH * (levels + 1) + records
    return costs
