"""Networks during compression: the places of weights and the numbers of their values, no values.

Their costs are exact for their masks: `sqhw.cost_models` prices them like quantized networks.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Mask
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import StreamFormat
from sqhw.network.graph import Graph, MaxPool, Padding, Shape, Skip, Stride
from sqhw.network.stored import IntArray, StoredConv


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskedConv(StoredConv):
    """A convolution with a mask of its weights in place of their values.

    Parameters
    ----------
    name, source, stride, padding, kind, groups, residual
        Parameters of `GraphConv`.
    weight : ndarray of uint8, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        0 where there is no weight, else the number of its value: equal weights have equal numbers.
    width : int
        Width of the widest weight as a signed number (unit: bit).
    stream, bias, multiplier, shift
        Parameters of `StoredConv`.
    output : ActivationFormat
        Format of the output tensor.
    tabled : bool
        Whether its activation function is a table.
    """

    name: str
    source: str
    weight: npt.NDArray[np.uint8]
    width: int
    bias: IntArray
    multiplier: IntArray
    shift: IntArray
    stride: Stride
    padding: Padding
    stream: StreamFormat
    output: ActivationFormat
    kind: str
    groups: int
    residual: Skip | None
    tabled: bool = False

    @property
    def has_table(self) -> bool:
        """Whether its activation function is a table."""
        return self.tabled

    @property
    def output_format(self) -> ActivationFormat:
        """Format of the output tensor."""
        return self.output

    @property
    def value_bits(self) -> int:
        """Width of the widest weight as a signed number (unit: bit)."""
        return self.width

    @property
    def levels(self) -> int:
        """Number of distinct weights that are not 0, at least 1."""
        return max(1, len(self._numbers(zeros=False)))

    @property
    def codebook_size(self) -> int:
        """Number of values in the codebook."""
        return max(1, len(self._numbers(zeros=self.stream.stores_zeros)))

    def _numbers(self, *, zeros: bool) -> npt.NDArray[np.intp]:
        """Return the distinct numbers of values, with or without 0."""
        found = np.flatnonzero(np.bincount(self.weight.reshape(-1)))
        return found if zeros else found[found != 0]

    def in_stream(self, stream: StreamFormat) -> "MaskedConv":
        """Return the layer in another format."""
        return replace(self, stream=stream)

    def taken(self, weight: IntArray, rows: Mask, stream: StreamFormat) -> "MaskedConv":
        """Return the layer with the weights of some channels."""
        return replace(
            self,
            weight=weight,
            bias=self.bias[rows],
            multiplier=self.multiplier[rows],
            shift=self.shift[rows],
            stream=stream,
        )


@dataclass(frozen=True, eq=False)
class MaskedNetwork(Graph[MaskedConv]):
    """A network of masks.

    Parameters
    ----------
    name : str
    input_shape : tuple of int (channels, height, width)
    input_format : ActivationFormat
    layers : tuple of MaskedConv or MaxPool
    """

    name: str
    input_shape: Shape
    input_format: ActivationFormat
    layers: tuple[MaskedConv | MaxPool, ...]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def pixel_format(self) -> ActivationFormat:
        """Format of raw pixels."""
        return self.input_format
