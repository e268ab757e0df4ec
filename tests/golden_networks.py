"""The two networks of the golden files, which must never change."""

import numpy as np

from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Gap
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual

U8, S8 = ActivationFormat(8, signed=False), ActivationFormat(8, signed=True)
LINEAR = {"padding": (0, 0, 0, 0), "output": S8, "kind": "linear"}
BOOK = np.array([-60, -20, 20, 60], dtype=np.int8)

#: Engines that the golden ROM images are written for.
ENGINES = {
    "chain": EngineConfig(lanes=8),
    "residual": EngineConfig(
        lanes=16, requantizers=4, bank_depth=1024, taps_per_entry=2, residuals=True, groups=True
    ),
}


def golden_networks() -> dict[str, QuantizedNetwork]:
    """Return a network of two layers and one with a skip connection, by name."""
    return {"chain": _chain(), "residual": _residual()}


def golden_images(network: QuantizedNetwork, count: int = 4) -> np.ndarray:
    """Return random images, which never change: NumPy keeps the stream of a bit generator."""
    size = (count, *network.input_shape)
    random = np.random.PCG64(16).random_raw(int(np.prod(size)))
    return (random.reshape(size) % (network.input_format.hi + 1)).astype(np.int64)


def _conv(name, source, shape, seed, **options) -> Conv:
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)) + shape[0]).astype(np.int64)
    weight = BOOK[raw[: -shape[0]].reshape(shape) % 4]
    weight[raw[: -shape[0]].reshape(shape) // 4 % 5 > 0] = 0
    out = shape[0]
    fields = {
        "stride": 1,
        "padding": (1, 1, 1, 1),
        "codebook": tuple(BOOK.tolist()),
        "stream": Gap(3, 2),
        "output": U8,
        "multiplier": np.full(out, 200, dtype=np.int32),
        "shift": np.full(out, 15, dtype=np.int32),
        "output_scale": 0.5,
    }
    return Conv(
        name=name,
        source=source,
        weight=weight,
        bias=(raw[-out:] % 1000 - 500).astype(np.int32),
        weight_scale=np.full(out, 0.25),
        **(fields | options),
    )


def _chain() -> QuantizedNetwork:
    layers = (
        _conv("conv", "input", (4, 1, 3, 3), 1, stream=Gap(1, 2), stride=2),
        _conv("fc", "conv", (3, 4, 4, 4), 2, **LINEAR, stream=Gap(2, 2)),
    )
    return QuantizedNetwork("chain", (1, 8, 8), U8, layers, {"note": "golden"})


def _residual() -> QuantizedNetwork:
    layers = (
        _conv("first", "input", (8, 3, 3, 3), 3, stream=Gap(2, 2)),
        _conv("inner", "first", (8, 1, 3, 3), 4, groups=8, stream=Gap(1, 2)),
        _conv("outer", "inner", (8, 8, 3, 3), 5, residual=Residual("first", 64, 1, 0)),
        MaxPool("pool", "outer", 2, 2),
        _average("mean", "pool", 8, 3),
        _conv("fc", "mean", (5, 8, 1, 1), 7, **LINEAR),
    )
    return QuantizedNetwork("residual", (3, 6, 6), U8, layers)


def _average(name, source, channels, size) -> Conv:
    return Conv(
        name=name,
        source=source,
        weight=np.ones((channels, 1, size, size), dtype=np.int8),
        bias=np.zeros(channels, dtype=np.int32),
        multiplier=np.full(channels, 57, dtype=np.int32),
        shift=np.full(channels, 9, dtype=np.int32),
        stride=1,
        padding=(0, 0, 0, 0),
        codebook=(1,),
        stream=Dense(),
        output=U8,
        weight_scale=np.ones(channels),
        output_scale=0.5,
        kind="avgpool",
        groups=channels,
    )
