"""Weights of a layer as entries of C arrays: all of them, or the non-zero ones with gaps."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Most zeros between two entries, those of a byte.
MAX_GAP = 255


@dataclass(frozen=True, eq=False)
class Entries:
    """Weights in the order of the array.

    Parameters
    ----------
    weight : ndarray of int8, shape (n,)
    gap : ndarray of uint8, shape (n,), optional
        Zeros before each entry; None if there are none.
    """

    weight: npt.NDArray[np.int8]
    gap: npt.NDArray[np.uint8] | None


def entries(weight: npt.NDArray[np.int8]) -> Entries:
    """Return weights as the entries that take fewer bytes: dense ones, or those that are not 0.

    Gaps of more than `MAX_GAP` zeros are filled with entries of weight 0.
    """
    flat = weight.reshape(-1)
    places = np.flatnonzero(flat)
    gaps = np.diff(places, prepend=-1) - 1
    fillers = gaps // (MAX_GAP + 1)  # each stands for MAX_GAP zeros before it and its own
    if 2 * (len(places) + int(fillers.sum())) >= flat.size:
        return Entries(flat, None)
    ends = np.cumsum(fillers + 1) - 1  # entries of the weights, each after its fillers
    length = int(ends[-1]) + 1 if len(ends) else 0
    gap = np.full(length, MAX_GAP, dtype=np.uint8)
    values = np.zeros(length, dtype=np.int8)
    gap[ends], values[ends] = gaps % (MAX_GAP + 1), flat[places]
    return Entries(values, gap)
