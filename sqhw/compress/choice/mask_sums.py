"""Entries of nested masks: the cost of each mask in a stream.

One pass over the weights in stream order counts the entries of all masks in all formats.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sqhw.arrays import Ints
from sqhw.compress.choice.nested import NestedMasks
from sqhw.environment.kernel import kernel
from sqhw.machine.stream import StreamFormat


@dataclass(frozen=True, eq=False)
class MaskSums:
    """Counts of the masks of a layer.

    Parameters
    ----------
    entries : ndarray of int64, shape (masks, formats)
        Stream entries of the mask in each format.
    quotients : ndarray of int64, shape (masks, formats)
        Bits beside the fields of these entries.
    rows : ndarray of int64, shape (masks,)
        Number of stored rows.
    waits : ndarray of int64, shape (masks, formats)
        Cycles of a tile in which rows with few entries wait.
    by_tap : ndarray of int64, shape (masks, kernel_h * kernel_w)
        Number of weights at each kernel position.
    """

    entries: Ints
    quotients: Ints
    rows: Ints
    waits: Ints
    by_tap: Ints


def mask_sums(
    nested: NestedMasks,
    formats: Sequence[StreamFormat],
    *,
    every_row: bool,
    least: tuple[int, int] = (0, 0),
) -> MaskSums:
    """Return the counts of nested masks, from one pass over the weights.

    Parameters
    ----------
    nested : NestedMasks
    formats : sequence of StreamFormat
        Stream formats, one or more.
    every_row : bool
        Whether rows without a weight are stored too, as one filler entry.
    least : tuple of (int, int)
        Numbers of entries below which the first row, and any other, waits.
    """
    masks, (rows, inputs, taps) = len(nested.counts), nested.first.shape
    gaps, per_row, by_tap = _walk(nested.first, masks)
    positions = np.arange(inputs * taps)
    entries = np.empty((masks, len(formats)), dtype=np.int64)
    quotients = np.empty((masks, len(formats)), dtype=np.int64)
    stored = np.full(masks, rows) if every_row else (per_row > 0).sum(axis=1)
    empty = (per_row == 0).sum(axis=1) if every_row else 0
    lengths = gaps.astype(np.float64)
    each = np.stack([form.entries_after(positions) for form in formats])
    dense = np.array([form.stores_zeros for form in formats])
    for at, form in enumerate(formats):
        entries[:, at] = (
            stored * inputs * taps if dense[at] else (each[at] @ lengths).astype(np.int64) + empty
        )
        bits = form.quotients_after(positions).astype(np.float64) @ lengths
        quotients[:, at] = bits.astype(np.int64) + form.empty_quotient * empty
    waits = _waits(nested.first, per_row, each, dense, every_row, np.array(least))
    return MaskSums(
        entries=entries,
        quotients=quotients,
        rows=stored,
        waits=waits,
        by_tap=np.cumsum(by_tap, axis=0),
    )


@kernel(nogil=True)
def _walk(first, masks):  # type: ignore[no-untyped-def]
    """Return counts of the zeros before a weight, and of the weights new in each mask."""
    rows, inputs, taps = first.shape
    gaps = np.zeros((inputs * taps, masks), dtype=np.int32)  # larger masks have smaller gaps
    per_row = np.zeros((masks, rows), dtype=np.int32)
    by_tap = np.zeros((masks, taps), dtype=np.int64)
    last = np.empty(masks, dtype=np.int32)
    for row in range(rows):
        last[:] = -1
        for tap in range(taps):
            for channel in range(inputs):
                mask = first[row, channel, tap]
                if mask >= masks:
                    continue
                by_tap[mask, tap] += 1
                per_row[mask, row] += 1
                position = tap * inputs + channel
                for larger in range(mask, masks):
                    gaps[position - last[larger] - 1, larger] += 1
                    last[larger] = position
        for mask in range(1, masks):
            per_row[mask, row] += per_row[mask - 1, row]
    return gaps, per_row, by_tap


@kernel(nogil=True)
def _waits(first, per_row, each, dense, every_row, least):  # type: ignore[no-untyped-def]
    """Return the cycles that rows with fewer entries than `least` wait, by mask and format."""
    rows, inputs, taps = first.shape
    masks = len(per_row)
    waits = np.zeros((masks, len(each)), dtype=np.int64)
    places = np.empty(max(least.max(), 1), dtype=np.int64)
    whose = np.empty(max(least.max(), 1), dtype=np.int64)
    for row in range(rows):
        need = least[1] if row else least[0]
        few = 0  # number of masks with fewer than `need` weights in the row
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
