"""The quantized network of integers; `sqhw.sim.reference` defines its arithmetic."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Mask
from sqhw.errors import SqhwError, shown
from sqhw.files.plain import located
from sqhw.machine.layout import TABLE_ENTRIES
from sqhw.machine.number import ActivationFormat, distinct_bytes, signed_width
from sqhw.machine.stream import StreamFormat
from sqhw.network.activations import TABLE_INDEX
from sqhw.network.graph import (
    Graph,
    MaxPool,
    Padding,
    Shape,
    Skip,
    Stride,
    check_graph,
    check_maxima,
)
from sqhw.network.stored import IntArray, StoredConv

MAX_SHIFT = 31
MAX_MULTIPLIER = (1 << 16) - 1


@dataclass(frozen=True)
class Residual(Skip):
    """A skip connection that adds to the accumulators of a convolution.

    Parameters
    ----------
    source : str
    weight : int, 1 to 127
        Factor of the tensor, in units of the convolution's accumulator.
    stride : int, 1 or 2
    first : int
    """

    source: str
    weight: int
    stride: int = 1
    first: int = 0


@dataclass(frozen=True, eq=False)
class Conv(StoredConv):
    """A convolution of integers; the weights of an average pooling are all 1.

    It computes, on integers, ``acc = bias + sum(weight * x) + residual`` (padding is zero) and
    ``y = clamp((acc * multiplier + 2**(shift - 1)) >> shift, output.lo, output.hi)``; a shift of
    0 has no rounding term. ReLU is an unsigned output format. With a table ``y`` is the entry of
    what is clamped to -128 and 127 instead.

    Parameters
    ----------
    name, source, stride, padding, kind, groups
        Parameters of `GraphConv`.
    weight : ndarray of int8, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Integer weights; every non-zero one is in `codebook`.
    bias : ndarray of int32, shape (out_channels,)
        Biases in units of the accumulator.
    multiplier : ndarray of int32, shape (out_channels,), 1 to 65535
        Dyadic requantization: multiplier.
    shift : ndarray of int32, shape (out_channels,), 0 to 31
        Dyadic requantization: right shift.
    codebook : tuple of int, ascending, -128 to 127
        Values of the codes, at most ``2**stream.code_bits`` of them.
    stream : StreamFormat
        Format of the weights.
    output : ActivationFormat
        Format of the output tensor.
    weight_scale : ndarray of float64, shape (out_channels,)
        Real value of one weight unit. Metadata: no integer result depends on it.
    output_scale : float
        Real value of one output unit. Metadata: no integer result depends on it.
    residual : Residual, optional
    table : tuple of int, optional
        Outputs for the integers from -128 to 127: an activation function. None if it is empty.
    """

    name: str
    source: str
    weight: IntArray
    bias: IntArray
    multiplier: IntArray
    shift: IntArray
    stride: Stride
    padding: Padding
    codebook: tuple[int, ...]
    stream: StreamFormat
    output: ActivationFormat
    weight_scale: npt.NDArray[np.float64]
    output_scale: float
    kind: str = "conv"
    groups: int = 1
    residual: Residual | None = None
    table: tuple[int, ...] = ()

    @property
    def has_table(self) -> bool:
        """Whether its activation function is a table."""
        return bool(self.table)

    @property
    def clamped(self) -> ActivationFormat:
        """Format to which sums are requantized: that of the output, or of a table's index."""
        return TABLE_INDEX if self.table else self.output

    def gives_zero(self, value: npt.NDArray[np.int64]) -> Mask:
        """Return whether requantized sums, before they are clamped, become outputs of 0."""
        found = np.clip(value, self.clamped.lo, self.clamped.hi)
        if self.table:
            found = np.array(self.table)[found - TABLE_INDEX.lo]
        zero: Mask = found == 0
        return zero

    @property
    def output_format(self) -> ActivationFormat:
        """Format of the output tensor."""
        return self.output

    @property
    def value_bits(self) -> int:
        """Width of the widest value of the codebook as a signed number (unit: bit)."""
        return max(1, signed_width(self.codebook[0]), signed_width(self.codebook[-1]))

    @property
    def levels(self) -> int:
        """Number of distinct weights that are not 0, at least 1."""
        return len(self._values(zeros=False))

    @property
    def codebook_size(self) -> int:
        """Number of values in the codebook."""
        return len(self.codebook)

    def in_stream(self, stream: StreamFormat) -> "Conv":
        """Return the layer in another format; values that no weight has leave the codebook."""
        return replace(self, stream=stream, codebook=self._values(zeros=stream.stores_zeros))

    def taken(self, weight: IntArray, rows: Mask, stream: StreamFormat) -> "Conv":
        """Return the layer with the weights of some channels."""
        return replace(
            self,
            weight=weight,
            bias=self.bias[rows],
            multiplier=self.multiplier[rows],
            shift=self.shift[rows],
            weight_scale=self.weight_scale[rows],
            stream=stream,
        )

    def _values(self, *, zeros: bool) -> tuple[int, ...]:
        """Return the distinct weights, ascending; without `zeros` at least one that is not 0."""
        values = tuple(int(value) for value in distinct_bytes(self.weight))
        return values if zeros else tuple(value for value in values if value != 0) or (1,)

    def acc_bound(
        self, source: ActivationFormat, skip: ActivationFormat | None = None
    ) -> npt.NDArray[np.int64]:
        """Return ``sum|weight| * max|x| + |bias|`` per output channel, shape (out_channels,).

        No partial sum, in any order, exceeds it in magnitude. A residual counts as a weight.

        Parameters
        ----------
        source, skip : ActivationFormat
            Format of the input and of the tensor that the residual adds.

        Raises
        ------
        ValueError
            If the layer has a residual and `skip` is missing.
        """
        total: npt.NDArray[np.int64] = np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3))
        bound = total * source.max_abs + np.abs(self.bias.astype(np.int64))
        if self.residual:
            if skip is None:
                raise ValueError(f"layer {self.name!r} adds a residual: its format is needed")
            bound += self.residual.weight * skip.max_abs
        return bound


Layer = Conv | MaxPool


@dataclass(frozen=True, eq=False)
class QuantizedNetwork(Graph[Conv]):
    """A quantized network, checked when it is made.

    Parameters
    ----------
    name : str
        Name for reports and files.
    input_shape : tuple of int (channels, height, width)
        Shape of an image.
    input_format : ActivationFormat
        Format of raw pixels; the normalisation is folded into the first layer.
    layers : tuple of Conv or MaxPool
        Layers in execution order.
    metadata : dict of str to str
        Free text that travels with the file, for example measured accuracies.

    Raises
    ------
    SqhwError
        If a rule of this module, or of graphs, is broken; the message names the layer.
    """

    name: str
    input_shape: Shape
    input_format: ActivationFormat
    layers: tuple[Layer, ...]
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)

    @property
    def pixel_format(self) -> ActivationFormat:
        """Format of raw pixels."""
        return self.input_format

    def acc_bounds(self) -> dict[str, int]:
        """Return the static bound of the accumulators of every convolution by name."""
        formats = self.formats()
        return {
            layer.name: int(
                layer.acc_bound(
                    formats[layer.source],
                    formats[layer.residual.source] if layer.residual else None,
                ).max()
            )
            for layer in self.convs
        }

    @property
    def nonzeros(self) -> int:
        """Number of non-zero weights."""
        return sum(layer.nonzeros for layer in self.convs)


def check(network: QuantizedNetwork) -> None:
    """Check every rule that a quantized network obeys.

    Raises
    ------
    SqhwError
        If a rule is broken; the message names the layer, what was found and what is allowed.
    """
    check_graph(network)
    check_maxima(network)
    for layer in network.convs:
        _check_integers(layer, f"layer {layer.name!r}")
        _check_stream(layer, f"layer {layer.name!r}")
        _check_table(layer, f"layer {layer.name!r}")
        skip = layer.residual
        if skip and not 1 <= skip.weight <= 127:
            raise SqhwError(
                f"layer {layer.name!r}: residual weight must be 1 to 127, not {skip.weight}"
            )


def _check_integers(layer: Conv, where: str) -> None:
    if layer.weight.dtype != np.int8:
        raise SqhwError(f"{where}: weight must be int8, not {layer.weight.dtype}")
    shape = layer.weight.shape[:1]
    for label in ("bias", "multiplier", "shift", "weight_scale"):
        if getattr(layer, label).shape != shape:
            raise SqhwError(
                f"{where}: {label} must have shape {shape}, not {getattr(layer, label).shape}"
            )
    for label, lo, hi in (
        ("bias", -(1 << 31), (1 << 31) - 1),
        ("multiplier", 1, MAX_MULTIPLIER),
        ("shift", 0, MAX_SHIFT),
    ):
        values = getattr(layer, label)
        if values.dtype != np.int32:
            raise SqhwError(f"{where}: {label} must be int32, not {values.dtype}")
        if values.min() < lo or values.max() > hi:
            raise SqhwError(
                f"{where}: {label} must be {lo} to {hi}, found {values.min()} to {values.max()}"
            )


def _check_table(layer: Conv, where: str) -> None:
    if not layer.table:
        return
    if len(layer.table) != TABLE_ENTRIES:
        raise SqhwError(f"{where}: a table has {TABLE_ENTRIES} entries, not {len(layer.table)}")
    low, high = min(layer.table), max(layer.table)
    if low < layer.output.lo or high > layer.output.hi:
        raise SqhwError(
            f"{where}: entries of its table must be {layer.output.lo} to {layer.output.hi}, found "
            f"{low} to {high}"
        )


def _check_stream(layer: Conv, where: str) -> None:
    book = layer.codebook
    if list(book) != sorted(set(book)) or not book:
        raise SqhwError(f"{where}: codebook must be distinct ascending values, not {shown(book)}")
    if book[0] < -128 or book[-1] > 127:
        raise SqhwError(f"{where}: codebook values must be -128 to 127, not {shown(book)}")
    with located(where):
        layer.stream.check_codebook(book, zeros=layer.nonzeros < layer.weight.size)
    strangers = np.setdiff1d(distinct_bytes(layer.weight), np.array([*book, 0]))
    if strangers.size:
        raise SqhwError(f"{where}: weight {int(strangers[0])} is not in its codebook")
    with located(where):
        layer.stream.check_kernel(layer.weight.shape[1], layer.kernel[1])
