"""Equalised channel ranges: scales that a float network can move from one layer to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.arrays import Floats64
from sqhw.compress.qat.integers import WEIGHT_TOP
from sqhw.frontends.torch_module.float_module import (
    activated,
    max_pool,
    normalise,
    preactivation,
)
from sqhw.network.floats import FloatConv, FloatLayer, FloatNetwork
from sqhw.network.graph import MaxPool
from sqhw.network.walk import run_graph

#: Range of a channel, relative to the layer's largest, below which it is scaled up no further. The
#: images hardly excite such a channel, so its range on other images is unknown.
LEAST_RANGE = 1e-4
#: Share of the power of an output below which an input channel counts as nothing: 40 dB.
NOTHING = 1e-4
#: Range, relative to the largest, from which a channel is not scaled. Other images may excite a
#: channel more than the measured ones, and must not be clipped.
FAIR_RANGE = 0.25


@dataclass(frozen=True, eq=False)
class MapFacts:
    """Statistics of each channel of a map on images; arrays of the shape (channels,).

    Parameters
    ----------
    largest : ndarray of float64
        Largest magnitude.
    power : ndarray of float64
        Mean square.
    variance : ndarray of float64
        Variance of the map before its activation function.
    """

    largest: Floats64
    power: Floats64
    variance: Floats64


def equalised(network: FloatNetwork, facts: Mapping[str, MapFacts]) -> FloatNetwork:
    """Return an equal network in whose maps channels of a small range keep their signal.

    A map has 8 bits and one scale, so a channel of a small range would have few of the bits. A
    positive factor passes through a ReLU and through poolings. So the rows of the weights before
    the map are divided by the range of their channel, and the columns after it are multiplied by
    it. Every output stays the same (Nagel et al., ICCV 2019, section 4.1, on ranges of
    activations). Ranges of at least `FAIR_RANGE` of the largest are not changed. Maps that a skip
    connection reads or adds to, maps with a ceiling or a table, and the network's input and output
    keep their scales.

    Parameters
    ----------
    network : FloatNetwork
    facts : mapping of str to MapFacts
        Facts of every map of the network.

    Returns
    -------
    FloatNetwork
        The same object if no channel has a small range.
    """
    scales: dict[str, Floats64] = {}
    for layer in network.layers:
        if isinstance(layer, FloatConv) and layer.trained and _can_scale(layer):
            largest = facts[layer.name].largest
            if largest.max() > 0 and _readers(network, layer):
                share = largest / largest.max()
                share = np.where(share > 0, share, share[share > 0].min())  # of a silent one
                factors = np.clip(share / FAIR_RANGE, LEAST_RANGE, 1.0)
                if factors.min() < 1.0:
                    scales[layer.name] = factors
    return replace(network, layers=_scaled(network, scales)) if scales else network


def map_facts(network: FloatNetwork, pixels: Tensor) -> dict[str, MapFacts]:
    """Return the statistics of every map on images.

    Parameters
    ----------
    network : FloatNetwork
    pixels : Tensor, shape (images, channels, height, width)
        Raw pixels.
    """
    facts: dict[str, MapFacts] = {}

    def noted(layer: FloatLayer, before: Tensor, y: Tensor) -> Tensor:
        facts[layer.name] = MapFacts(
            y.abs().amax(dim=(0, 2, 3)).double().numpy(),
            y.double().pow(2).mean(dim=(0, 2, 3)).numpy(),
            before.double().var(dim=(0, 2, 3), correction=0).numpy(),
        )
        return y

    def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
        weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
        before = preactivation(layer, tensors, weight, bias)
        return noted(layer, before, activated(before, layer))

    def pool(layer: MaxPool, x: Tensor) -> Tensor:
        y = max_pool(layer, x)
        return noted(layer, y, y)

    with torch.no_grad():
        run_graph(network, normalise(pixels, network), conv, pool)
    return facts


def telling_channels(
    network: FloatNetwork, facts: Mapping[str, MapFacts]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which channels of each trained layer's map carry information downstream.

    The others have less than `NOTHING` of the power of every output that they contribute to. Weight
    decay leaves many of them. With scales of their own their tiny weights would be stored. All
    channels of the network's output and of maps that skip connections read carry information.

    Parameters
    ----------
    network : FloatNetwork
    facts : mapping of str to MapFacts
        Facts of every map of the network.

    Returns
    -------
    dict of str to ndarray of bool, shape (out_channels,)
    """
    telling: dict[str, npt.NDArray[np.bool_]] = {}
    for layer in reversed(network.layers):
        if isinstance(layer, MaxPool) or not layer.trained:
            continue
        readers = _readers(network, layer)
        found = np.full(len(layer.bias), not readers)
        for reader in readers:
            energy = (reader.weight.astype(np.float64) ** 2).sum(axis=(2, 3))
            places = _places(reader)
            power = energy * facts[reader.source].power[places]
            tells = power > NOTHING * facts[reader.name].variance[:, None]
            found[places[tells & telling[reader.name][:, None]]] = True
        telling[layer.name] = found
    return telling


def worth_keeping(
    network: FloatNetwork, telling: Mapping[str, npt.NDArray[np.bool_]]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the mask of the weights of each trained layer that may be stored.

    These weights have at least half of an 8-bit step of their layer, or they lead from a channel
    that carries information to another. The latter may be small because the whole channel is, and
    then a scale of its own saves them.

    Parameters
    ----------
    network : FloatNetwork
        Network before `equalised`.
    telling : mapping of str to ndarray of bool
        Channels that carry information (`telling_channels`).

    Returns
    -------
    dict of str to ndarray of bool, shape of the weights
    """
    told = dict(telling)  # also after poolings
    found = {}
    for layer in network.layers:
        before = told.get(layer.source, np.ones(0, dtype=bool))
        if isinstance(layer, MaxPool) or not layer.trained:
            told[layer.name] = before
            continue
        size = np.abs(layer.weight)
        large = size >= size.max() / (2 * WEIGHT_TOP)
        rows = telling[layer.name][:, None]
        between = rows & before[_places(layer)] if before.size else rows
        found[layer.name] = large | between[:, :, None, None]
    return found


def _can_scale(layer: FloatConv) -> bool:
    """Return whether a factor passes through the operations after a layer's weights."""
    return layer.residual is None and layer.ceiling is None and layer.activation is None


def _readers(network: FloatNetwork, layer: FloatConv) -> list[FloatConv]:
    """Return the trained layers that read a map, directly or through poolings.

    The list is empty if anything else reads the map: a skip connection, the network's output, or a
    pooling with a ceiling or a skip connection of its own.
    """
    found: list[FloatConv] = []
    waiting = [layer.name]
    while waiting:
        name = waiting.pop()
        readers = network.readers(name)
        if not readers:
            return []  # the network's output
        for reader in readers:
            if isinstance(reader, MaxPool):
                waiting.append(reader.name)
            elif reader.residual is not None and reader.residual.source == name:
                return []
            elif reader.trained:
                found.append(reader)
            elif not _can_scale(reader):
                return []
            else:
                waiting.append(reader.name)
    return found


def _scaled(network: FloatNetwork, scales: Mapping[str, Floats64]) -> tuple[FloatLayer, ...]:
    """Return the layers with rows divided and columns multiplied by the scales of their maps."""
    carried = dict(scales)  # also after poolings
    layers: list[FloatLayer] = []
    for layer in network.layers:
        before = carried.get(layer.source)
        if isinstance(layer, MaxPool) or not layer.trained:
            if before is not None:
                carried[layer.name] = before
            layers.append(layer)
            continue
        weight, bias = layer.weight.astype(np.float64), layer.bias.astype(np.float64)
        if before is not None:
            weight = weight * before[_places(layer)][:, :, None, None]
        if layer.name in scales:
            rows = scales[layer.name]
            weight, bias = weight / rows[:, None, None, None], bias / rows
        layers.append(
            replace(layer, weight=weight.astype(np.float32), bias=bias.astype(np.float32))
        )
    return tuple(layers)


def _places(layer: FloatConv) -> npt.NDArray[np.int64]:
    """Return the channels that each output channel reads, shape (out_channels, in / groups)."""
    outputs, inputs = layer.weight.shape[:2]
    group = np.arange(outputs) * layer.groups // outputs
    return np.asarray(group[:, None] * inputs + np.arange(inputs), dtype=np.int64)
