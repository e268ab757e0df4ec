"""A small network of every kind of layer, with an engine and a device for it."""

from dataclasses import replace

import numpy as np

from sqhw.cost_models.device import find_device
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.layer_weights import CONSTANT_BITS
from sqhw.cost_models.technology import load_technology
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual

U8 = ActivationFormat(8, signed=False)
ENGINE = EngineConfig(
    lanes=16, bank_depth=2048, requantizers=4, max_batch=2, groups=True, residuals=True
)
DEVICE = find_device("iCE40UP5K")


def conv(name, source, shape, **changes):
    """Return a layer whose constants take `CONSTANT_BITS` bits a channel."""
    outputs = shape[0]
    layer = Conv(
        name=name,
        source=source,
        weight=np.ones(shape, dtype=np.int8),
        bias=np.full(outputs, (1 << (CONSTANT_BITS - 1)) - 1, dtype=np.int32),
        multiplier=np.ones(outputs, dtype=np.int32),
        shift=np.zeros(outputs, dtype=np.int32),
        stride=1,
        padding=(1, 1, 1, 1),
        codebook=(1,),
        stream=Dense(1),
        output=U8,
        weight_scale=np.ones(outputs),
        output_scale=1.0,
    )
    return replace(layer, **changes)


def network():
    average = conv("average", "last", (10, 1, 4, 4), groups=10, padding=(0,) * 4, stream=Dense())
    return QuantizedNetwork(
        "net",
        (3, 9, 9),
        U8,
        (
            conv("first", "input", (16, 3, 3, 3)),
            conv("depth", "first", (16, 1, 3, 3), groups=16),
            conv("added", "depth", (20, 16, 3, 3), residual=Residual("first", 3, first=2)),
            MaxPool("pool", "added", 2, 2),
            conv("last", "pool", (10, 20, 1, 1), padding=(0,) * 4),
            average,
        ),
    )


def prices(engine, depths):
    return EnergyPrices(load_technology(), engine, depths)


def bottlenecks():
    """Return two residual blocks whose maps are read by a 1x1 layer and with stride 2."""
    rng = np.random.default_rng(1)

    def made(name, source, outputs, inputs, kernel, stride=1, residual=None):
        return conv(
            name,
            source,
            (outputs, inputs, kernel, kernel),
            weight=rng.integers(-1, 2, (outputs, inputs, kernel, kernel)).astype(np.int8),
            bias=rng.integers(-99, 100, outputs).astype(np.int32),
            shift=np.full(outputs, 2, dtype=np.int32),
            stride=stride,
            padding=(kernel // 2,) * 4,
            codebook=(-1, 0, 1),
            stream=Dense(2),
            residual=residual,
        )

    return QuantizedNetwork(
        "bottlenecks",
        (3, 11, 13),
        U8,
        (
            made("stem", "input", 4, 3, 3),
            made("a1", "stem", 3, 4, 1),
            made("a2", "a1", 3, 3, 3, 2),
            made("a_short", "stem", 6, 4, 1, 2),
            made("a3", "a2", 6, 3, 1, residual=Residual("a_short", 1)),
            made("b0", "a3", 2, 6, 1),
            made("b1", "b0", 3, 2, 1),
            made("b2", "b1", 3, 3, 3, 2),
            made("b_short", "a3", 4, 6, 1, 2),
            made("b3", "b2", 4, 3, 1, residual=Residual("b_short", 2)),
        ),
    )
