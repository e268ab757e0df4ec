"""Networks that each reach one feature of the engine that random networks hardly reach."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Gap, StreamFormat, max_gap_bits
from sqhw.network.graph import INPUT, Padding, Shape
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual

BYTE, SIGNED_BYTE = ActivationFormat(8, signed=False), ActivationFormat(8, signed=True)
SMALL = ActivationFormat(4, signed=True)
BIT = ActivationFormat(2, signed=True)


def digits(mult_bits: int) -> QuantizedNetwork:
    """Return a network in which each digit of a multiplier alone is -1 and its unit is visible.

    The multiplier 3 * 4**n has the digits 1 and -1; shifted by 2n bits, the result is three times
    the accumulator, and wrong by 1 without the correction of the negative digit.
    """
    exponents = np.arange(mult_bits // 2)
    layer = _conv(
        "digits",
        INPUT,
        np.ones((len(exponents), 1, 1, 1)),
        multiplier=3 << 2 * exponents,
        shift=2 * exponents,
    )
    return _network((1, 2, 4), SMALL, layer)


def records(channels: int) -> QuantizedNetwork:
    """Return a network of `channels` channels whose records have all fields at their full width."""
    noise = np.random.default_rng(channels)
    layer = _conv(
        "records",
        INPUT,
        np.ones((channels, 1, 1, 1)),
        bias=noise.integers(-(1 << 19), 1 << 19, channels),
        multiplier=noise.integers(1, 1 << 12, channels),
        shift=noise.integers(16, 31, channels),
    )
    return _network((1, 1, 1), SMALL, layer)


def channels(count: int) -> QuantizedNetwork:
    """Return a network of `count` channels whose records are small."""
    bias = np.random.default_rng(count).integers(-64, 64, count)
    return _network((1, 1, 1), BIT, _conv("channels", INPUT, np.ones((count, 1, 1, 1)), bias=bias))


def one_layer() -> QuantizedNetwork:
    """Return a network of two tiles and two channels, for resets at each moment of it."""
    weight = np.array([[[[1, 2]]], [[[-1, 1]]]])
    layer = _conv("one_layer", INPUT, weight, padding=(0, 0, 0, 1), shift=[1, 1])
    return _network((1, 2, 4), SMALL, layer)


def skips() -> QuantizedNetwork:
    """Return a network whose skip connections have another sign than the map beside them."""
    weight = np.array([[[[1]]], [[[-1]]]])
    return _network(
        (1, 4, 4),
        SIGNED_BYTE,
        _conv("unsigned", INPUT, np.ones((1, 1, 1, 1)), bias=[128], output=BYTE),
        _conv("signed", "unsigned", weight[1:], residual=Residual(INPUT, 1, 1, 0)),
        _conv("both", "signed", weight, residual=Residual("unsigned", 1, 1, 1), shift=[1, 1]),
    )


def entries(channels: int, side: int) -> QuantizedNetwork:
    """Return a network with one channel of many entries, most of which read padding."""
    weight = np.random.default_rng(side).choice((-1, 1), (1, channels, side, side))
    padding = ((side - 1) // 2, side // 2, (side - 1) // 2, side // 2)
    layer = _conv("entries", INPUT, weight, padding=padding, shift=[2])
    return _network((channels, 2, 2), BIT, layer)


def edges(height: int, width: int) -> QuantizedNetwork:
    """Return a network that reads beyond all four edges of a map."""
    weight = np.random.default_rng(height).integers(1, 4, (1, 1, 3, 3))
    return _network(
        (1, height, width), SMALL, _conv("edges", INPUT, weight, padding=(1, 1, 1, 1), shift=[2])
    )


def tiles(height: int, width: int) -> QuantizedNetwork:
    """Return a network with many tiles of input and few of output."""
    weight = np.random.default_rng(height).integers(1, 4, (1, 1, 1, width - 1))
    return _network((1, height, width), SMALL, _conv("tiles", INPUT, weight, shift=[2]))


def pairs() -> QuantizedNetwork:
    """Return a network whose entries pass two taps at a time, along several kernel rows."""
    noise = np.random.default_rng(0)
    weight = noise.integers(1, 5, (4, 2, 5, 5)) * (noise.random((4, 2, 5, 5)) < 0.2)
    stream = Gap(max_gap_bits(2, 5, 2), 2)
    layer = _conv("pairs", INPUT, weight, padding=(2, 2, 2, 2), stream=stream, shift=[2] * 4)
    return _network((2, 5, 5), SMALL, layer)


def _network(shape: Shape, form: ActivationFormat, *layers: Conv) -> QuantizedNetwork:
    return QuantizedNetwork(layers[0].name, shape, form, layers)


def _conv(
    name: str,
    source: str,
    weight: npt.ArrayLike,
    *,
    bias: Sequence[int] | npt.NDArray[np.int64] = (),
    multiplier: Sequence[int] | npt.NDArray[np.int64] = (),
    shift: Sequence[int] | npt.NDArray[np.int64] = (),
    padding: Padding = (0, 0, 0, 0),
    output: ActivationFormat = SIGNED_BYTE,
    stream: StreamFormat | None = None,
    residual: Residual | None = None,
) -> Conv:
    """Return a convolution; bias, multiplier and shift are 0, 1 and 0 by default."""
    values = np.asarray(weight, np.int8)
    count = len(values)
    book = np.unique(values[values != 0])
    return Conv(
        name=name,
        source=source,
        weight=values,
        bias=np.asarray(bias if len(bias) else [0] * count, np.int32),
        multiplier=np.asarray(multiplier if len(multiplier) else [1] * count, np.int32),
        shift=np.asarray(shift if len(shift) else [0] * count, np.int32),
        stride=1,
        padding=padding,
        codebook=tuple(book.tolist()),
        stream=stream or Dense().coded(len(book)),
        output=output,
        weight_scale=np.ones(count),
        output_scale=1.0,
        residual=residual,
    )
