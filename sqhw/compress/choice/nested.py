"""Nested masks of a layer, each of about a fifth more weights than the one before, all at once.

Weights are ranked by a score, equal ones by their place. Instead of sorting them, a histogram of
the scores' upper bits says where the masks may end; only where a bin holds so many that its end
would be far from the number wanted is it ranked inside. One pass in stream order then counts the
entries of all masks in all formats, and sums what the quantizers need.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64, Ints
from sqhw.environment.kernel import kernel
from sqhw.machine.stream import StreamFormat

RATIO = 1.2  # between neighbouring numbers of weights
FINE_REACH = 1.3  # factor between the middle and the ends of a fine grid
VALUE_BINS = 1024
NO_MASK = np.uint8(255)  # index of the first mask of what none has; there are fewer masks
_KEY_SHIFT = 16  # of the bits of a float32: 128 bins an octave
_TOP = (1 << 15) - 1  # bin of what is always kept, above all finite scores
_SNAP = 0.25  # of the step to the next mask: how far one may be from where it is wanted


@dataclass(frozen=True, eq=False)
class NestedMasks:
    """Masks of a layer's stored weights; each has all weights of the one before.

    Parameters
    ----------
    counts : ndarray of int64, shape (masks,)
        Weights of each, ascending.
    first : ndarray of uint8, shape (rows, inputs, kernel_h * kernel_w)
        Index of the first mask that has the weight.
    """

    counts: Ints
    first: npt.NDArray[np.uint8]

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """Return a mask, shape (rows, inputs, kernel_h * kernel_w)."""
        kept: npt.NDArray[np.bool_] = self.first <= index
        return kept


@dataclass(frozen=True, eq=False)
class MaskSums:
    """What the masks of a layer cost and lose.

    Parameters
    ----------
    entries : ndarray of int64, shape (masks, formats)
        Stream entries by format.
    rows : ndarray of int64, shape (masks,)
        Rows that are stored.
    waits : ndarray of int64, shape (masks, formats)
        Cycles of a tile in which a row with few entries waits.
    by_tap : ndarray of int64, shape (masks, kernel_h * kernel_w)
        Weights by kernel position.
    energy : ndarray of float64, shape (masks,)
        Sum of the scores of the mask.
    mass, moment : ndarray of float64, shape (masks, VALUE_BINS)
        Worth, and worth times value, by bins of the value.
    second : ndarray of float64, shape (masks,)
        Worth times squared value.
    largest : float
        Magnitude of the largest value.
    """

    entries: Ints
    rows: Ints
    waits: Ints
    by_tap: Ints
    energy: Floats64
    mass: Floats64
    moment: Floats64
    second: Floats64
    largest: float


def nest(
    score: npt.NDArray[np.float32], floor: npt.NDArray[np.bool_], *, near: int | None = None
) -> NestedMasks:
    """Return masks of rising numbers of weights, those of the highest scores.

    Parameters
    ----------
    score : ndarray of float32, shape (rows, inputs, kernel_h * kernel_w), 0 or more
        Finite. Of equal ones the first is ranked higher.
    floor : ndarray of bool, same shape
        What every mask has.
    near : int, optional
        Without it the masks go from `floor` to all weights; with it they are near that number, in
        steps of a tenth of those.
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
    """Return the bin of every score, and how many each bin holds."""
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


def mask_sums(
    nested: NestedMasks,
    weight: npt.NDArray[np.float32],
    importance: npt.NDArray[np.float32],
    worth: npt.NDArray[np.float32],
    formats: Sequence[StreamFormat],
    *,
    every_row: bool,
    least: tuple[int, int] = (0, 0),
) -> MaskSums:
    """Return what nested masks cost and lose, in one pass.

    Parameters
    ----------
    nested : NestedMasks
    weight, importance : ndarray of float32, shape (rows, inputs, kernel_h * kernel_w)
    worth : ndarray of float32, same shape
        Importance that the quantizer gives each weight, more than 0.
    formats : sequence of StreamFormat
        One or more.
    every_row : bool
        Whether rows without a weight are stored too, as one filler.
    least : tuple of (int, int)
        Entries below which the first row, and any other, waits.
    """
    masks, (rows, inputs, taps) = len(nested.counts), weight.shape
    largest = float(np.abs(weight).max(initial=0.0))
    gaps, per_row, by_tap, energy, second, mass, moment = _walk(
        nested.first, weight, importance, worth, masks, largest
    )
    positions = np.arange(inputs * taps)
    entries = np.empty((masks, len(formats)), dtype=np.int64)
    stored = np.full(masks, rows) if every_row else (per_row > 0).sum(axis=1)
    empty = (per_row == 0).sum(axis=1) if every_row else 0
    lengths = gaps.astype(np.float64)
    each = np.stack([form.entries_after(positions) for form in formats])
    dense = np.array([form.stores_zeros for form in formats])
    for at in range(len(formats)):
        entries[:, at] = (
            stored * inputs * taps if dense[at] else (each[at] @ lengths).astype(np.int64) + empty
        )
    waits = _waits(nested.first, per_row, each, dense, every_row, np.array(least))
    return MaskSums(
        entries=entries,
        rows=stored,
        waits=waits,
        by_tap=np.cumsum(by_tap, axis=0),
        energy=np.cumsum(energy),
        mass=np.cumsum(mass, axis=0),
        moment=np.cumsum(moment, axis=0),
        second=np.cumsum(second),
        largest=largest,
    )


@kernel(nogil=True)
def _walk(first, weight, importance, worth, masks, largest):  # type: ignore[no-untyped-def]
    """Return zeros before each weight by mask, and sums of each mask's own weights."""
    rows, inputs, taps = weight.shape
    gaps = np.zeros((inputs * taps, masks), dtype=np.int32)  # larger masks have smaller gaps
    per_row = np.zeros((masks, rows), dtype=np.int32)
    by_tap = np.zeros((masks, taps), dtype=np.int64)
    energy, second = np.zeros(masks), np.zeros(masks)
    mass = np.zeros((masks, VALUE_BINS))
    moment = np.zeros((masks, VALUE_BINS))
    last = np.empty(masks, dtype=np.int32)
    half = VALUE_BINS // 2
    scale = 1.0 / largest if largest > 0 else 0.0
    for row in range(rows):
        last[:] = -1
        for tap in range(taps):
            for channel in range(inputs):
                mask = first[row, channel, tap]
                if mask >= masks:
                    continue
                value = np.float64(weight[row, channel, tap])
                care = np.float64(worth[row, channel, tap])
                root = np.sqrt(abs(value) * scale) * (half - 1)
                place = half + int(root) if value >= 0 else half - 1 - int(root)
                mass[mask, place] += care
                moment[mask, place] += care * value
                energy[mask] += np.float64(importance[row, channel, tap]) * value * value
                second[mask] += care * value * value
                by_tap[mask, tap] += 1
                per_row[mask, row] += 1
                position = tap * inputs + channel
                for larger in range(mask, masks):
                    gaps[position - last[larger] - 1, larger] += 1
                    last[larger] = position
        for mask in range(1, masks):
            per_row[mask, row] += per_row[mask - 1, row]
    return gaps, per_row, by_tap, energy, second, mass, moment


@kernel(nogil=True)
def _waits(first, per_row, each, dense, every_row, least):  # type: ignore[no-untyped-def]
    """Return the cycles that rows of fewer entries than `least` wait, by mask and format."""
    rows, inputs, taps = first.shape
    masks = len(per_row)
    waits = np.zeros((masks, len(each)), dtype=np.int64)
    places = np.empty(max(least.max(), 1), dtype=np.int64)
    whose = np.empty(max(least.max(), 1), dtype=np.int64)
    for row in range(rows):
        need = least[1] if row else least[0]
        few = 0  # masks that have fewer weights than that in the row
        while few < masks and per_row[few, row] < need:
            few += 1
        if few == 0:
            continue
        found = 0
        for tap in range(taps):
            for channel in range(inputs):
                if first[row, channel, tap] < few:
                    places[found] = tap * inputs + channel
                    whose[found] = first[row, channel, tap]
                    found += 1
        for mask in range(few):
            if per_row[mask, row] == 0 and not every_row:
                continue
            for form in range(len(each)):
                if dense[form]:
                    waits[mask, form] += max(0, need - inputs * taps)
                    continue
                last, entries = -1, 0
                for at in range(found):
                    if whose[at] <= mask:
                        entries += each[form, places[at] - last - 1]
                        last = places[at]
                waits[mask, form] += max(0, need - max(entries, 1))
    return waits


@kernel(nogil=True)
def bin_values(largest):  # type: ignore[no-untyped-def]
    """Return the bounds of the value bins, ascending, shape (VALUE_BINS + 1,)."""
    half = VALUE_BINS // 2
    bounds = np.empty(VALUE_BINS + 1)
    for at in range(half + 1):
        bounds[half + at] = largest * (at / (half - 1)) ** 2
        bounds[half - at] = -bounds[half + at]
    return bounds


@kernel(nogil=True)
def histogram_errors(mass, moment, second, largest, levels, steps):  # type: ignore[no-untyped-def]
    """Return the error of the best values that Lloyd's algorithm finds on histograms.

    The better of two starts: clusters of equally many bins that are not empty, and the density that
    is best for many levels, the cube root of that of the importance (Panter and Dite, 1951).

    Parameters
    ----------
    mass, moment : ndarray of float64, shape (masks, VALUE_BINS)
    second : ndarray of float64, shape (masks,)
    largest : float
    levels : ndarray of int64, shape (options,)
    steps : int

    Returns
    -------
    ndarray of float64, shape (masks, options)
    """
    masks, bins = mass.shape
    half = bins // 2
    bounds = bin_values(largest)
    scale = 1.0 / largest if largest > 0 else 0.0
    errors = np.empty((masks, len(levels)))
    sums = np.zeros(bins + 1)
    moments = np.zeros(bins + 1)
    density = np.zeros(bins + 1)
    filled = np.zeros(bins + 1)
    edges = np.empty(levels.max() + 1, dtype=np.int64)
    centres = np.empty(levels.max())
    for mask in range(masks):
        for at in range(bins):
            sums[at + 1] = sums[at] + mass[mask, at]
            moments[at + 1] = moments[at] + moment[mask, at]
            width = bounds[at + 1] - bounds[at]
            dense = (mass[mask, at] * width * width) ** (1 / 3)
            density[at + 1] = density[at] + dense
            filled[at + 1] = filled[at] + (mass[mask, at] > 0)
        for option in range(len(levels)):
            count = levels[option]
            best = np.inf
            for start in (density, filled):
                for at in range(count + 1):
                    edges[at] = np.searchsorted(start, start[bins] * at / count)
                edges[0], edges[count] = 0, bins
                for step in range(steps + 1):
                    explained = 0.0
                    for at in range(count):
                        held = sums[edges[at + 1]] - sums[edges[at]]
                        turned = moments[edges[at + 1]] - moments[edges[at]]
                        if held > 0:
                            centres[at] = turned / held
                            explained += turned * turned / held
                        else:
                            centres[at] = bounds[edges[at]]
                    best = min(best, second[mask] - explained)
                    if step == steps:
                        break
                    moved = False
                    for at in range(1, count):
                        middle = (centres[at - 1] + centres[at]) / 2
                        root = int(np.sqrt(abs(middle) * scale) * (half - 1) + 0.5)
                        edge = half + root if middle >= 0 else half - root
                        edge = min(max(edge, edges[at - 1]), bins)
                        moved |= edge != edges[at]
                        edges[at] = edge
                    if not moved:
                        break
            errors[mask, option] = max(0.0, best)
    return errors
