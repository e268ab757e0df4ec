"""Masks by rate and distortion: weights whose places cost fewer bits may replace larger ones.

In a gap stream a weight costs a fixed number of bits, and a toll for every so many zeros before it.
So a weight that shortens a long run costs less than one within a short run. For a number of weights
and a price of a bit, the best mask of a channel is the best path through its places, which dynamic
programming finds exactly.
"""

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64, Mask
from sqhw.environment.kernel import kernel
from sqhw.machine.stream import Places, channel_order
from sqhw.machine.stream.gaps import GapFormat

#: Steps of the search for the worth of a weight at which as many stay as are wanted.
STEPS = 24
#: Least share of the wanted number of weights. Below it too many weights are equal.
LEAST_SHARE = 0.99


def thrifty_mask(
    weight: npt.NDArray[np.float32],
    codebook: npt.NDArray[np.float32],
    mask: Mask,
    room: Mask,
    floor: Mask,
    form: GapFormat,
) -> Mask:
    """Return a mask of no more weights than a given one, of the least distortion and rate together.

    A bit is worth the distortion that the least weight of the given mask saves, divided by the bits
    of a weight.

    Parameters
    ----------
    weight : ndarray of float32, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
    codebook : ndarray of float32, shape (values,)
        Values that weights take.
    mask : ndarray of bool, shape of `weight`
        The largest weights.
    room : ndarray of bool, shape of `weight`
        Places that may be kept.
    floor : ndarray of bool, shape of `weight`
        Weights that are always kept.
    form : GapFormat
        Format of the layer.

    Returns
    -------
    ndarray of bool, shape of `weight`
        The given mask if no other is better.
    """
    gain = np.where(room, saved(weight, codebook), -np.inf)
    free = mask & ~floor
    wanted = int(free.sum())
    worth = float(gain[free].min()) if wanted else 0.0
    if worth <= 0:  # even the weights of the given mask save nothing
        return mask
    every, toll = form.toll
    places = Places.of(mask)
    bits = float(np.sum(form.bits_after(places.runs[1])))
    price = worth * int(mask.sum()) / bits * toll
    ordered, always = channel_order(gain), channel_order(floor)
    # No place saves more than a toll, and none costs more than those of a whole channel.
    low, high = worth - price * (1 + mask[0].size // every), worth + price
    best = None
    for _ in range(STEPS):
        least = (low + high) / 2
        found = best_places(ordered, always, least, price, every)
        if int(found.sum()) - int(floor.sum()) <= wanted:
            best, high = found, least
        else:
            low = least
    if best is None or best.sum() < LEAST_SHARE * mask.sum():
        return mask
    channels, inputs, height, width = weight.shape
    whole: Mask = best.reshape(channels, height, width, inputs).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(whole)


def saved(weight: npt.NDArray[np.float32], codebook: npt.NDArray[np.float32]) -> Floats64:
    """Return the squared error that each weight saves if it takes its value and not 0."""
    book = np.sort(codebook.astype(np.float64))
    value = book[np.searchsorted((book[1:] + book[:-1]) / 2, weight)]
    kept: Floats64 = np.square(weight, dtype=np.float64) - np.square(weight - value)
    return kept


@kernel(nogil=True)
def best_places(gain, always, least, price, every):  # type: ignore[no-untyped-def]
    """Return the places of each row with the largest sum of worths.

    A place is worth its gain less `least`, less `price` for every `every` places between it and the
    one before. Those in `always` are taken whatever they are worth.

    Parameters
    ----------
    gain : ndarray of float64, shape (rows, places)
    always : ndarray of bool, shape (rows, places)
    least, price : float
    every : int
    """
    rows, places = gain.shape
    kept = np.zeros((rows, places), dtype=np.bool_)
    # Best paths so far, by the remainder of the place after their last one, with its tolls added.
    sums, ends = np.empty(every), np.empty(every, dtype=np.int64)
    before = np.empty(places, dtype=np.int64)
    for row in range(rows):
        sums[:] = -np.inf
        ends[:] = -1
        sums[0] = 0.0
        top, last = 0.0, -1
        for place in range(places):
            # A place between two others saves one toll at most.
            if gain[row, place] < least - price and not always[row, place]:
                continue
            whole, rest = place // every, place % every
            best, source = -np.inf, -1
            for start in range(every):
                found = sums[start] - price * (whole - (rest < start))
                if found > best:
                    best, source = found, ends[start]
            best += gain[row, place] - least
            before[place] = source
            if always[row, place]:  # every path passes here
                sums[:] = -np.inf
                top, last = best, place
            elif best > top:
                top, last = best, place
            after = place + 1
            found = best + price * (after // every)
            if found > sums[after % every]:
                sums[after % every] = found
                ends[after % every] = place
        while last >= 0:
            kept[row, last] = True
            last = before[last]
    return kept
