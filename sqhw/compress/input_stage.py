"""Normalised pixels as a layer, for networks whose normalisation cannot be folded exactly.

A mean can be folded into the bias of the layer that reads the pixels only where that layer has no
padding: a padded zero is a zero of the *normalised* image. Elsewhere a depthwise 1x1 convolution
makes signed 8-bit normalised pixels with one scale for all channels. Its rounding is half a step of
1/127 of the largest normalised value, about that of the pixels themselves.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from sqhw.compress.float_network import FloatConv, FloatLayer, FloatMaxPool, FloatNetwork
from sqhw.compress.integers import WEIGHT_TOP, LayerIntegers, acc_limit
from sqhw.compress.requantize import dyadic, requantize
from sqhw.engine import EngineConfig
from sqhw.network import INPUT
from sqhw.number import ActivationFormat

NAME = "normalised"
OUTPUT = ActivationFormat(8, signed=True)


@dataclass(frozen=True, eq=False)
class NormaliseConv(FloatConv):
    """The depthwise 1x1 convolution that normalises pixels; its weights are no parameters."""

    @property
    def trained(self) -> bool:
        """Always false."""
        return False


def pixel_tensors(network: FloatNetwork) -> set[str]:
    """Return the network's input and the tensors that are pooled maxima of it."""
    found = {INPUT}
    for layer in network.layers:
        if isinstance(layer, FloatMaxPool) and layer.source in found:
            found.add(layer.name)
    return found


def with_input_stage(network: FloatNetwork) -> FloatNetwork:
    """Return the network with its normalisation as a layer, if that cannot be folded.

    Parameters
    ----------
    network : FloatNetwork

    Returns
    -------
    FloatNetwork
        `network` itself if the layers that read its pixels can take the normalisation; else the
        same function with mean 0, standard deviation 1 and one layer more.
    """
    if _foldable(network):
        return network
    name = NAME
    while any(layer.name == name for layer in network.layers):
        name += "_"
    channels = network.input_shape[0]
    mean = np.broadcast_to(np.array(network.mean), (channels,))
    std = np.broadcast_to(np.array(network.std), (channels,))
    first = NormaliseConv(
        name=name,
        source=INPUT,
        weight=(1 / std).astype(np.float32).reshape(channels, 1, 1, 1),
        bias=(-mean / std).astype(np.float32),
        groups=channels,
    )
    rest = tuple(_reading(layer, name) for layer in network.layers)
    return replace(network, mean=(0.0,), std=(1.0,), layers=(first, *rest))


def folds_into_convs(network: FloatNetwork) -> bool:
    """Return whether trained convolutions alone read the pixels, so that they can scale them."""
    pixels = pixel_tensors(network)
    for layer in network.convs:
        if layer.residual and layer.residual.source in pixels:
            return False
        if layer.source in pixels and not layer.trained:
            return False
    return network.layers[-1].name not in pixels


def _foldable(network: FloatNetwork) -> bool:
    if not any(network.mean) and len(set(network.std)) == 1:
        return True
    if not folds_into_convs(network):
        return False
    pixels = pixel_tensors(network)
    return not any(
        layer.groups > 1 or (any(network.mean) and any(layer.padding))
        for layer in network.convs
        if layer.source in pixels
    )


def _reading(layer: FloatLayer, name: str) -> FloatLayer:
    """Return the layer with `name` in place of the network's input."""
    if isinstance(layer, FloatConv) and layer.residual and layer.residual.source == INPUT:
        layer = replace(layer, residual=replace(layer.residual, source=name))
    return replace(layer, source=name) if layer.source == INPUT else layer


class QatInput(nn.Module):
    """The input stage: real numbers, or integers once it has its constants."""

    def __init__(self, layer: NormaliseConv, input_max: int) -> None:
        super().__init__()
        self.layer = layer
        self.gain = layer.weight.reshape(-1).astype(np.float64)
        self.offset = layer.bias.astype(np.float64)
        self.input_max = input_max
        ends = np.stack((self.offset, self.gain + self.offset))
        self.output_scale = float(np.abs(ends).max()) / OUTPUT.hi
        self.whole: LayerIntegers | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return normalised pixels of ``pixel / input_max``, or integers of whole pixels."""
        if self.whole is None:
            gain, offset = (
                torch.from_numpy(v).float().to(x.device) for v in (self.gain, self.offset)
            )
            return x * gain.view(1, -1, 1, 1) + offset.view(1, -1, 1, 1)
        values = self.whole
        weight, bias, multiplier, shift = (
            torch.from_numpy(np.asarray(value).astype(np.int64)).view(1, -1, 1, 1).to(x.device)
            for value in (values.weight, values.bias, values.multiplier, values.shift)
        )
        acc = x.double() * weight + bias
        return requantize(acc, multiplier, shift, OUTPUT.lo, OUTPUT.hi)

    def integers(self, engine: EngineConfig) -> LayerIntegers:
        """Return the stage's constants on an engine; they depend on nothing that is trained."""
        limit = acc_limit(engine)
        # Largest weight whose accumulators fit: bias = offset / gain pixels, at most a few times
        # the range of the pixels.
        reach = self.input_max * (1 + float(np.abs(self.offset / self.gain).max())) + 1
        weight = max(1, min(WEIGHT_TOP, math.floor(limit / reach)))
        bias = np.round(self.offset / self.gain * self.input_max * weight)
        constants = [
            dyadic(float(gain) / (self.input_max * weight * self.output_scale), engine.mult_bits)
            for gain in self.gain
        ]
        return LayerIntegers(
            weight=np.full(self.layer.weight.shape, weight, dtype=np.int8),
            bias=bias.astype(np.int32),
            multiplier=np.array([m for m, _ in constants]),
            shift=np.array([s for _, s in constants]),
            output=OUTPUT,
            weight_scale=self.gain / weight,
            output_scale=self.output_scale,
        )
