"""The known or assumed facts of a layer's weights: their number, places and number of values."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints, Numbers
from sqhw.cost_models.layer_shape import LayerShape
from sqhw.cost_models.rom import entry_counts
from sqhw.cost_models.storage import Levels
from sqhw.machine.layout import record_format
from sqhw.machine.stream import EntryCounts, StreamFormat
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
    levels : Levels
    constant_bits : int
        Bits of a channel record beside the entry count.
    value_bits : int
        Width of the widest value as a signed number (unit: bit).
    masks : ndarray of bool, shape (counts, out_channels, in_channels, kernel_h, kernel_w), optional
        Places of the weights; without masks the places are random.
    """

    nonzeros: Ints
    channels: int
    length: int
    by_tap: Numbers
    levels: Levels
    constant_bits: int = CONSTANT_BITS
    value_bits: int = VALUE_BITS
    masks: npt.NDArray[np.bool_] | None = None
    _entries: dict[StreamFormat, EntryCounts] = field(default_factory=dict, repr=False)

    @property
    def has_zeros(self) -> npt.NDArray[np.bool_]:
        """Whether a dense stream needs a code for 0, shape (counts,)."""
        zeros: npt.NDArray[np.bool_] = self.nonzeros < self.channels * self.length
        return zeros

    def entries(self, form: StreamFormat) -> EntryCounts:
        """Return the entries in a format, which are computed once."""
        if form not in self._entries:
            self._entries[form] = (
                form.expected(self.nonzeros, self.channels, self.length)
                if self.masks is None
                else form.counted(self.masks)
            )
        return self._entries[form]


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
        levels=_levels(bits),
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
        levels=_levels(bits),
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
        levels=Levels((max(1, values),), (values,)),
        constant_bits=record_constants(layer),
        value_bits=layer.value_bits,
        masks=mask[None],
    )


def _levels(bits: Sequence[int]) -> Levels:
    """Return the largest number of values that codes of each width name."""
    return Levels(
        nonzero=tuple(min(1 << width, MOST_VALUES) for width in bits),
        dense=tuple((1 << width) - 1 for width in bits),
    )


def record_constants(layer: Conv) -> int:
    """Return the bits of a layer's channel records beside the entry count.

    The width of the bias does not depend on its parts in words.
    """
    widths = record_format(
        entry_counts(layer), layer.bias, layer.multiplier, layer.shift, 64
    ).widths
    return sum(widths[1:])


def has_stream(shape: LayerShape) -> bool:
    """Return whether a layer has a weight stream; maxima and averages have none."""
    return not (shape.pools or shape.constant)
