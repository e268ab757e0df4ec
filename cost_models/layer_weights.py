"""What is known, or assumed, of a layer's weights: how many, where, of how many values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.entries import DenseEntries, EntryCounts, KnownEntries, random_entries
from sqhw.cost_models.layer_shape import LayerShape
from sqhw.cost_models.rom import entry_counts
from sqhw.machine.layout import record_format
from sqhw.network.graph import GraphConv
from sqhw.network.quantized import Conv

#: Code widths of the table (unit: bit).
BITS = tuple(range(1, 9))
#: Bits of a channel record beside the entry count, as `sqhw quantize` makes them: a bias.
#: Multiplier and shift are the same for all channels of a layer and stand in its descriptor.
CONSTANT_BITS = 12
#: Width of a codebook's values as operands of a multiplier, if they are not known (unit: bit).
VALUE_BITS = 8
#: Signed bytes other than 0.
MOST_VALUES = 255

Numbers = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """The weights of a layer with a weight stream, for one or several numbers of non-zeros.

    Parameters
    ----------
    nonzeros : ndarray of int64, shape (counts,)
        Weights that are not zero.
    channels, length : int
        Output channels, and weights of each of them.
    by_tap : ndarray, shape (counts, kernel_h, kernel_w)
        Non-zeros by kernel position, or their expectation.
    gap_levels, dense_levels : tuple of int
        Numbers of distinct values that are not 0, in gap and in dense streams.
    constant_bits : int
        Bits of a channel record beside the entry count.
    value_bits : int
        Width of the widest value as a signed number (unit: bit).
    masks : ndarray of bool, shape (counts, out_channels, in_channels, kernel_h, kernel_w), optional
        Where the weights are; without them they are taken to be anywhere.
    """

    nonzeros: Ints
    channels: int
    length: int
    by_tap: Numbers
    gap_levels: tuple[int, ...]
    dense_levels: tuple[int, ...]
    constant_bits: int = CONSTANT_BITS
    value_bits: int = VALUE_BITS
    masks: npt.NDArray[np.bool_] | None = None
    _entries: dict[int, EntryCounts] = field(default_factory=dict, repr=False)

    @property
    def has_zeros(self) -> npt.NDArray[np.bool_]:
        """Whether a dense stream needs a code for 0, shape (counts,)."""
        zeros: npt.NDArray[np.bool_] = self.nonzeros < self.channels * self.length
        return zeros

    def entries(self, gap_bits: int) -> EntryCounts:
        """Return the entries in a format; they are counted once.

        Parameters
        ----------
        gap_bits : int, 0 to 12
            Width of the gap field; 0 is dense.
        """
        if gap_bits not in self._entries:
            size = self.nonzeros, self.channels, self.length
            if gap_bits == 0:
                self._entries[gap_bits] = DenseEntries(*size)
            elif self.masks is not None:
                self._entries[gap_bits] = KnownEntries.of(self.masks, gap_bits)
            else:
                counts = tuple(self.nonzeros.tolist())
                self._entries[gap_bits] = random_entries(counts, *size[1:], gap_bits)
        return self._entries[gap_bits]


def random_weights(
    layer: GraphConv,
    nonzeros: Ints,
    bits: Sequence[int] = BITS,
    constant_bits: int = CONSTANT_BITS,
) -> LayerWeights:
    """Return weights at random places.

    Parameters
    ----------
    layer : GraphConv
        Layer whose weights have the shape.
    nonzeros : ndarray of int64, shape (counts,), 1 to the number of weights
    bits : sequence of int, 1 to 8
        Code widths.
    constant_bits : int
        Bits of a channel record beside the entry count.
    """
    channels, inputs, *kernel = layer.weight.shape
    taps = int(np.prod(kernel))
    return LayerWeights(
        nonzeros=nonzeros,
        channels=channels,
        length=inputs * taps,
        by_tap=np.broadcast_to(nonzeros[:, None, None] / taps, (len(nonzeros), *kernel)),
        gap_levels=tuple(min(1 << width, MOST_VALUES) for width in bits),
        dense_levels=tuple((1 << width) - 1 for width in bits),
        constant_bits=constant_bits,
    )


def masked_weights(
    masks: npt.NDArray[np.bool_],
    bits: Sequence[int] = BITS,
    constant_bits: int = CONSTANT_BITS,
) -> LayerWeights:
    """Return weights at known places.

    Parameters
    ----------
    masks : ndarray of bool, shape (counts, out_channels, in_channels / groups, kernel_h, kernel_w)
    bits : sequence of int, 1 to 8
        Code widths.
    constant_bits : int
        Bits of a channel record beside the entry count.
    """
    by_tap = masks.sum(axis=(1, 2))
    return LayerWeights(
        nonzeros=by_tap.sum(axis=(1, 2)),
        channels=masks.shape[1],
        length=int(np.prod(masks.shape[2:])),
        by_tap=by_tap,
        gap_levels=tuple(min(1 << width, MOST_VALUES) for width in bits),
        dense_levels=tuple((1 << width) - 1 for width in bits),
        constant_bits=constant_bits,
        masks=masks,
    )


def layer_weights(layer: Conv) -> LayerWeights:
    """Return the weights that a layer has, with their codebook and constants.

    Parameters
    ----------
    layer : Conv
    """
    mask = layer.weight != 0
    values = len(np.unique(layer.weight[mask]))
    by_tap = mask.sum(axis=(0, 1))[None]
    return LayerWeights(
        nonzeros=by_tap.sum(axis=(1, 2)),
        channels=mask.shape[0],
        length=int(np.prod(mask.shape[1:])),
        by_tap=by_tap,
        gap_levels=(max(1, values),),
        dense_levels=(values,),
        constant_bits=record_constants(layer),
        value_bits=layer.value_bits,
        masks=mask[None],
    )


def record_constants(layer: Conv) -> int:
    """Return the bits of a layer's channel records beside the entry count.

    The width of the bias does not depend on how it is cut into words.
    """
    widths = record_format(
        entry_counts(layer), layer.bias, layer.multiplier, layer.shift, 64
    ).widths
    return sum(widths[1:])


def has_stream(shape: LayerShape) -> bool:
    """Return whether a layer has a weight stream; maxima and averages have none."""
    return not (shape.pools or shape.constant)
