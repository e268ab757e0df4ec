"""Float networks as torch modules: their parts, inference and accuracy."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.graph import GraphConv, MaxPool, Skip
from sqhw.network.limits import images_at_once
from sqhw.network.walk import run_graph

#: The same tensor in two networks: the float one, and one that is made of it.
Pair = tuple[Tensor, Tensor]

#: Functions of `sqhw.network.activations.FUNCTIONS` on tensors.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hard_swish": functional.hardswish,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "elu": functional.elu,
    "softplus": functional.softplus,
    "mish": functional.mish,
}
BATCH = 512  # images that are computed together


def normalise(images: Tensor, network: FloatNetwork) -> Tensor:
    """Return ``(pixel / input_max - mean) / std``, shape as `images`."""
    mean = torch.tensor(network.mean, dtype=torch.float32).view(1, -1, 1, 1)
    std = torch.tensor(network.std, dtype=torch.float32).view(1, -1, 1, 1)
    return (images / network.input_max - mean) / std


class _GradientAsInput(torch.autograd.Function):
    """Nothing, but for the memory format of the gradient.

    Behind a depthwise convolution or a padding it is not that of its input, and would slow down
    every sum of gradients that it then takes part in.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.last = x.is_contiguous(memory_format=torch.channels_last)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        if not ctx.last:
            return grads[0]
        return grads[0].contiguous(memory_format=torch.channels_last)


def padded_conv(x: Tensor, weight: Tensor, bias: Tensor | None, layer: GraphConv) -> Tensor:
    """Return the convolution of `x` with the layer's stride and padding."""
    if layer.groups > 1 and x.requires_grad:
        x = _GradientAsInput.apply(x)  # type: ignore[no-untyped-call]
    top, bottom, left, right = layer.padding
    pads = (top, left)
    if top != bottom or left != right:
        x, pads = functional.pad(x, (left, right, top, bottom)), (0, 0)
    return functional.conv2d(x, weight, bias, layer.stride, pads, groups=layer.groups)


def with_residual(acc: Tensor, residual: Skip | None, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return `acc` with the tensor of a skip connection added."""
    if residual is None:
        return acc
    skip = tensors[residual.source]
    if skip.requires_grad:
        skip = _GradientAsInput.apply(skip)  # type: ignore[no-untyped-call]
    if residual.stride > 1:  # views that change nothing cost copies of the gradient
        skip = skip[:, :, :: residual.stride, :: residual.stride]
    behind = acc.shape[1] - residual.first - skip.shape[1]
    if residual.first or behind:
        skip = functional.pad(skip, (0, 0, 0, 0, residual.first, behind))
    return acc + skip


def preactivation(
    layer: FloatConv, tensors: Mapping[str, Tensor], weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Return a layer's output before its activation function, for these weights and biases."""
    y = padded_conv(tensors[layer.source], weight, bias, layer)
    return with_residual(y, layer.residual, tensors)


def max_pool(layer: MaxPool, x: Tensor) -> Tensor:
    """Return the maxima of `x` over a layer's windows."""
    top, bottom, left, right = layer.padding
    if any(layer.padding):
        x = functional.pad(x, (left, right, top, bottom), value=-math.inf)
    return functional.max_pool2d(x, layer.window, layer.stride)


def max_pool_pair(layer: MaxPool, pair: Pair) -> Pair:
    """Return the maxima of the same map in two networks."""
    return max_pool(layer, pair[0]), max_pool(layer, pair[1])


def activated(x: Tensor, layer: FloatConv) -> Tensor:
    """Return `x` after the layer's activation function."""
    if layer.activation is not None:
        return FUNCTIONS[layer.activation](x)
    if not layer.relu:
        return x
    return functional.relu(x) if layer.ceiling is None else x.clamp(0.0, layer.ceiling)


class FloatModule(nn.Module):
    """Runs a `FloatNetwork` on raw pixels: maps (n, c, h, w) to logits (n, outputs)."""

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
        parameters = iter(zip(self.weights, self.biases, strict=True))

        def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
            return activated(preactivation(layer, tensors, *next(parameters)), layer)

        x = normalise(images, self.network)
        return run_graph(self.network, x, conv, max_pool).flatten(1)


def predict(
    forward: Callable[[Tensor], Tensor],
    images: npt.NDArray[Any] | Tensor,
    device: torch.device | str = "cpu",
    batch: int = BATCH,
) -> Tensor:
    """Return the logits of all images, batch by batch on a device, without gradients."""
    raw = images if isinstance(images, Tensor) else torch.from_numpy(images.astype(np.float32))
    with torch.no_grad():
        return torch.cat([forward(part.to(device)).cpu() for part in torch.split(raw, batch)])


def evaluate(network: FloatNetwork, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Return the share of images that the float network classifies correctly, 0 to 1."""
    with torch_threads(1):
        batch = images_at_once(network.shapes(), BATCH)
        logits = predict(FloatModule(network).eval(), images, batch=batch)
        best = logits.argmax(1).numpy()
    return float((best == labels).mean())
