"""Normalised pixels as a layer, for networks whose normalisation cannot be folded exactly.

A mean can be folded into the bias of the layer that reads the pixels only where that layer has no
padding: a padded zero is a zero of the *normalised* image. Elsewhere a depthwise 1x1 convolution
makes signed 8-bit normalised pixels with one scale for all channels. Its rounding error is half of
1/127 of the largest normalised value, about that of the pixels themselves.
"""

from dataclasses import dataclass, replace

import numpy as np

from sqhw.network.floats import FloatConv, FloatLayer, FloatNetwork
from sqhw.network.graph import INPUT, MaxPool

NAME = "normalised"


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
        if isinstance(layer, MaxPool) and layer.source in found:
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
        `network` itself if the layers that read its pixels can take the normalisation. Otherwise a
        network of the same function with mean 0, standard deviation 1 and one layer more.
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
