"""Bias correction: each channel's bias takes up its mean error, which is measured on images."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sqhw.compress.qat.convolution import QatConv
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.layer import QatLayer
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.training.samples import channels_last
from sqhw.frontends.torch_module.float_module import Pair, activated, max_pool_pair, preactivation
from sqhw.network.floats import FloatConv
from sqhw.network.walk import run_graph


def correct_biases(model: QatNetwork, pixels: Tensor) -> None:
    """Change the biases so that each channel's mean before its ReLU is that of the float network.

    The layers are corrected from first to last. Each gets its inputs from the corrected layers
    before it, as in Nagel et al. (2019, section 4.2, with data). Channels that are not stored have
    no bias and keep their error.

    Parameters
    ----------
    model : QatNetwork
        Projected network, on real activations.
    pixels : Tensor, shape (images, channels, height, width)
        Raw pixels.
    """

    def conv(layer: FloatConv, pairs: Mapping[str, Pair]) -> Pair:
        step = model.step(layer)
        real, ours = ({name: pair[at] for name, pair in pairs.items()} for at in (0, 1))
        if isinstance(step, QatInput):
            return step(real[layer.source]), step(ours[layer.source])
        assert isinstance(step, QatLayer)
        before, after = _linear(step, real, projected=False), _linear(step, ours, projected=True)
        if isinstance(step, QatConv):
            error = (before - after).mean(dim=(0, 2, 3)) * step.alive()
            step.bias.add_(error)
            after = after + error.view(1, -1, 1, 1)
        return activated(before, layer), activated(after, layer)

    real = channels_last(pixels) * model.in_scale
    with torch.no_grad():
        run_graph(model.network, (real, real), conv, max_pool_pair)


def _linear(step: QatLayer, tensors: Mapping[str, Tensor], projected: bool) -> Tensor:
    """Return a layer's output before its activation function."""
    if projected or not isinstance(step, QatConv):
        weight = step.real_weight()
        bias = step.real_bias(weight)
    else:
        weight = step.float_weight()
        bias = step.full_bias(weight)
    return preactivation(step.layer, tensors, weight, bias)
