"""Assembly of the integers of each layer to a checked, simplified `QuantizedNetwork`."""

import numpy as np

from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.integer_layers import IntegerLayer
from sqhw.compress.qat.integers import LayerIntegers
from sqhw.compress.qat.network import QatNetwork
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat, distinct_bytes
from sqhw.machine.stream import Dense
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, Layer, QuantizedNetwork, Residual
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
        Network with its input stage, if it needs one.
    input_format : ActivationFormat
    integers : list of LayerIntegers
        Integers of every layer but those of max pooling.
    engine : EngineConfig
    metadata : dict of str to str
    objective : {"rom", "cycles"}
        Objective of the streams, see `sqhw.compiler.format_choice.cheapest_streams`.
    """
    layers: list[Layer] = []
    rest = iter(integers)
    for layer in network.layers:
        if isinstance(layer, MaxPool):
            layers.append(layer)
        else:
            layers.append(_conv(layer, next(rest)))
    whole = QuantizedNetwork(
        network.name, network.input_shape, input_format, tuple(layers), metadata
    )
    # `_conv` makes dense streams, which suit any number of channels: one choice at the end will do.
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
        table=values.table,
    )


def export(
    model: QatNetwork, engine: EngineConfig, metadata: dict[str, str], *, objective: str = "rom"
) -> QuantizedNetwork:
    """Return the quantized network of the integers that the model computes with."""
    integers = []
    for layer in model.steps:
        if isinstance(layer, QatInput):
            integers.append(layer.integers(engine))
        else:
            assert isinstance(layer, IntegerLayer)
            integers.append(layer.integers())
    return assemble(
        model.network, model.input_format, integers, engine, metadata, objective=objective
    )
