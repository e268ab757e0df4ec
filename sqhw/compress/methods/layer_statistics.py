"""Statistics of the layers of a float network on images: Hessians, and the worth of outputs."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sqhw.arrays import Floats32, Floats64
from sqhw.compress.methods.input_sums import BATCH, InputSums
from sqhw.compress.methods.obs import damped
from sqhw.frontends.torch_module.float_module import activated, max_pool, normalise, preactivation
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.walk import run_graph

#: Rounding error of sums in float32, relative to the mean square. Errors of columns add up.
ROUNDING = 2.4e-7
#: Divisor of the logits, so that the outputs of confident networks still have a worth.
TEMPERATURE = 4.0
#: Least worth of an output.
LEAST_WORTH = 1e-12


def input_sums(network: FloatNetwork, images: Tensor) -> list[InputSums]:
    """Return the sums over the inputs of each trained layer of the float network.

    Parameters
    ----------
    network : FloatNetwork
    images : Tensor, shape (images, channels, height, width)
        Raw pixels.
    """
    found: dict[str, InputSums] = {}

    def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
        if layer.trained:
            sums = found.setdefault(layer.name, InputSums.empty(layer))
            sums.add(tensors[layer.source], layer)
        return float_output(layer, tensors)

    for part in torch.split(images, BATCH):
        run_graph(network, normalise(part, network), conv, max_pool)
    return [found[layer.name] for layer in network.convs if layer.trained]


def damped_hessian(sums: InputSums, images: int, damp: float) -> Floats64:
    """Return the damped Hessian of an image, shape (groups, columns, columns).

    The biases take up the part that all positions share. Inputs that never change leave the
    rounding of their sums only, so the damping is no less than that.

    Parameters
    ----------
    sums : InputSums
    images : int
        Number of images in the sums.
    damp : float
        Share of the mean diagonal that is added.
    """
    rounding = ROUNDING * np.trace(sums.second, axis1=1, axis2=2) / images
    return np.stack(
        [
            damped(h / images, damp, least=float(least))
            for h, least in zip(sums.centred(), rounding, strict=True)
        ]
    )


def output_worth(network: FloatNetwork, images: Tensor, seed: int) -> list[Floats64]:
    """Return the mean squared gradient of each output channel of each trained layer.

    The gradients are those of random directions with the covariance of the softmax, as in
    `sqhw.compress.choice.fisher`.

    Parameters
    ----------
    network : FloatNetwork
    images : Tensor, shape (images, channels, height, width)
        Raw pixels.
    seed : int
        Seed of the random directions.
    """
    totals = [np.zeros(len(layer.bias)) for layer in network.convs if layer.trained]
    generator = torch.Generator().manual_seed(seed)
    shifts: list[Tensor] = []

    def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
        if not layer.trained:
            return float_output(layer, tensors)
        y = linear_output(layer, tensors, layer.weight, layer.bias)
        shifts.append(torch.zeros_like(y, requires_grad=True))
        return activated(y + shifts[-1], layer)

    for part in torch.split(images, BATCH):
        shifts.clear()
        x = normalise(part, network)
        logits = run_graph(network, x, conv, max_pool).flatten(1)
        share = torch.softmax(logits.detach() / TEMPERATURE, dim=1)
        noise = share.sqrt() * torch.randn(logits.shape, generator=generator)
        direction = noise - share * noise.sum(1, keepdim=True)
        grads = torch.autograd.grad((direction * logits).sum(), shifts)
        for total, grad in zip(totals, grads, strict=True):
            total += (grad.double() ** 2).mean(dim=(2, 3)).sum(0).numpy()
    return [total / len(images) + LEAST_WORTH for total in totals]


def linear_output(
    layer: FloatConv, tensors: Mapping[str, Tensor], weight: Floats32, bias: Floats32
) -> Tensor:
    """Return a layer's output before its activation function.

    Parameters
    ----------
    layer : FloatConv
    tensors : mapping of str to Tensor
        Earlier tensors by name.
    weight, bias : ndarray of float32
        Parameters to use instead of those of the layer.
    """
    return preactivation(layer, tensors, torch.from_numpy(weight), torch.from_numpy(bias))


def float_output(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the output of a layer of the float network."""
    return activated(linear_output(layer, tensors, layer.weight, layer.bias), layer)
