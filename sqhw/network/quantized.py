"""The quantized network: integers only, the meaning of which `sqhw.sim.reference` defines.

A network is a list of layers in execution order. A layer names its input tensor and its output
tensor bears the layer's own name; the network's input tensor is called ``input``. The output of
the last layer is the output of the network.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, shown
from sqhw.machine.number import ActivationFormat, distinct_bytes
from sqhw.machine.stream import MAX_TAPS_PER_ENTRY, StreamFormat, max_gap_bits
from sqhw.network.limits import Extent, check_name

INPUT = "input"
MAX_SHIFT = 31
MAX_MULTIPLIER = (1 << 16) - 1

Shape = tuple[int, int, int]
Padding = tuple[int, int, int, int]
IntArray = npt.NDArray[Any]


@dataclass(frozen=True)
class Residual:
    """A skip connection: another tensor, added to the accumulators of a convolution.

    Output channel ``c`` at (y, x) gets ``weight * skip[c - first, stride * y, stride * x]``;
    channels that the tensor does not have get nothing, which is the parameter-free shortcut
    (option A of He et al., 2016) where the channels are more than before.

    Parameters
    ----------
    source : str
        Name of the tensor.
    weight : int, 1 to 127
        In units of the convolution's accumulator.
    stride : int, 1 or 2
        In both directions.
    first : int
        Output channel that gets the tensor's channel 0.
    """

    source: str
    weight: int
    stride: int = 1
    first: int = 0


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution, or a layer that is one: fully connected, average pooling, residual block end.

    A fully connected layer is a convolution over its whole input map, an average pooling a
    depthwise one whose weights are all 1.

    It computes, on integers, ``acc = bias + sum(weight * x) + residual`` (padding is zero) and
    ``y = clamp((acc * multiplier + 2**(shift - 1)) >> shift, output.lo, output.hi)``; a shift of
    0 has no rounding term. ReLU is an unsigned output format.

    Parameters
    ----------
    name : str
        Unique; also the name of the output tensor.
    source : str
        Name of the input tensor.
    weight : ndarray of int8, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Integer weights; every non-zero one is in `codebook`.
    bias : ndarray of int32, shape (out_channels,)
        In units of the accumulator.
    multiplier : ndarray of int32, shape (out_channels,), 1 to 65535
        Dyadic requantization: multiplier.
    shift : ndarray of int32, shape (out_channels,), 0 to 31
        Dyadic requantization: right shift.
    stride : int, 1 or 2
        In both directions.
    padding : tuple of int (top, bottom, left, right)
        Zeros added around the input.
    codebook : tuple of int, ascending, -128 to 127
        The values that a code stands for, at most ``2**stream.code_bits`` of them.
    stream : StreamFormat
        How the weights are stored.
    output : ActivationFormat
        Format of the output tensor.
    weight_scale : ndarray of float64, shape (out_channels,)
        Real value of one weight unit. Metadata: no integer result depends on it.
    output_scale : float
        Real value of one output unit. Metadata likewise.
    kind : str
        ``"conv"``, ``"linear"`` or ``"avgpool"``, what the layer was before.
    groups : int
        Output channels are divided into that many groups, each of which reads its own share of
        the input channels; as many groups as channels is a depthwise convolution.
    residual : Residual, optional
        Skip connection.
    """

    name: str
    source: str
    weight: IntArray
    bias: IntArray
    multiplier: IntArray
    shift: IntArray
    stride: int
    padding: Padding
    codebook: tuple[int, ...]
    stream: StreamFormat
    output: ActivationFormat
    weight_scale: npt.NDArray[np.float64]
    output_scale: float
    kind: str = "conv"
    groups: int = 1
    residual: Residual | None = None

    @property
    def kernel(self) -> tuple[int, int]:
        """Kernel height and width."""
        return int(self.weight.shape[2]), int(self.weight.shape[3])

    @property
    def nonzeros(self) -> int:
        """Number of non-zero weights."""
        return int(np.count_nonzero(self.weight))

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, height, width) of the output for an input of that shape."""
        _, height, width = shape
        top, bottom, left, right = self.padding
        kh, kw = self.kernel
        return (
            int(self.weight.shape[0]),
            (height + top + bottom - kh) // self.stride + 1,
            (width + left + right - kw) // self.stride + 1,
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """The tensors that the layer reads."""
        return (self.source, self.residual.source) if self.residual else (self.source,)

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


@dataclass(frozen=True)
class MaxPool:
    """Maximum over a window; the output has the input's format.

    Parameters
    ----------
    name : str
        Unique; also the name of the output tensor.
    source : str
        Name of the input tensor.
    kernel : int
        Height and width of the window.
    stride : int, 1 or 2
        In both directions. Windows that would leave the map are dropped.
    """

    name: str
    source: str
    kernel: int
    stride: int
    kind: str = field(default="maxpool", init=False)

    @property
    def sources(self) -> tuple[str, ...]:
        """The tensors that the layer reads."""
        return (self.source,)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, height, width) of the output for an input of that shape."""
        channels, height, width = shape
        return (
            channels,
            (height - self.kernel) // self.stride + 1,
            (width - self.kernel) // self.stride + 1,
        )


Layer = Conv | MaxPool


@dataclass(frozen=True, eq=False)
class QuantizedNetwork:
    """A quantized network, checked when it is made.

    Parameters
    ----------
    name : str
        For reports and file names.
    input_shape : tuple of int (channels, height, width)
        One image.
    input_format : ActivationFormat
        Raw pixels; normalisation is folded into the first layer.
    layers : tuple of Conv or MaxPool
        In execution order.
    metadata : dict of str to str
        Free text that travels with the file, for example measured accuracies.

    Raises
    ------
    SqhwError
        If a rule of this module is broken; the message names the layer.
    """

    name: str
    input_shape: Shape
    input_format: ActivationFormat
    layers: tuple[Layer, ...]
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)

    def shapes(self) -> dict[str, Shape]:
        """Return (channels, height, width) of every tensor by name, the input included."""
        shapes = {INPUT: self.input_shape}
        for layer in self.layers:
            shapes[layer.name] = layer.output_shape(shapes[layer.source])
        return shapes

    def formats(self) -> dict[str, ActivationFormat]:
        """Return the number format of every tensor by name, the input included."""
        formats = {INPUT: self.input_format}
        for layer in self.layers:
            formats[layer.name] = layer.output if isinstance(layer, Conv) else formats[layer.source]
        return formats

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
    def convs(self) -> tuple[Conv, ...]:
        """The layers that have weights."""
        return tuple(layer for layer in self.layers if isinstance(layer, Conv))

    @property
    def nonzeros(self) -> int:
        """Number of non-zero weights."""
        return sum(layer.nonzeros for layer in self.convs)


def check(network: QuantizedNetwork) -> None:
    """Check every rule that a quantized network obeys.

    Raises
    ------
    SqhwError
        Naming the layer, what was found and what is allowed.
    """
    check_name("network", network.name)
    if not network.layers:
        raise SqhwError(f"network {network.name!r} has no layers")
    if len(network.input_shape) != 3 or min(network.input_shape) < 1:
        raise SqhwError(
            f"network {network.name!r}: input shape must be (channels, height, width), "
            f"not {network.input_shape!r}"
        )
    extent = Extent(network.name, len(network.layers))
    extent.add_map(f"network {network.name!r}: its input", network.input_shape)
    shapes: dict[str, Shape] = {INPUT: network.input_shape}
    for layer in network.layers:
        check_name("layer", layer.name)
        where = f"layer {layer.name!r}"
        if layer.name in shapes:
            raise SqhwError(f"{where}: the name is used twice")
        if layer.source not in shapes:
            raise SqhwError(
                f"{where}: reads tensor {shown(layer.source)}, which no earlier layer makes"
            )
        if layer.stride not in (1, 2):
            raise SqhwError(f"{where}: stride must be 1 or 2, not {layer.stride}")
        shape = shapes[layer.source]
        if isinstance(layer, Conv):
            _check_conv(layer, shape, where)
        elif layer.kernel < 1:
            raise SqhwError(f"{where}: kernel must be at least 1, not {layer.kernel}")
        out = layer.output_shape(shape)
        if min(out) < 1:
            raise SqhwError(f"{where}: its window is larger than its input map {shape[1:]}")
        if isinstance(layer, Conv):
            extent.add_map(where, shape, layer.padding)
            extent.add_products(where, layer.weight[0].size * prod(out))
        else:
            extent.add_products(where, layer.kernel**2 * prod(out))
        extent.add_map(where, out)
        if isinstance(layer, Conv) and layer.residual:
            _check_residual(layer, layer.residual, shapes, where)
        shapes[layer.name] = out


def _check_conv(layer: Conv, shape: Shape, where: str) -> None:
    if layer.weight.ndim != 4 or min(layer.weight.shape) < 1:
        raise SqhwError(
            f"{where}: weight must have shape (out, in, kernel_h, kernel_w), "
            f"not {layer.weight.shape}"
        )
    out_channels, in_channels = layer.weight.shape[:2]
    groups = layer.groups
    if groups < 1 or out_channels % groups:
        raise SqhwError(
            f"{where}: groups must divide its {out_channels} output channels, not {groups}"
        )
    if in_channels * groups != shape[0]:
        raise SqhwError(
            f"{where}: weight is for {in_channels * groups} input channels, "
            f"its input has {shape[0]}"
        )
    if layer.weight.dtype != np.int8:
        raise SqhwError(f"{where}: weight must be int8, not {layer.weight.dtype}")
    for label in ("bias", "multiplier", "shift", "weight_scale"):
        if getattr(layer, label).shape != (out_channels,):
            raise SqhwError(
                f"{where}: {label} must have shape ({out_channels},), "
                f"not {getattr(layer, label).shape}"
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
    if len(layer.padding) != 4 or min(layer.padding) < 0:
        raise SqhwError(f"{where}: padding must be four numbers >= 0, not {layer.padding!r}")
    book = layer.codebook
    if list(book) != sorted(set(book)) or not book:
        raise SqhwError(f"{where}: codebook must be distinct ascending values, not {shown(book)}")
    if book[0] < -128 or book[-1] > 127:
        raise SqhwError(f"{where}: codebook values must be -128 to 127, not {shown(book)}")
    if len(book) > 1 << layer.stream.code_bits:
        raise SqhwError(
            f"{where}: codebook has {len(book)} values, "
            f"{layer.stream.code_bits}-bit codes name only {1 << layer.stream.code_bits}"
        )
    if layer.stream.dense and 0 not in book and layer.nonzeros < layer.weight.size:
        raise SqhwError(f"{where}: a dense stream with zero weights needs 0 in its codebook")
    if not layer.stream.dense and 0 in book:
        raise SqhwError(f"{where}: a gap stream stores non-zeros only; take 0 out of its codebook")
    strangers = np.setdiff1d(distinct_bytes(layer.weight), np.array([*book, 0]))
    if strangers.size:
        raise SqhwError(f"{where}: weight {int(strangers[0])} is not in its codebook")
    gap_bits = layer.stream.gap_bits
    widest = max_gap_bits(in_channels, layer.kernel[1], MAX_TAPS_PER_ENTRY)
    if gap_bits > widest:
        raise SqhwError(
            f"{where}: a gap field of {gap_bits} bits is too wide for {in_channels} input "
            f"channels and a kernel {layer.kernel[1]} wide; at most {widest}"
        )


def _check_residual(layer: Conv, skip: Residual, shapes: dict[str, Shape], where: str) -> None:
    if skip.source not in shapes:
        raise SqhwError(f"{where}: adds tensor {shown(skip.source)}, which no earlier layer makes")
    if not 1 <= skip.weight <= 127:
        raise SqhwError(f"{where}: residual weight must be 1 to 127, not {skip.weight}")
    if skip.stride not in (1, 2):
        raise SqhwError(f"{where}: residual stride must be 1 or 2, not {skip.stride}")
    out = layer.output_shape(shapes[layer.source])
    channels, height, width = shapes[skip.source]
    size = (-(-height // skip.stride), -(-width // skip.stride))
    if size != out[1:]:
        raise SqhwError(
            f"{where}: adds tensor {skip.source!r} of size {size[0]}x{size[1]} to its own of "
            f"{out[1]}x{out[2]}"
        )
    if skip.first < 0 or skip.first + channels > out[0]:
        raise SqhwError(
            f"{where}: adds the {channels} channels of {skip.source!r} from channel {skip.first} "
            f"on, it has {out[0]}"
        )
