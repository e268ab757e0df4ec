"""The weights of a layer in stream order, and the entries that stand for them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints, Mask


def channel_order(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the weights in stream order, shape (out_channels, kernel_h * kernel_w * in_channels).

    Parameters
    ----------
    weight : ndarray, shape (out_channels, in_channels, kernel_h, kernel_w)
    """
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).reshape(weight.shape[0], -1)


@dataclass(frozen=True, eq=False)
class Entries:
    """The entries of one layer, channel after channel.

    Parameters
    ----------
    values : ndarray of int64, shape (entries,)
        Content of each entry, below ``2**entry_bits``.
    counts : ndarray of int32, shape (out_channels,)
        Entries of each channel, at least 1.
    """

    values: Ints
    counts: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Places:
    """The places of a layer's non-zero weights, from which every format counts its entries.

    Parameters
    ----------
    nonzero : ndarray of bool, shape (out_channels, positions)
        Non-zero weights in stream order.
    """

    nonzero: Mask

    @classmethod
    def of(cls, weight: npt.NDArray[Any]) -> Self:
        """Return the places of a layer's weights.

        Parameters
        ----------
        weight : ndarray, shape (out_channels, in_channels, kernel_h, kernel_w)
            Weights, or a mask of them.
        """
        return cls(channel_order(weight) != 0)

    @property
    def channels(self) -> int:
        """Number of output channels."""
        return len(self.nonzero)

    @property
    def positions(self) -> int:
        """Number of weights of a channel, zeros included."""
        return int(self.nonzero.shape[1])

    @cached_property
    def runs(self) -> tuple[Ints, Ints]:
        """Channel of every non-zero, and the zeros between it and the one before."""
        places = np.flatnonzero(self.nonzero)
        starts = np.searchsorted(places, self.positions * np.arange(self.channels + 1))
        counts = np.diff(starts)
        rows = np.repeat(np.arange(self.channels), counts)
        zeros = np.diff(places, prepend=-1) - 1
        first = starts[:-1][counts > 0]
        zeros[first] = places[first] - rows[first] * self.positions
        return rows, zeros
