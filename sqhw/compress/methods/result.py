"""Result of a compression method, and its conversion to the integers of the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sqhw.arrays import Floats32
from sqhw.compiler.format_choice import least_stream_bits
from sqhw.compress.calibration.bias_correction import correct_biases
from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.convolution import LearningConv
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.integers import BIAS_BITS, GAIN_BITS, held_gain_bits
from sqhw.compress.qat.network import QatNetwork
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.quantized import QuantizedNetwork
from sqhw.size.layer_result import LayerResult

#: Largest number of values besides zero: 8-bit codes name 256.
MOST_LEVELS = 255


@dataclass(frozen=True, eq=False)
class CompressionResult:
    """A compressed network with its options, accuracy and sizes.

    Parameters
    ----------
    method : str
        Name of the method.
    options : dict
        The method's configuration as plain data.
    original, network : FloatNetwork
        Network before compression, and after it: on its codebooks, with the final topology.
    layers : tuple of LayerResult
        Results of the trained layers of `network`.
    validation_accuracy : float
        Accuracy of `network` with real activations. For method ``joint``, whose network is of
        integers, that of `quantized`.
    history : list of dict
        Facts of each epoch.
    quantized : QuantizedNetwork or None
        Integers of the engine, with quantized activations.
    reason : str
        Reason why `quantized` is None; empty if it is not.
    own_bits : dict of str to dict of str to int
        Sizes of each layer in the method's own coding: ``codes``, ``positions`` and ``tables``
        (unit: bit). Empty for methods without one.
    tables : dict
        Further figures of the method, as plain data.
    notes : tuple of str
        Notes for the user, for example on layers that were kept from being emptied.
    factors : dict of str to ndarray of float32, shape (out_channels,)
        Factors of the channels of layers that were normalised while they learned: `network` has
        the weights of `layers` times them.
    """

    method: str
    options: dict[str, Any]
    original: FloatNetwork
    network: FloatNetwork
    layers: tuple[LayerResult, ...]
    validation_accuracy: float
    history: list[dict[str, Any]] = field(default_factory=list)
    quantized: QuantizedNetwork | None = None
    reason: str = ""
    own_bits: dict[str, dict[str, int]] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    factors: dict[str, Floats32] = field(default_factory=dict)


def channel_factors(network: FloatNetwork, factors: Sequence[Floats32]) -> dict[str, Floats32]:
    """Return the factors of channels by the layer's name, of layers that have other than 1.

    Parameters
    ----------
    network : FloatNetwork
    factors : sequence of ndarray of float32, shape (out_channels,)
        Factors of each trained layer.
    """
    trained = (layer.name for layer in network.convs if layer.trained)
    pairs = zip(trained, factors, strict=True)
    return {name: factor for name, factor in pairs if (factor != 1).any()}


def layer_results(original: FloatNetwork, network: FloatNetwork) -> tuple[LayerResult, ...]:
    """Return the layers of a compressed network.

    A layer that the original does not have, for example of a factorisation, had no weights before.
    """
    before = {layer.name: layer.weight.size for layer in original.convs}
    return tuple(
        LayerResult(layer.name, layer.weight, before.get(layer.name, 0))
        for layer in network.convs
        if layer.trained
    )


def stream_bits(layer: LayerResult, engine: EngineConfig) -> int:
    """Return the size of a layer's weights when exported, if its values were integers (unit: bit).

    See `sqhw.compiler.format_choice.least_stream_bits`.
    """
    return least_stream_bits(layer.mask, len(layer.levels), engine)


def integer_network(
    network: FloatNetwork,
    images: npt.NDArray[Any],
    engine: EngineConfig,
    metadata: dict[str, str],
    *,
    bias_bits: int = BIAS_BITS,
    trained: bool = False,
    factors: Mapping[str, Floats32] | None = None,
) -> QuantizedNetwork:
    """Return the integers of a network whose weights lie on codebooks.

    Values become signed 8-bit integers with one scale for each layer. Weights go whose value is
    nearest to the integer 0. Activations and biases are quantized as in `sqhw.compress.quantize`.

    Parameters
    ----------
    network : FloatNetwork
    images : ndarray of int, shape (images, channels, height, width)
        Raw pixels to calibrate on.
    engine : EngineConfig
    metadata : dict of str to str
        Further metadata of the network.
    bias_bits : int
        Largest width of a bias (unit: bit).
    trained : bool
        Whether the integers will be trained; see `sqhw.compress.calibration.calibrate.calibrate`.
    factors : mapping of str to ndarray of float32, shape (out_channels,), optional
        Factors of the channels of layers, by which the weights are still to be multiplied. Where
        they differ they become gains.

    Raises
    ------
    SqhwError
        If a layer has more values than 8-bit codes name, or the engine cannot run the network.
    """
    model = QatNetwork(network)
    for layer in model.learning_layers():
        factor = (factors or {}).get(layer.layer.name)
        if factor is not None:
            _take_factor(layer, factor, engine)
        weight = layer.weight.detach().numpy()
        kept = weight != 0
        book = np.unique(weight[kept]).astype(np.float64)
        if len(book) > MOST_LEVELS:
            raise SqhwError(
                f"layer {layer.layer.name!r} has {len(book)} distinct values, the engine's "
                f"codebooks hold {MOST_LEVELS} besides zero; take fewer bits"
            )
        layer.set_projection(kept, book if len(book) else np.ones(1))
        layer.may_vanish = True
        layer.freeze()
    pixels = torch.from_numpy(np.asarray(images).astype(np.float32))
    calibrate(model, pixels, engine, bias_bits, trained=trained)
    # A rounded value moves all of its weights in one direction. The biases take that up.
    for step in model.steps:
        if isinstance(step, QatInput):
            step.whole = None
    correct_biases(model, pixels)
    calibrate(model, pixels, engine, bias_bits, trained=trained)
    return export(model, engine, {**network.metadata, **network.size_labels, **metadata})


@torch.no_grad()
def _take_factor(layer: LearningConv, factor: Floats32, engine: EngineConfig) -> None:
    """Multiply a layer by the factors of its channels: by the largest, and by gains."""
    most = float(factor.max())
    layer.weight.mul_(most)
    if (factor != factor[0]).any():
        layer.gain_bits = held_gain_bits(GAIN_BITS, engine)
        layer.gain.copy_(torch.from_numpy(factor / most))


def with_integers(
    result: CompressionResult,
    images: npt.NDArray[Any],
    engine: EngineConfig,
    metadata: dict[str, str],
    *,
    threads: int = 1,
) -> CompressionResult:
    """Return the result with its integers, or with the reason why it has none."""
    labels = result.original.size_labels | metadata
    codes = {layer.name: layer.weight for layer in result.layers}
    layers = tuple(
        replace(layer, weight=codes[layer.name])
        if isinstance(layer, FloatConv) and layer.name in result.factors
        else layer
        for layer in result.network.layers
    )
    network = replace(result.network, layers=layers)
    try:
        with torch_threads(threads):
            found = integer_network(network, images, engine, labels, factors=result.factors)
    except SqhwError as error:
        return replace(result, reason=str(error))
    return replace(result, quantized=found)


def dequantized(original: FloatNetwork, quantized: QuantizedNetwork) -> tuple[LayerResult, ...]:
    """Return the layers of a quantized network in real units.

    Parameters
    ----------
    original : FloatNetwork
        Network before compression.
    quantized : QuantizedNetwork
        Quantized network made from it. Layers may have lost channels.
    """
    before = {
        layer.name: layer.weight.size
        for layer in original.convs
        if isinstance(layer, FloatConv) and layer.trained
    }
    return tuple(
        LayerResult(
            layer.name,
            (layer.weight * layer.weight_scale[:, None, None, None]).astype(np.float32),
            before[layer.name],
        )
        for layer in quantized.convs
        if layer.name in before
    )
