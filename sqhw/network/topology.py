"""What a float network will look like on the engine, before it has integers."""

import numpy as np

from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import StreamFormat
from sqhw.network.floats import FloatMaxPool, FloatNetwork
from sqhw.network.quantized import Conv, Layer, MaxPool, QuantizedNetwork, Residual


def topology(network: FloatNetwork) -> QuantizedNetwork:
    """Return a quantized network of the same layers whose weights are all 1.

    Memory plans, strides, pinned channels and which layers have a weight stream follow from it; its
    numbers mean nothing.

    Parameters
    ----------
    network : FloatNetwork
        With its input stage, if it needs one (`sqhw.network.input_stage`).
    """
    one = np.ones(1, dtype=np.int8)
    layers: list[Layer] = []
    for layer in network.layers:
        if isinstance(layer, FloatMaxPool):
            layers.append(MaxPool(layer.name, layer.source, layer.kernel, layer.stride))
            continue
        outputs = layer.weight.shape[0]
        skip = layer.residual
        layers.append(
            Conv(
                name=layer.name,
                source=layer.source,
                weight=np.broadcast_to(one, layer.weight.shape),
                bias=np.zeros(outputs, dtype=np.int32),
                multiplier=np.ones(outputs, dtype=np.int32),
                shift=np.zeros(outputs, dtype=np.int32),
                stride=layer.stride,
                padding=layer.padding,
                codebook=(1,),
                stream=StreamFormat(0, int(layer.trained)),
                output=ActivationFormat(8, signed=not layer.relu),
                weight_scale=np.ones(outputs),
                output_scale=1.0,
                kind=layer.kind,
                groups=layer.groups,
                residual=Residual(skip.source, 1, skip.stride, skip.first) if skip else None,
            )
        )
    pixels = ActivationFormat(max(2, network.input_max.bit_length()), signed=False)
    return QuantizedNetwork(network.name, network.input_shape, pixels, tuple(layers))
