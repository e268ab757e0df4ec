"""From integers of each layer to a checked, simplified `QuantizedNetwork`."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.compress.float_network import FloatConv, FloatMaxPool, FloatNetwork
from sqhw.compress.qat import QatNetwork
from sqhw.compress.streams import cheapest_streams, code_bits
from sqhw.engine import EngineConfig
from sqhw.network import INPUT, Conv, Layer, MaxPool, QuantizedNetwork
from sqhw.number import ActivationFormat
from sqhw.simplify import simplify
from sqhw.stream import StreamFormat


@dataclass(frozen=True, eq=False)
class LayerIntegers:
    """The integers of a layer.

    Parameters
    ----------
    weight : ndarray of int8, shape (out_channels, in_channels, kernel_h, kernel_w)
    bias : ndarray of int32, shape (out_channels,)
    multiplier, shift : int
        Of the requantization, for all channels.
    output : ActivationFormat
    weight_scale, output_scale : float
        Real values of one unit.
    """

    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: int
    shift: int
    output: ActivationFormat
    weight_scale: float = 1.0
    output_scale: float = 1.0


def assemble(
    network: FloatNetwork,
    input_format: ActivationFormat,
    integers: list[LayerIntegers],
    engine: EngineConfig,
    metadata: dict[str, str],
) -> QuantizedNetwork:
    """Return the network of these integers without dead channels, in its cheapest streams."""
    layers: list[Layer] = []
    source = INPUT
    rest = iter(integers)
    for layer in network.layers:
        if isinstance(layer, FloatMaxPool):
            layers.append(MaxPool(layer.name, source, layer.kernel, layer.stride))
        else:
            layers.append(_conv(layer, source, next(rest)))
        source = layer.name
    whole = QuantizedNetwork(
        network.name, network.input_shape, input_format, tuple(layers), metadata
    )
    return cheapest_streams(simplify(cheapest_streams(whole, engine)), engine)


def _conv(layer: FloatConv, source: str, values: LayerIntegers) -> Conv:
    outputs = values.weight.shape[0]
    book = tuple(int(value) for value in np.unique(values.weight))
    return Conv(
        name=layer.name,
        source=source,
        weight=values.weight,
        bias=values.bias,
        multiplier=np.full(outputs, values.multiplier, dtype=np.int32),
        shift=np.full(outputs, values.shift, dtype=np.int32),
        stride=layer.stride,
        padding=layer.padding,
        codebook=book,
        stream=StreamFormat(0, code_bits(len(book))),
        output=values.output,
        weight_scale=np.full(outputs, values.weight_scale),
        output_scale=values.output_scale,
        kind=layer.kind,
    )


def skeleton(
    model: QatNetwork,
    masks: list[npt.NDArray[np.bool_]],
    levels: list[int],
    bias_bits: int,
    engine: EngineConfig,
) -> QuantizedNetwork:
    """Return a network of the same ROM cost as the one to come, or a little more.

    Its weights are the codes of `levels` values in turn, its biases fill `bias_bits` bits.
    """
    integers = []
    for layer, mask, count in zip(model.layers(), masks, levels, strict=True):
        weight = np.zeros(mask.shape, dtype=np.int8)
        weight[mask] = 1 + np.arange(int(mask.sum())) % count
        alive = mask.any(axis=(1, 2, 3)) | layer.last
        bias = np.where(alive, (1 << (bias_bits - 1)) - 1, 0).astype(np.int32)
        output = ActivationFormat(8, signed=not layer.layer.relu)
        integers.append(LayerIntegers(weight, bias, 1, 0, output))
    return assemble(model.network, model.input_format, integers, engine, {})


def export(model: QatNetwork, engine: EngineConfig, metadata: dict[str, str]) -> QuantizedNetwork:
    """Return the integers that the model computes with as a quantized network."""
    integers = []
    for layer in model.layers():
        plan = layer.plan
        assert plan is not None
        weight, bias = layer.integers()
        integers.append(
            LayerIntegers(
                weight,
                bias,
                plan.multiplier,
                plan.shift,
                plan.output,
                plan.weight_scale,
                plan.output_scale,
            )
        )
    return assemble(model.network, model.input_format, integers, engine, metadata)
