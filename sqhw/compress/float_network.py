"""The trained network before compression: float weights and a topology, as plain data."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from sqhw.compress.threads import torch_threads
from sqhw.errors import SqhwError
from sqhw.network import Padding, Shape

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FloatConv:
    """A convolution, or a fully connected layer as a convolution over its whole input map.

    Parameters
    ----------
    name : str
        Unique.
    weight : ndarray of float32, shape (out_channels, in_channels, kernel_h, kernel_w)
    bias : ndarray of float32, shape (out_channels,)
    stride : int, 1 or 2
        In both directions.
    padding : tuple of int (top, bottom, left, right)
        Zeros added around the input.
    relu : bool
        Whether a ReLU follows.
    kind : str
        ``"conv"`` or ``"linear"``, what the layer was before.
    """

    name: str
    weight: FloatArray
    bias: FloatArray
    stride: int = 1
    padding: Padding = (0, 0, 0, 0)
    relu: bool = False
    kind: str = "conv"

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
        Unique.
    kernel : int
        Height and width of the window.
    stride : int, 1 or 2
    """

    name: str
    kernel: int
    stride: int
    kind: str = field(default="maxpool", init=False)

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
    """A trained chain of layers on raw pixels, checked when it is made.

    Parameters
    ----------
    name : str
    input_shape : tuple of int (channels, height, width)
    input_max : int
        Largest pixel value, for example 16 (digits) or 255 (MNIST).
    mean, std : tuple of float
        Normalisation ``(pixel / input_max - mean) / std``: one value, or one a channel.
    layers : tuple of FloatConv or FloatMaxPool
        In execution order, each reading the one before.
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

    def shapes(self) -> list[Shape]:
        """Return (channels, height, width) of the input and of every layer's output."""
        shapes = [self.input_shape]
        for layer in self.layers:
            shapes.append(layer.output_shape(shapes[-1]))
        return shapes

    @property
    def convs(self) -> tuple[FloatConv, ...]:
        """The layers that have weights."""
        return tuple(layer for layer in self.layers if isinstance(layer, FloatConv))

    @property
    def weights(self) -> int:
        """Number of weights, without biases."""
        return sum(layer.weight.size for layer in self.convs)

    @property
    def float_bits(self) -> int:
        """Size of all weights and biases as 32-bit floats (unit: bit)."""
        return 32 * sum(layer.weight.size + layer.bias.size for layer in self.convs)

    def to_module(self) -> nn.Module:
        """Return a module that maps raw pixels (n, c, h, w) to logits (n, outputs)."""
        return FloatModule(self)


def normalise(images: Tensor, network: FloatNetwork) -> Tensor:
    """Return ``(pixel / input_max - mean) / std``, shape as `images`."""
    mean = torch.tensor(network.mean, dtype=torch.float32).view(1, -1, 1, 1)
    std = torch.tensor(network.std, dtype=torch.float32).view(1, -1, 1, 1)
    return (images / network.input_max - mean) / std


def padded_conv(x: Tensor, weight: Tensor, bias: Tensor | None, layer: FloatConv) -> Tensor:
    """Return the convolution of `x` with the layer's stride and padding."""
    top, bottom, left, right = layer.padding
    if top == bottom and left == right:
        return functional.conv2d(x, weight, bias, layer.stride, (top, left))
    x = functional.pad(x, (left, right, top, bottom))
    return functional.conv2d(x, weight, bias, layer.stride)


class FloatModule(nn.Module):
    """Runs a `FloatNetwork` on raw pixels."""

    def __init__(self, network: FloatNetwork) -> None:
        super().__init__()
        self.network = network
        pairs = [
            (torch.from_numpy(layer.weight.copy()), torch.from_numpy(layer.bias.copy()))
            for layer in network.convs
        ]
        self.weights = nn.ParameterList(nn.Parameter(weight) for weight, _ in pairs)
        self.biases = nn.ParameterList(nn.Parameter(bias) for _, bias in pairs)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (images, outputs)."""
        x = normalise(images, self.network)
        at = 0
        for layer in self.network.layers:
            if isinstance(layer, FloatConv):
                x = padded_conv(x, self.weights[at], self.biases[at], layer)
                x = functional.relu(x) if layer.relu else x
                at += 1
            else:
                x = functional.max_pool2d(x, layer.kernel, layer.stride)
        return x.flatten(1)


def predict(
    forward: Callable[[Tensor], Tensor], images: npt.NDArray[Any] | Tensor, batch: int = 512
) -> Tensor:
    """Return the logits of all images, batch by batch, without gradients."""
    raw = images if isinstance(images, Tensor) else torch.from_numpy(images.astype(np.float32))
    with torch.no_grad():
        return torch.cat([forward(part) for part in torch.split(raw, batch)])


def evaluate(network: FloatNetwork, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Return the share of images that the float network classifies correctly, 0 to 1."""
    with torch_threads(1):
        best = predict(network.to_module().eval(), images).argmax(1).numpy()
    return float((best == labels).mean())


def _check(network: FloatNetwork) -> None:
    if not network.convs:
        raise SqhwError(f"network {network.name!r} has no layer with weights")
    if not 1 <= network.input_max <= 255:
        raise SqhwError(
            f"network {network.name!r}: input_max must be 1 to 255, not {network.input_max}"
        )
    for label, values in (("mean", network.mean), ("std", network.std)):
        if len(values) not in (1, network.input_shape[0]):
            raise SqhwError(
                f"network {network.name!r}: {label} must have 1 or {network.input_shape[0]} "
                f"values, not {len(values)}"
            )
    if min(network.std) <= 0:
        raise SqhwError(f"network {network.name!r}: std must be positive, not {network.std}")
    shape = network.input_shape
    names: set[str] = set()
    for layer in network.layers:
        where = f"layer {layer.name!r}"
        if layer.name in names or layer.name == "input":
            raise SqhwError(f"{where}: the name is used twice")
        names.add(layer.name)
        if layer.stride not in (1, 2):
            raise SqhwError(f"{where}: stride must be 1 or 2, not {layer.stride}")
        if isinstance(layer, FloatConv):
            if layer.weight.ndim != 4 or layer.weight.shape[1] != shape[0]:
                raise SqhwError(
                    f"{where}: weight has shape {layer.weight.shape}, "
                    f"its input has {shape[0]} channels"
                )
            if layer.bias.shape != layer.weight.shape[:1]:
                raise SqhwError(
                    f"{where}: bias must have shape {layer.weight.shape[:1]}, "
                    f"not {layer.bias.shape}"
                )
            if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
                raise SqhwError(f"{where}: a weight or bias is not finite")
        shape = layer.output_shape(shape)
        if min(shape) < 1:
            raise SqhwError(f"{where}: its window is larger than its input map")
