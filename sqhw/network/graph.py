"""Graphs of layers: the common part of the float and the quantized network, and its rules.

A graph is a list of layers in execution order. A layer names its input tensor and its output
tensor bears the layer's own name; the network's input tensor is called ``input``. The output of
the last layer is the output of the network. Memory plans, engines and schedules follow from a
graph. A function that takes a graph reads shapes of weights and their zeros, never their values.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import prod
from typing import Any, Generic, TypeVar

import numpy.typing as npt

from sqhw.arrays import Mask
from sqhw.errors import SqhwError, shown
from sqhw.files.plain import located
from sqhw.machine.number import ActivationFormat
from sqhw.network.facts import Facts, facts_of
from sqhw.network.limits import Extent, check_name

INPUT = "input"
#: Kinds of convolutions, by the layer that each was before it became one.
CONV_KINDS = ("conv", "linear", "avgpool")

Shape = tuple[int, int, int]
Padding = tuple[int, int, int, int]
#: Stride in both directions, or (down, right).
Stride = int | tuple[int, int]


def pair(value: Stride) -> tuple[int, int]:
    """Return one number for both directions, or two, as two."""
    return value if isinstance(value, tuple) else (value, value)


class Skip:
    """A skip connection: another tensor, added to a convolution before its ReLU.

    Output channel ``c`` at (y, x) gets ``skip[c - first, stride * y, stride * x]``; channels that
    the tensor does not have get nothing. With more channels than before this is the parameter-free
    shortcut (option A of He et al., 2016).

    Attributes
    ----------
    source : str
        Name of the tensor.
    stride : int, 1 or 2
        Stride in both directions.
    first : int
        Output channel that gets the tensor's channel 0.
    """

    source: str
    stride: int
    first: int


class GraphConv(ABC):
    """A convolution, or a layer that is one: fully connected, average pooling, residual block end.

    A fully connected layer is a convolution over its whole input map, an average pooling a
    depthwise one whose weights are all the same and are not trained.

    Attributes
    ----------
    name : str
        Unique name of the layer and of its output tensor.
    source : str
        Name of the input tensor.
    weight : ndarray, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
    stride : int or tuple of int (down, right)
        Stride, one number for both directions. That to the right is 1 or 2, that down a multiple of
        it.
    padding : tuple of int (top, bottom, left, right)
        Zeros added around the input.
    kind : str
        Kind of the layer before it became a convolution: ``"conv"``, ``"linear"`` or ``"avgpool"``.
    groups : int
        Number of groups of output channels. Each group reads its own share of the input channels.
        A depthwise convolution has as many groups as channels.
    residual : Skip, optional
        Skip connection.
    """

    name: str
    source: str
    weight: npt.NDArray[Any]
    stride: Stride
    padding: Padding
    kind: str
    groups: int
    residual: Skip | None

    @property
    @abstractmethod
    def output_format(self) -> ActivationFormat:
        """Format of the output tensor on the engine."""

    @property
    @abstractmethod
    def has_stream(self) -> bool:
        """Whether the weights are stored one by one; those of an average are all the same."""

    @property
    @abstractmethod
    def value_bits(self) -> int:
        """Width of the widest weight as a signed number on the engine (unit: bit)."""

    @abstractmethod
    def zero_channels(self) -> Mask:
        """Return which output channels are 0 for every input, shape (out_channels,)."""

    @property
    def has_table(self) -> bool:
        """Whether its activation function is a table on the engine."""
        return False

    @property
    def kernel(self) -> tuple[int, int]:
        """Kernel height and width."""
        return int(self.weight.shape[2]), int(self.weight.shape[3])

    @property
    def strides(self) -> tuple[int, int]:
        """Stride down and to the right."""
        return pair(self.stride)

    @property
    def sources(self) -> tuple[str, ...]:
        """The tensors that the layer reads."""
        return (self.source, self.residual.source) if self.residual else (self.source,)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, height, width) of the output for an input of that shape."""
        _, height, width = shape
        top, bottom, left, right = self.padding
        kernel_h, kernel_w = self.kernel
        return (
            int(self.weight.shape[0]),
            (height + top + bottom - kernel_h) // self.strides[0] + 1,
            (width + left + right - kernel_w) // self.strides[1] + 1,
        )


@dataclass(frozen=True)
class MaxPool:
    """Maximum over a window; the output has the input's format.

    Parameters
    ----------
    name : str
        Unique name of the layer and of its output tensor.
    source : str
        Name of the input tensor.
    kernel : int or tuple of int (height, width)
        Size of the window; one number for a square one.
    stride : int or tuple of int (down, right)
        Stride, as that of a `GraphConv`. Windows that would leave the padded map are dropped.
    padding : tuple of int (top, bottom, left, right)
        Positions around the input that no maximum takes. Each window has a position of the input.
        The input has no negative values, so that the engine pads with 0.
    """

    name: str
    source: str
    kernel: int | tuple[int, int]
    stride: Stride
    padding: Padding = (0, 0, 0, 0)
    kind: str = field(default="maxpool", init=False)

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the window."""
        return pair(self.kernel)

    @property
    def strides(self) -> tuple[int, int]:
        """Stride down and to the right."""
        return pair(self.stride)

    @property
    def taps(self) -> int:
        """Number of positions of the window."""
        return prod(self.window)

    @property
    def sources(self) -> tuple[str, ...]:
        """The tensors that the layer reads."""
        return (self.source,)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, height, width) of the output for an input of that shape."""
        channels, height, width = shape
        top, bottom, left, right = self.padding
        return (
            channels,
            (height + top + bottom - self.window[0]) // self.strides[0] + 1,
            (width + left + right - self.window[1]) // self.strides[1] + 1,
        )


C = TypeVar("C", bound=GraphConv, covariant=True)


class Graph(ABC, Generic[C]):
    """Layers that read each other's tensors; its convolutions are all of one class.

    Attributes
    ----------
    name : str
    input_shape : tuple of int (channels, height, width)
        Shape of an image.
    layers : tuple of GraphConv or MaxPool
        Layers in execution order. Each reads tensors of earlier layers, and the last one makes the
        output.
    metadata : dict of str to str
        Texts that travel with the file; `sqhw.network.facts` says which of them are read.
    """

    name: str
    input_shape: Shape
    layers: tuple[C | MaxPool, ...]
    metadata: dict[str, str]

    @property
    def facts(self) -> Facts:
        """Facts in the metadata about the network's training and compression."""
        with located(f"network {self.name!r}"):
            return facts_of(self.metadata)

    @property
    @abstractmethod
    def pixel_format(self) -> ActivationFormat:
        """Format of raw pixels on the engine."""

    @property
    def convs(self) -> tuple[C, ...]:
        """The layers that have weights."""
        return tuple(layer for layer in self.layers if not isinstance(layer, MaxPool))

    def shapes(self) -> dict[str, Shape]:
        """Return (channels, height, width) of every tensor by name, the input included."""
        shapes = {INPUT: self.input_shape}
        for layer in self.layers:
            shapes[layer.name] = layer.output_shape(shapes[layer.source])
        return shapes

    def formats(self) -> dict[str, ActivationFormat]:
        """Return the number format of every tensor on the engine by name, the input included."""
        formats = {INPUT: self.pixel_format}
        for layer in self.layers:
            if isinstance(layer, MaxPool):
                formats[layer.name] = formats[layer.source]
            else:
                formats[layer.name] = layer.output_format
        return formats

    def readers(self, tensor: str) -> tuple[C | MaxPool, ...]:
        """Return the layers that read a tensor, in execution order."""
        return tuple(layer for layer in self.layers if tensor in layer.sources)


def check_input_shape(name: str, shape: Any) -> None:
    """Check the shape of a network's input.

    Raises
    ------
    SqhwError
    """
    if len(shape) != 3 or min(shape) < 1:
        raise SqhwError(
            f"network {name!r}: input shape must be (channels, height, width), not {tuple(shape)}"
        )


def check_graph(graph: Graph[GraphConv]) -> None:
    """Check every rule that does not depend on the values of weights.

    Raises
    ------
    SqhwError
        If a rule is broken; the message names the layer, what was found and what is allowed.
    """
    check_name("network", graph.name)
    if not graph.layers:
        raise SqhwError(f"network {graph.name!r} has no layers")
    check_input_shape(graph.name, graph.input_shape)
    extent = Extent(graph.name, len(graph.layers))
    extent.add_map(f"network {graph.name!r}: its input", graph.input_shape)
    shapes: dict[str, Shape] = {INPUT: graph.input_shape}
    for layer in graph.layers:
        check_name("layer", layer.name)
        where = f"layer {layer.name!r}"
        if layer.name in shapes:
            raise SqhwError(f"{where}: the name is used twice")
        if layer.source not in shapes:
            raise SqhwError(
                f"{where}: reads tensor {shown(layer.source)}, which no earlier layer makes"
            )
        down, right = layer.strides
        if right not in (1, 2) or down < 1 or down % right:
            raise SqhwError(f"{where}: stride must be 1 or 2, not {layer.stride}")
        shape = shapes[layer.source]
        if not isinstance(layer, MaxPool):
            _check_conv(layer, shape, where)
        else:
            _check_window(layer, where)
        out = layer.output_shape(shape)
        if min(out) < 1:
            raise SqhwError(f"{where}: its window is larger than its input map {shape[1:]}")
        if isinstance(layer, MaxPool):
            _check_border(layer, shape, out, where)
            extent.add_map(where, shape, layer.padding)
            extent.add_products(where, layer.taps * prod(out))
        else:
            extent.add_map(where, shape, layer.padding)
            extent.add_products(where, layer.weight[0].size * prod(out))
        extent.add_map(where, out)
        if not isinstance(layer, MaxPool) and layer.residual:
            _check_residual(layer.residual, shapes, out, where)
        shapes[layer.name] = out


def check_maxima(graph: Graph[GraphConv]) -> None:
    """Check that padded maxima read no negative values; every other rule must hold already.

    Raises
    ------
    SqhwError
        Naming the layer.
    """
    padded = [layer for layer in graph.layers if isinstance(layer, MaxPool) and any(layer.padding)]
    formats = graph.formats() if padded else {}
    for layer in padded:
        if formats[layer.source].signed:
            raise SqhwError(
                f"layer {layer.name!r}: is a padded maximum of {layer.source!r}, which has "
                "negative values, and the engine pads with 0; put a ReLU before or after the "
                "maximum"
            )


def _check_window(layer: MaxPool, where: str) -> None:
    if len(layer.window) != 2 or min(layer.window) < 1:
        raise SqhwError(f"{where}: kernel must be at least 1, not {layer.kernel}")
    if len(layer.padding) != 4 or min(layer.padding) < 0:
        raise SqhwError(f"{where}: padding must be four numbers >= 0, not {layer.padding!r}")


def _check_border(layer: MaxPool, shape: Shape, out: Shape, where: str) -> None:
    if not any(layer.padding):
        return
    for size, count, own, before, step in zip(
        shape[1:], out[1:], layer.window, layer.padding[::2], layer.strides, strict=True
    ):
        if before >= own or (count - 1) * step - before >= size:
            raise SqhwError(
                f"{where}: padding {layer.padding} leaves a window of {layer.window} without a "
                "position of its input map"
            )


def _check_conv(layer: GraphConv, shape: Shape, where: str) -> None:
    if layer.kind not in CONV_KINDS:
        raise SqhwError(f"{where}: kind must be one of {', '.join(CONV_KINDS)}, not {layer.kind!r}")
    if layer.weight.ndim != 4 or min(layer.weight.shape) < 1:
        raise SqhwError(
            f"{where}: weight must have shape (out, in, kernel_h, kernel_w), "
            f"not {layer.weight.shape}"
        )
    outputs, inputs = layer.weight.shape[:2]
    if layer.groups < 1 or outputs % layer.groups:
        raise SqhwError(
            f"{where}: groups must divide its {outputs} output channels, not {layer.groups}"
        )
    if inputs * layer.groups != shape[0]:
        raise SqhwError(
            f"{where}: weight is for {inputs * layer.groups} input channels, "
            f"its input has {shape[0]}"
        )
    if len(layer.padding) != 4 or min(layer.padding) < 0:
        raise SqhwError(f"{where}: padding must be four numbers >= 0, not {layer.padding!r}")


def _check_residual(skip: Skip, shapes: dict[str, Shape], out: Shape, where: str) -> None:
    if skip.source not in shapes:
        raise SqhwError(f"{where}: adds tensor {shown(skip.source)}, which no earlier layer makes")
    if skip.stride not in (1, 2):
        raise SqhwError(f"{where}: residual stride must be 1 or 2, not {skip.stride}")
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
