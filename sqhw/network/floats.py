"""The trained network before compression: float weights and a topology, as plain data."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, shown
from sqhw.files.input_limits import MAX_REAL, MIN_REAL
from sqhw.network.facts import LAYER_WEIGHTS
from sqhw.network.limits import Extent, check_name
from sqhw.network.quantized import INPUT, Padding, Shape

FloatArray = npt.NDArray[np.float32]
KINDS = ("conv", "linear", "avgpool")


@dataclass(frozen=True)
class FloatResidual:
    """A skip connection: another tensor, added to a convolution before its ReLU.

    Output channel ``c`` at (y, x) gets ``skip[c - first, stride * y, stride * x]``; channels that
    the tensor does not have get nothing.

    Parameters
    ----------
    source : str
        Name of the tensor.
    stride : int, 1 or 2
        In both directions.
    first : int
        Output channel that gets the tensor's channel 0.
    """

    source: str
    stride: int = 1
    first: int = 0


@dataclass(frozen=True, eq=False)
class FloatConv:
    """A convolution, or a layer that is one: fully connected, average pooling, residual block end.

    A fully connected layer is a convolution over its whole input map, an average pooling a
    depthwise one whose weights are all ``1 / (kernel_h * kernel_w)`` and are not trained.

    Parameters
    ----------
    name : str
        Unique; also the name of the output tensor.
    source : str
        Name of the input tensor; the network's input is called ``input``.
    weight : ndarray of float32, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
    bias : ndarray of float32, shape (out_channels,)
    stride : int, 1 or 2
        In both directions.
    padding : tuple of int (top, bottom, left, right)
        Zeros added around the input.
    relu : bool
        Whether a ReLU follows.
    ceiling : float, optional
        Upper limit of the ReLU: 6 for ReLU6.
    kind : str
        ``"conv"``, ``"linear"`` or ``"avgpool"``, what the layer was before.
    groups : int
        As in `torch.nn.Conv2d`.
    residual : FloatResidual, optional
        Skip connection, added before the ReLU.
    """

    name: str
    source: str
    weight: FloatArray
    bias: FloatArray
    stride: int = 1
    padding: Padding = (0, 0, 0, 0)
    relu: bool = False
    ceiling: float | None = None
    kind: str = "conv"
    groups: int = 1
    residual: FloatResidual | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The tensors that the layer reads."""
        return (self.source, self.residual.source) if self.residual else (self.source,)

    @property
    def trained(self) -> bool:
        """Whether the weights are parameters; those of an average pooling are not."""
        return self.kind != "avgpool"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, height, width) of the output for an input of that shape."""
        top, bottom, left, right = self.padding
        out, _, kh, kw = self.weight.shape
        return (
            int(out),
            (shape[1] + top + bottom - kh) // self.stride + 1,
            (shape[2] + left + right - kw) // self.stride + 1,
        )


@dataclass(frozen=True)
class FloatMaxPool:
    """Maximum over a square window.

    Parameters
    ----------
    name : str
        Unique; also the name of the output tensor.
    source : str
        Name of the input tensor.
    kernel : int
        Height and width of the window.
    stride : int, 1 or 2
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
        return (
            shape[0],
            (shape[1] - self.kernel) // self.stride + 1,
            (shape[2] - self.kernel) // self.stride + 1,
        )


FloatLayer = FloatConv | FloatMaxPool


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A trained graph of layers on raw pixels, checked when it is made.

    Parameters
    ----------
    name : str
    input_shape : tuple of int (channels, height, width)
    input_max : int
        Largest pixel value, for example 16 (digits) or 255 (MNIST).
    mean, std : tuple of float
        Normalisation ``(pixel / input_max - mean) / std``: one value, or one a channel.
    layers : tuple of FloatConv or FloatMaxPool
        In execution order; each reads tensors made before it. The last one makes the output.
    metadata : dict of str to str
        Free text that travels with the file.

    Raises
    ------
    SqhwError
        If layers do not fit together; the message names the layer.
    """

    name: str
    input_shape: Shape
    input_max: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layers: tuple[FloatLayer, ...]
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self)

    def shapes(self) -> dict[str, Shape]:
        """Return (channels, height, width) of every tensor by name, the input included."""
        shapes = {INPUT: self.input_shape}
        for layer in self.layers:
            shapes[layer.name] = layer.output_shape(shapes[layer.source])
        return shapes

    @property
    def convs(self) -> tuple[FloatConv, ...]:
        """The layers that have weights."""
        return tuple(layer for layer in self.layers if isinstance(layer, FloatConv))

    @property
    def weights(self) -> int:
        """Number of trained weights, without biases."""
        return sum(layer.weight.size for layer in self.convs if layer.trained)

    @property
    def float_bits(self) -> int:
        """Size of all weights and biases as 32-bit floats (unit: bit)."""
        return 32 * sum(
            layer.weight.size + layer.bias.size for layer in self.convs if layer.trained
        )

    @property
    def size_labels(self) -> dict[str, str]:
        """What the metadata of a compressed network say of this one's size."""
        sizes = {layer.name: int(layer.weight.size) for layer in self.convs if layer.trained}
        return {
            "float_weights": str(self.weights),
            "float_bits": str(self.float_bits),
            LAYER_WEIGHTS: json.dumps(sizes),
        }


def _check(network: FloatNetwork) -> None:
    check_name("network", network.name)
    if not network.convs:
        raise SqhwError(f"network {network.name!r} has no layer with weights")
    check_input(network.name, network.input_shape, network.input_max, network.mean, network.std)
    extent = Extent(network.name, len(network.layers))
    extent.add_map(f"network {network.name!r}: its input", network.input_shape)
    shapes: dict[str, Shape] = {INPUT: network.input_shape}
    for layer in network.layers:
        check_name("layer", layer.name)
        where = f"layer {layer.name!r}"
        if layer.name in shapes:
            raise SqhwError(f"{where}: the name is used twice")
        for tensor in layer.sources:
            if tensor not in shapes:
                raise SqhwError(
                    f"{where}: reads tensor {shown(tensor)}, which no earlier layer makes"
                )
        if layer.stride not in (1, 2):
            raise SqhwError(f"{where}: stride must be 1 or 2, not {layer.stride}")
        shape = shapes[layer.source]
        if isinstance(layer, FloatConv):
            _check_conv(layer, shape, where)
        elif layer.kernel < 1:
            raise SqhwError(f"{where}: its kernel must be at least 1, not {layer.kernel}")
        out = layer.output_shape(shape)
        if min(out) < 1:
            raise SqhwError(f"{where}: its window is larger than its input map {shape[1:]}")
        if isinstance(layer, FloatConv):
            extent.add_map(where, shape, layer.padding)
            extent.add_products(where, layer.weight[0].size * prod(out))
        else:
            extent.add_products(where, layer.kernel**2 * prod(out))
        extent.add_map(where, out)
        if isinstance(layer, FloatConv) and layer.residual:
            _check_residual(layer.residual, shapes[layer.residual.source], out, where)
        shapes[layer.name] = out


def check_input(
    name: str, shape: Sequence[int], input_max: int, mean: Sequence[float], std: Sequence[float]
) -> None:
    """Raise SqhwError if a network's input shape, pixel range or normalisation cannot be."""
    where = f"network {name!r}"
    if len(shape) != 3 or min(shape) < 1:
        raise SqhwError(
            f"{where}: input shape must be (channels, height, width), not {tuple(shape)}"
        )
    if not 1 <= input_max <= 255:
        raise SqhwError(f"{where}: input_max must be 1 to 255, not {input_max}")
    for label, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, shape[0]):
            raise SqhwError(f"{where}: {label} must have 1 or {shape[0]} values, not {len(values)}")
        if not np.max(np.abs(values)) <= MAX_REAL:
            raise SqhwError(f"{where}: {label} must be at most {MAX_REAL:.1e}, not {values}")
    if min(std) < MIN_REAL:
        raise SqhwError(f"{where}: std must be positive, {MIN_REAL:.1e} or more, not {std}")
    channels, height, width = shape
    Extent(name, 1).add_map(f"{where}: its input", (channels, height, width))


def _check_conv(layer: FloatConv, shape: Shape, where: str) -> None:
    if layer.kind not in KINDS:
        raise SqhwError(f"{where}: kind must be one of {', '.join(KINDS)}, not {layer.kind!r}")
    if layer.weight.ndim != 4 or layer.weight.size == 0:
        raise SqhwError(
            f"{where}: weight must have 4 dimensions and some values, not shape "
            f"{layer.weight.shape}"
        )
    if min(layer.padding) < 0:
        raise SqhwError(f"{where}: padding must not be negative: {layer.padding}")
    channels = shape[0]
    outputs = layer.weight.shape[0]
    if layer.groups < 1 or channels % layer.groups or outputs % layer.groups:
        raise SqhwError(
            f"{where}: groups must divide its {channels} input and {outputs} output channels, "
            f"not {layer.groups}"
        )
    if layer.weight.shape[1] * layer.groups != channels:
        raise SqhwError(
            f"{where}: weight has shape {layer.weight.shape} in {layer.groups} groups, "
            f"its input has {channels} channels"
        )
    if layer.bias.shape != layer.weight.shape[:1]:
        raise SqhwError(
            f"{where}: bias must have shape {layer.weight.shape[:1]}, not {layer.bias.shape}"
        )
    if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
        raise SqhwError(f"{where}: a weight or bias is not finite")
    for label in ("weight", "bias"):
        largest = np.abs(getattr(layer, label)).max()
        if largest > MAX_REAL:
            raise SqhwError(f"{where}: a {label} is {largest:.1e}, at most {MAX_REAL:.1e}")
    if layer.ceiling is not None and not (layer.relu and MIN_REAL <= layer.ceiling <= MAX_REAL):
        raise SqhwError(
            f"{where}: a ceiling needs a ReLU and must be positive, {MIN_REAL:.1e} to "
            f"{MAX_REAL:.1e}: {layer.ceiling}"
        )
    if layer.kind == "avgpool":
        share = np.float32(1 / (layer.weight.shape[2] * layer.weight.shape[3]))
        even = bool((layer.weight == share).all()) and not layer.bias.any()
        if not even or layer.groups != channels or outputs != channels:
            raise SqhwError(
                f"{where}: an average pooling must have one filter a channel, of weights {share} "
                "and without bias"
            )


def _check_residual(skip: FloatResidual, shape: Shape, out: Shape, where: str) -> None:
    channels, height, width = shape
    size = (-(-height // skip.stride), -(-width // skip.stride))
    if skip.stride not in (1, 2) or size != out[1:]:
        raise SqhwError(
            f"{where}: adds tensor {skip.source!r} of size {size[0]}x{size[1]} (stride "
            f"{skip.stride}) to its own of {out[1]}x{out[2]}"
        )
    if skip.first < 0 or skip.first + channels > out[0]:
        raise SqhwError(
            f"{where}: adds the {channels} channels of {skip.source!r} from channel {skip.first} "
            f"on, it has {out[0]}"
        )
