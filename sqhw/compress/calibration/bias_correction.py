"""Bias correction: the mean error of each channel, measured on images, goes into its bias."""

import torch
from torch import Tensor
from torch.nn import functional

from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.layers import QatConv, QatLayer
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.training.samples import channels_last
from sqhw.frontends.torch_module.float_module import activated, padded_conv, with_residual
from sqhw.network.floats import FloatMaxPool
from sqhw.network.quantized import INPUT


def correct_biases(model: QatNetwork, pixels: Tensor) -> None:
    """Change the biases so that each channel's mean before its ReLU is that of the float network.

    First layer to last, each on inputs from the corrected layers before it, as Nagel et al. (2019,
    section 4.2) do with data. Channels that are not stored have no bias and keep their error.

    Parameters
    ----------
    model : QatNetwork
        Projected, on real activations.
    pixels : Tensor, shape (images, channels, height, width)
        Raw.
    """
    network = model.network
    last = {tensor: index for index, layer in enumerate(network.layers) for tensor in layer.sources}
    real = {INPUT: channels_last(pixels) * model.in_scale}
    ours = dict(real)
    with torch.no_grad():
        for index, layer in enumerate(network.layers):
            for tensors in (real, ours):
                x = tensors[layer.source]
                if isinstance(layer, FloatMaxPool):
                    y = functional.max_pool2d(x, layer.kernel, layer.stride)
                else:
                    step = model.step(layer)
                    if isinstance(step, QatInput):
                        y = step(x)
                    else:
                        assert isinstance(step, QatLayer)
                        y = _linear(step, tensors, projected=tensors is ours)
                tensors[layer.name] = y
            if not isinstance(layer, FloatMaxPool):
                step = model.step(layer)
                if isinstance(step, QatConv):
                    error = (real[layer.name] - ours[layer.name]).mean(dim=(0, 2, 3))
                    error = error * step.alive()
                    step.bias.add_(error)
                    ours[layer.name] = ours[layer.name] + error.view(1, -1, 1, 1)
                for tensors in (real, ours):
                    tensors[layer.name] = activated(tensors[layer.name], layer)
            for tensor in set(layer.sources):
                if last[tensor] == index:
                    del real[tensor], ours[tensor]


def _linear(step: QatLayer, tensors: dict[str, Tensor], projected: bool) -> Tensor:
    """Return a layer's output before its activation function."""
    layer = step.layer
    if projected or not isinstance(step, QatConv):
        weight = step.real_weight()
        bias = step.real_bias(weight)
    else:
        weight = step.float_weight()
        bias = step.full_bias(weight)
    y = padded_conv(tensors[layer.source], weight, bias, layer)
    return with_residual(y, layer.residual, tensors)
