"""Convolutions as ROMs hold them, which size, cycles and energy of a network depend on."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Mask
from sqhw.machine.stream import StreamFormat
from sqhw.network.graph import GraphConv

IntArray = npt.NDArray[Any]


class StoredConv(GraphConv):
    """A convolution with a stream and the constants of its channels.

    Attributes
    ----------
    weight : ndarray, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Array that is not 0 where the stream has a weight.
    stream : StreamFormat
        Format of the weights.
    bias : ndarray of int32, shape (out_channels,)
        Biases in units of the accumulator.
    multiplier, shift : ndarray of int32, shape (out_channels,)
        Dyadic requantization.
    """

    stream: StreamFormat
    bias: IntArray
    multiplier: IntArray
    shift: IntArray

    @property
    @abstractmethod
    def levels(self) -> int:
        """Number of distinct weights that are not 0, at least 1."""

    @property
    @abstractmethod
    def codebook_size(self) -> int:
        """Number of values in the codebook."""

    @abstractmethod
    def in_stream(self, stream: StreamFormat) -> Self:
        """Return the layer in another format, with the codebook that it needs."""

    @abstractmethod
    def taken(self, weight: IntArray, rows: Mask, stream: StreamFormat) -> Self:
        """Return the layer with the weights of some channels.

        Parameters
        ----------
        weight : ndarray
            Weights of the channels that stay.
        rows : ndarray of bool, shape (out_channels,)
            Output channels that stay.
        stream : StreamFormat
        """

    @property
    def has_stream(self) -> bool:
        """Whether the weights are stored one by one: entries of no bits are constants."""
        return not self.stream.constant

    @property
    def nonzeros(self) -> int:
        """Number of non-zero weights."""
        return int(np.count_nonzero(self.weight))

    def zero_channels(self) -> Mask:
        """Return which output channels are 0 for every input, shape (out_channels,)."""
        empty = ~self.weight.any(axis=(1, 2, 3))
        shift = self.shift.astype(np.int64)
        half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
        value = (self.bias.astype(np.int64) * self.multiplier.astype(np.int64) + half) >> shift
        zero: Mask = empty & self.gives_zero(value)
        return zero

    def gives_zero(self, value: npt.NDArray[np.int64]) -> Mask:
        """Return whether requantized sums, before they are clamped, become outputs of 0."""
        form = self.output_format
        found: Mask = np.clip(value, form.lo, form.hi) == 0
        return found
