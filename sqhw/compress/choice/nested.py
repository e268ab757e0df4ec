"""Nested masks of a layer, each of about a fifth more weights than the one before, all at once.

Weights are ranked by a score, equal ones by their place. Instead of sorting them, a histogram of
the scores' upper bits says where the masks may end. A bin is sorted only if it holds so many
weights that its end would be far from the wanted number.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.environment.kernel import kernel

#: Ratio of neighbouring numbers of weights.
RATIO = 1.2
#: Factor between the middle and the ends of a fine grid.
FINE_REACH = 1.3
#: Index of the first mask for weights that no mask has. There are fewer masks than that.
NO_MASK = np.uint8(255)
#: Bits of a float32 that a bin leaves out: 128 bins an octave.
_KEY_SHIFT = 16
#: Bin of the weights that are always kept, above all finite scores.
_TOP = (1 << 15) - 1
#: Largest distance of a mask from the wanted number of weights, as a share of the step to the next.
_SNAP = 0.25


@dataclass(frozen=True, eq=False)
class NestedMasks:
    """Masks of a layer's stored weights. Each has all weights of the one before.

    Parameters
    ----------
    counts : ndarray of int64, shape (masks,)
        Number of weights of each mask, ascending.
    first : ndarray of uint8, shape (rows, inputs, kernel_h * kernel_w)
        Index of the first mask that has the weight.
    """

    counts: Ints
    first: npt.NDArray[np.uint8]

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """Return a mask, shape (rows, inputs, kernel_h * kernel_w)."""
        kept: npt.NDArray[np.bool_] = self.first <= index
        return kept


def nest(
    score: npt.NDArray[np.float32], floor: npt.NDArray[np.bool_], *, near: int | None = None
) -> NestedMasks:
    """Return masks of rising numbers of weights, those of the highest scores.

    Parameters
    ----------
    score : ndarray of float32, shape (rows, inputs, kernel_h * kernel_w), 0 or more
        Finite scores. Of equal ones the first is ranked higher.
    floor : ndarray of bool, same shape
        Weights that every mask has.
    near : int, optional
        Number of weights around which the masks lie, in a tenth of the usual steps. Without it they
        go from `floor` to all weights.
    """
    flat = np.ascontiguousarray(score, dtype=np.float32).reshape(-1)
    key, held = _keys(flat.view(np.int32), floor.reshape(-1))
    above = np.concatenate((np.cumsum(held[::-1])[::-1], [0]))  # weights in this bin or higher
    ends: list[int] = []
    ranked: set[int] = set()
    wanted_numbers, ratio = _wanted(max(1, int(floor.sum())), flat.size, near)
    for wanted in wanted_numbers:
        at = int(np.searchsorted(-above, -wanted, side="right")) - 1  # lowest bin of the wanted
        low, high = int(above[at + 1]), int(above[at])
        near = low if wanted - low < high - wanted and low > 0 else high
        if abs(near - wanted) > _SNAP * (ratio - 1) * wanted:
            ranked.add(at)
            near = wanted
        ends.append(near)
    counts = np.unique(np.array(ends, dtype=np.int64))
    first = _looked_up(np.searchsorted(counts, above[:-1], side="left").astype(np.uint8), key)
    for at in ranked:
        places = np.flatnonzero(key == at)
        order = np.argsort(-flat[places], kind="stable")
        rank = np.empty(len(places), dtype=np.int64)
        rank[order] = above[at + 1] + np.arange(len(places))
        first[places] = np.searchsorted(counts, rank, side="right")
    return NestedMasks(counts, first.reshape(score.shape))


def _wanted(least: int, most: int, near: int | None) -> tuple[list[int], float]:
    """Return numbers of weights on a logarithmic grid, both ends included, and its ratio."""
    low, high, ratio = least, most, RATIO
    if near is not None:
        near = min(max(near, least), most)
        low = max(least, min(near - 1, round(near / FINE_REACH)))
        high = min(most, max(near + 1, round(near * FINE_REACH)))
        ratio = RATIO**0.1
    steps = max(1, int(np.ceil(np.log(high / low) / np.log(ratio))))
    grid = np.geomspace(low, high, steps + 1)
    ends = {low, high, near or low}
    return sorted({round(float(value)) for value in grid} | ends), ratio


@kernel(nogil=True)
def _keys(bits, floor):  # type: ignore[no-untyped-def]
    """Return the bin of every score, and the number of scores in each bin."""
    key = np.empty(bits.size, dtype=np.uint16)
    held = np.zeros(_TOP + 1, dtype=np.int64)
    for at in range(bits.size):
        key[at] = _TOP if floor[at] else bits[at] >> _KEY_SHIFT
        held[key[at]] += 1
    return key, held


@kernel(nogil=True)
def _looked_up(table, key):  # type: ignore[no-untyped-def]
    """Return ``table[key]``."""
    found = np.empty(key.size, dtype=np.uint8)
    for at in range(key.size):
        found[at] = table[key[at]]
    return found
