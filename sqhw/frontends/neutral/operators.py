"""The operators of the neutral graph.

Each computes one tensor from one or two others. All compute on real numbers, whatever the file
did; a quantized output is rounded to its grid afterwards, see `sqhw.frontends.neutral.graph`.
Padding is with the real number 0, which in integers is the zero point.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from sqhw.errors import SqhwError
from sqhw.frontends.neutral.constant import Constant

#: Channels, height and width of a tensor. A vector of n values has shape (n, 1, 1).
Shape = tuple[int, int, int]
#: Zeros (top, bottom, left, right).
Padding = tuple[int, int, int, int]
#: Numbers (down, right).
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Operator(ABC):
    """An operator of the file.

    Parameters
    ----------
    name : str
        Name of the node in the file, for messages and for the layer that it becomes; unique.
    inputs : tuple of str
        Names of the tensors that it reads.
    output : str
        Name of the tensor that it makes.
    clamp : tuple of int (lowest, highest), optional
        Bounds of the output's integers, for an activation function that is fused into an operator
        on integers (ReLU of TFLite), or for bounds narrower than the range of the quantization
        (Clip between QuantizeLinear and DequantizeLinear). Only where the output is quantized.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    clamp: tuple[int, int] | None = None

    @abstractmethod
    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the output for inputs of such shapes.

        Raises
        ------
        SqhwError
            If the inputs do not fit; the message does not name the operator.
        """

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The constants of the operator."""
        return ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Operator):
    """A convolution; a depthwise one has as many groups as input channels.

    Parameters
    ----------
    weight : Constant, shape (outputs, inputs / groups, height, width)
        Weights; per-channel quantization is along axis 0. TFLite's depthwise weights, (1, height,
        width, outputs), are transposed by the reader.
    bias : Constant, shape (outputs,), optional
        Real numbers, or 32-bit integers of scale ``input scale * weight scale``.
    stride : tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
    dilation : tuple of int (down, right)
    groups : int
    """

    weight: Constant
    bias: Constant | None = None
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Weights and biases."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return (outputs, height, width)."""
        weight = self.weight.values.shape
        if len(weight) != 4 or min(weight) < 1:
            raise SqhwError(f"its weights have shape {weight}; four dimensions are needed")
        if self.groups < 1 or weight[0] % self.groups:
            raise SqhwError(
                f"its {weight[0]} output channels do not divide by {self.groups} groups"
            )
        channels = weight[1] * self.groups
        if channels != shapes[0][0]:
            raise SqhwError(
                f"its weights are for {channels} channels, its input has {shapes[0][0]}"
            )
        _check_bias(self.bias, weight[0])
        kernel = (weight[2], weight[3])
        return weight[0], *_windows(shapes[0], kernel, self.stride, self.padding, self.dilation)


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Operator):
    """A fully connected layer on a vector.

    Parameters
    ----------
    weight : Constant, shape (outputs, inputs)
    bias : Constant, shape (outputs,), optional
    """

    weight: Constant
    bias: Constant | None = None

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Weights and biases."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return (outputs, 1, 1)."""
        weight = self.weight.values.shape
        if len(weight) != 2 or min(weight) < 1:
            raise SqhwError(f"its weights have shape {weight}; two dimensions are needed")
        if shapes[0] != (weight[1], 1, 1):
            raise SqhwError(f"its weights are for {weight[1]} values, its input is {shapes[0]}")
        _check_bias(self.bias, weight[0])
        return weight[0], 1, 1


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPooling(Operator):
    """Maxima over windows; padding never wins. A global maximum has the map as its window.

    Parameters
    ----------
    kernel, stride, dilation : tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
        A reader makes windows beyond the border (ceil mode) explicit as padding.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return (channels, height, width)."""
        size = _windows(shapes[0], self.kernel, self.stride, self.padding, self.dilation)
        return shapes[0][0], *size


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePooling(Operator):
    """Averages over windows. A global average has the map as its window.

    Parameters
    ----------
    kernel, stride : tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
        A reader makes windows beyond the border (ceil mode) explicit as padding.
    counted : tuple of int (top, bottom, left, right)
        The part of the padding whose zeros count in the divisor, at most `padding`.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    counted: Padding = (0, 0, 0, 0)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return (channels, height, width)."""
        if any(not 0 <= own <= all_ for own, all_ in zip(self.counted, self.padding, strict=True)):
            raise SqhwError(f"it counts padding {self.counted} of {self.padding}")
        return shapes[0][0], *_windows(shapes[0], self.kernel, self.stride, self.padding, (1, 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Operator):
    """The sum of two tensors of one shape, a skip connection."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of both."""
        if shapes[0] != shapes[1]:
            raise SqhwError(f"it adds tensors of different shapes, {shapes[0]} and {shapes[1]}")
        return shapes[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Clip(Operator):
    """Bounds on real numbers: a ReLU has `low` 0 and no `high`, ReLU6 has 0 and 6.

    Parameters
    ----------
    low, high : float, optional
    """

    low: float | None = None
    high: float | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the input."""
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise SqhwError(f"its bounds {self.low} and {self.high} are not in order")
        return shapes[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine(Operator):
    """``scale * x + shift`` with constants: batch normalisation, arithmetic with constants.

    Parameters
    ----------
    scale, shift : Constant
        Arrays of three dimensions that broadcast to the shape of the input.
    """

    scale: Constant
    shift: Constant

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Factors and summands."""
        return self.scale, self.shift

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the input."""
        for constant in self.constants:
            shape = constant.values.shape
            if len(shape) != 3 or any(
                own not in (1, size) for own, size in zip(shape, shapes[0], strict=True)
            ):
                raise SqhwError(f"its constants have shape {shape}, its input is {shapes[0]}")
        return shapes[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Operator):
    """Rows, columns and channels of one value around a tensor.

    Parameters
    ----------
    padding : tuple of int (top, bottom, left, right)
    channels : tuple of int (before, after)
    value : float
    """

    padding: Padding = (0, 0, 0, 0)
    channels: Pair = (0, 0)
    value: float = 0.0

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the larger shape."""
        if min(*self.padding, *self.channels) < 0:
            raise SqhwError(f"its padding {(*self.channels, *self.padding)} is negative")
        channels, height, width = shapes[0]
        top, bottom, left, right = self.padding
        return channels + sum(self.channels), height + top + bottom, width + left + right


@dataclass(frozen=True, eq=False, kw_only=True)
class Subsample(Operator):
    """Every `stride`-th row and column, from the first on.

    Parameters
    ----------
    stride : tuple of int (down, right)
    """

    stride: Pair

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the smaller shape."""
        if min(self.stride) < 1:
            raise SqhwError(f"its stride is {self.stride}; 1 is the least")
        channels, height, width = shapes[0]
        return channels, -(-height // self.stride[0]), -(-width // self.stride[1])


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Operator):
    """The values of a map as a vector.

    Parameters
    ----------
    channels_last : bool
        False: ordered by channel, then row, then column, as PyTorch and ONNX do. True: ordered by
        row, then column, then channel, as TFLite does.
    """

    channels_last: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return (channels * height * width, 1, 1)."""
        channels, height, width = shapes[0]
        return channels * height * width, 1, 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Unflatten(Operator):
    """A vector as a map, the reverse of `Flatten`.

    Parameters
    ----------
    shape : tuple of int (channels, height, width)
    channels_last : bool
        Order of the vector's values, as of `Flatten`.
    """

    shape: Shape
    channels_last: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return `shape`."""
        values = self.shape[0] * self.shape[1] * self.shape[2]
        if shapes[0] != (values, 1, 1) or min(self.shape) < 1:
            raise SqhwError(f"it makes {self.shape} of {shapes[0]}")
        return self.shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(Operator):
    """Nothing but rounding to the grid of the output.

    It stands for a node that quantizes what has no other grid (QuantizeLinear, Quant), or changes
    the grid of a tensor (QUANTIZE of TFLite).
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the input."""
        return shapes[0]


def _check_bias(bias: Constant | None, outputs: int) -> None:
    if bias is not None and bias.values.shape != (outputs,):
        raise SqhwError(f"its bias has shape {bias.values.shape}, not ({outputs},)")


def _windows(shape: Shape, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    """Return the number of windows down and to the right."""
    if min(*kernel, *stride, *dilation) < 1 or min(padding) < 0:
        raise SqhwError(
            f"its kernel {kernel}, stride {stride}, dilation {dilation} or padding {padding} has a "
            "number that is too small"
        )
    top, bottom, left, right = padding
    counts = []
    for size, own, step, gap in zip(
        (shape[1] + top + bottom, shape[2] + left + right), kernel, stride, dilation, strict=True
    ):
        span = size - (own - 1) * gap - 1
        if span < 0:
            raise SqhwError(f"its window of {kernel} is larger than its input map {shape[1:]}")
        counts.append(span // step + 1)
    return counts[0], counts[1]
