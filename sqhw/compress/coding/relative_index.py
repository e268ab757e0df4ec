"""Positions as in Deep Compression: gaps of a few bits, with stored zeros that bridge longer gaps.

This is the format of the published method, for comparison. In the engine's own stream
(`sqhw.machine.stream`) fillers hold no weight.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints


@dataclass(frozen=True, eq=False)
class RelativeIndex:
    """Stored entries of a layer.

    Parameters
    ----------
    gaps : ndarray of int64, shape (entries,)
        Number of zeros before each entry, below ``2**bits``.
    stored : ndarray of bool, shape (entries,)
        Whether the entry holds a weight. Otherwise it is a zero that bridges a longer gap.
    """

    gaps: Ints
    stored: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_], bits: int) -> "RelativeIndex":
        """Return the entries of a mask, read in order of memory.

        Parameters
        ----------
        mask : ndarray of bool
            Where weights are kept.
        bits : int, 1 or more
            Width of a gap (unit: bit). ``2**bits`` or more zeros in a row are bridged by an entry
            that is zero itself, after ``2**bits - 1`` of them.
        """
        positions = np.flatnonzero(mask)
        gaps = np.diff(positions, prepend=-1) - 1
        bridges = gaps >> bits
        ends = np.cumsum(bridges + 1)
        count = int(ends[-1]) if ends.size else 0
        out = np.full(count, (1 << bits) - 1, dtype=np.int64)
        stored = np.zeros(count, dtype=bool)
        out[ends - 1] = gaps - (bridges << bits)
        stored[ends - 1] = True
        return cls(out, stored)

    def positions(self) -> Ints:
        """Return where the weights are, ascending."""
        return (np.cumsum(self.gaps + 1) - 1)[self.stored]
