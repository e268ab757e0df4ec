"""From integers of each layer to a checked, simplified `QuantizedNetwork`."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.integers import WEIGHT_TOP, LayerIntegers
from sqhw.compress.qat.layers import QatConv, QatLayer
from sqhw.compress.qat.network import QatNetwork
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat, distinct_bytes
from sqhw.machine.stream import Dense
from sqhw.network.floats import FloatConv, FloatMaxPool, FloatNetwork
from sqhw.network.quantized import Conv, Layer, MaxPool, QuantizedNetwork, Residual
from sqhw.network.simplify import simplify


def assemble(
    network: FloatNetwork,
    input_format: ActivationFormat,
    integers: list[LayerIntegers],
    engine: EngineConfig,
    metadata: dict[str, str],
    *,
    objective: str = "rom",
) -> QuantizedNetwork:
    """Return the network of these integers without dead channels, in its cheapest streams.

    Parameters
    ----------
    network : FloatNetwork
        With its input stage, if it needs one.
    input_format : ActivationFormat
    integers : list of LayerIntegers
        Of every layer that is no pooling maximum.
    engine : EngineConfig
    metadata : dict of str to str
    objective : {"rom", "cycles"}
        See `sqhw.compiler.format_choice.cheapest_streams`.
    """
    layers: list[Layer] = []
    rest = iter(integers)
    for layer in network.layers:
        if isinstance(layer, FloatMaxPool):
            layers.append(MaxPool(layer.name, layer.source, layer.kernel, layer.stride))
        else:
            layers.append(_conv(layer, next(rest)))
    whole = QuantizedNetwork(
        network.name, network.input_shape, input_format, tuple(layers), metadata
    )
    # Dense streams, which `_conv` makes, suit any number of channels: one choice behind will do.
    return cheapest_streams(simplify(whole), engine, objective)


def _conv(layer: FloatConv, values: LayerIntegers) -> Conv:
    outputs = values.weight.shape[0]
    book = tuple(int(value) for value in distinct_bytes(values.weight))
    skip = layer.residual
    return Conv(
        name=layer.name,
        source=layer.source,
        weight=values.weight,
        bias=values.bias,
        multiplier=np.broadcast_to(values.multiplier, outputs).astype(np.int32),
        shift=np.broadcast_to(values.shift, outputs).astype(np.int32),
        stride=layer.stride,
        padding=layer.padding,
        codebook=book,
        stream=Dense().coded(len(book)) if layer.trained else Dense(),
        output=values.output,
        weight_scale=np.broadcast_to(values.weight_scale, outputs).astype(np.float64),
        output_scale=values.output_scale,
        kind=layer.kind,
        groups=layer.groups,
        residual=None
        if skip is None
        else Residual(skip.source, values.residual_weight, skip.stride, skip.first),
    )


def skeleton(
    model: QatNetwork,
    masks: list[npt.NDArray[np.bool_]],
    levels: list[int],
    bias_bits: int,
    engine: EngineConfig,
) -> QuantizedNetwork:
    """Return a network of the same cost as the one to come, or a little more.

    Its weights are `levels` values in turn, the widest that there are, its biases fill `bias_bits`
    bits. Masks and levels are those of ``model.layers()``.
    """
    integers = []
    gain_bits: dict[str, int] = {}
    chosen = iter(zip(masks, levels, strict=True))
    for layer in model.steps:
        if isinstance(layer, QatInput):
            integers.append(layer.integers(engine))
            continue
        assert isinstance(layer, QatLayer)
        outputs = layer.layer.weight.shape[0]
        alive: npt.NDArray[np.bool_] = np.zeros(outputs, dtype=bool)
        if isinstance(layer, QatConv):
            mask, count = next(chosen)
            gain_bits[layer.layer.name] = layer.gain_bits
            weight = np.zeros(mask.shape, dtype=np.int8)
            places = np.flatnonzero(mask)
            weight.reshape(-1)[places] = WEIGHT_TOP - np.arange(len(places)) % count
            alive = np.logical_or(mask.any(axis=(1, 2, 3)), layer.pinned)
        else:
            weight = np.ones(layer.layer.weight.shape, dtype=np.int8)
        bias = np.where(alive, (1 << (bias_bits - 1)) - 1, 0).astype(np.int32)
        output = ActivationFormat(8, signed=not layer.layer.relu)
        integers.append(LayerIntegers(weight, bias, 1, 0, output))
    found = assemble(model.network, model.input_format, integers, engine, {})
    layers = tuple(
        _with_gains(layer, gain_bits.get(layer.name, 0)) if isinstance(layer, Conv) else layer
        for layer in found.layers
    )
    return replace(found, layers=layers)


def _with_gains(layer: Conv, bits: int) -> Conv:
    """Return a layer whose multipliers take so many bits of a record."""
    if not bits:
        return layer
    multiplier = np.where(np.arange(len(layer.multiplier)) % 2, 1 << bits, 1).astype(np.int32)
    return replace(layer, multiplier=multiplier)


def export(
    model: QatNetwork, engine: EngineConfig, metadata: dict[str, str], *, objective: str = "rom"
) -> QuantizedNetwork:
    """Return the integers that the model computes with as a quantized network."""
    integers = []
    for layer in model.steps:
        if isinstance(layer, QatInput):
            integers.append(layer.integers(engine))
        else:
            assert isinstance(layer, QatLayer)
            integers.append(layer.integers())
    return assemble(
        model.network, model.input_format, integers, engine, metadata, objective=objective
    )
