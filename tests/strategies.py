"""Random valid quantized networks, from a Hypothesis strategy or from a seed."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Rice, StreamFormat, StreamRecord, max_gap_bits
from sqhw.machine.stream import reach as most_positions
from sqhw.network.graph import INPUT, MaxPool, Shape
from sqhw.network.quantized import MAX_SHIFT, Conv, Layer, QuantizedNetwork, Residual

#: Function that draws a whole number from lo to hi, both included. Small numbers are simple ones.
Integer = Callable[[int, int], int]


@dataclass(frozen=True)
class Limits:
    """Limits of a random network; the defaults fit the default engine.

    Parameters
    ----------
    max_channels, max_size, max_layers, max_kernel, max_padding, max_stride : int
        Upper bounds of channels, of height and width of the input, and of the other numbers.
    widths : tuple of int
        Widths of the input; if empty, any up to `max_size`.
    whole : int
        Number that the width of most convolutions is a multiple of, by padding on the right.
    acc_bits : int
        Largest width that an accumulator needs (unit: bit).
    mult_bits : int
        Width of the requantization multipliers.
    min_code_bits, max_code_bits, max_gap_bits, taps_per_entry : int
        Bounds of the fields of the weight streams.
    quotient_ones : int
        Bound of the ones of a filler. With 0 there are no Golomb-Rice streams.
    word_bits : int
        Width of a ROM word, which bounds the fields of these.
    sparse : bool
        Whether half of the convolutions have the widest gap field that their kernel admits, and
        a tenth to a half of their weights.
    branches : bool
        Whether a layer may read another tensor than that of the layer before it.
    groups, residuals, maxpool : bool
        Whether there are grouped and depthwise convolutions, skip connections, and max pooling.
    windows : bool
        Whether maxima have oblong windows and padding, and layers a larger stride down.
    tables : bool
        Whether half of the convolutions have a table as their activation function.
    """

    max_channels: int = 6
    max_size: int = 9
    max_layers: int = 4
    max_kernel: int = 3
    max_padding: int = 2
    max_stride: int = 2
    widths: tuple[int, ...] = ()
    whole: int = 1
    acc_bits: int = 24
    mult_bits: int = 8
    min_code_bits: int = 1
    max_code_bits: int = 8
    max_gap_bits: int = 8
    taps_per_entry: int = 1
    quotient_ones: int = 0
    word_bits: int = 16
    sparse: bool = False
    branches: bool = False
    groups: bool = True
    maxpool: bool = True
    windows: bool = False
    residuals: bool = True
    tables: bool = False


@st.composite
def networks(draw: st.DrawFn, **limits: Any) -> QuantizedNetwork:
    """Draw a network within `Limits`; it shrinks to one layer, one channel, one pixel."""
    return _network(lambda lo, hi: draw(st.integers(lo, hi)), Limits(**limits))


@st.composite
def networks_with_images(
    draw: st.DrawFn, max_images: int = 3, **limits: Any
) -> tuple[QuantizedNetwork, npt.NDArray[np.int64]]:
    """Draw a network and images for it, shape (images, channels, height, width)."""
    network = draw(networks(**limits))
    count, seed = draw(st.integers(1, max_images)), draw(st.integers(0, 1 << 32))
    return network, random_images(network, seed, count)


def random_network(seed: int, **limits: Any) -> QuantizedNetwork:
    """Return a random network within `Limits`; a seed always gives the same one."""
    return _network(random.Random(seed).randint, Limits(**limits))


def random_images(network: QuantizedNetwork, seed: int, count: int) -> npt.NDArray[np.int64]:
    """Return random images for a network; the first pixels are the extremes of its format."""
    rng = np.random.default_rng(seed)
    form = network.input_format
    images = rng.integers(form.lo, form.hi + 1, (count, *network.input_shape))
    images.reshape(-1)[:2] = [form.lo, form.hi][: images.size]
    return images


def reads_with_one_stride(network: QuantizedNetwork) -> bool:
    """Return whether all readers of each map have the same stride, as the engine requires."""
    strides: dict[str, set[int]] = {}
    for layer in network.layers:
        strides.setdefault(layer.source, set()).add(layer.strides[1])
        if isinstance(layer, Conv) and layer.residual:
            strides.setdefault(layer.residual.source, set()).add(layer.residual.stride)
    return all(len(found) == 1 for found in strides.values())


def _network(integer: Integer, limits: Limits) -> QuantizedNetwork:
    channels, height = integer(1, limits.max_channels), integer(1, limits.max_size)
    widths = limits.widths or range(1, limits.max_size + 1)
    shape = (channels, height, widths[integer(0, len(widths) - 1)])
    shapes: dict[str, Shape] = {INPUT: shape}
    formats = {INPUT: _format(integer)}
    layers: list[Layer] = []
    for index in range(integer(1, limits.max_layers)):
        source = list(shapes)[-1 - (integer(0, index) if limits.branches else 0)]
        name = f"layer{index}"
        layer: Layer
        if integer(0, 3) == 3 and limits.maxpool:
            if limits.windows:
                layer = _window(integer, limits, name, source, shapes[source], formats[source])
            else:
                layer = _maxpool(integer, limits, name, source, shapes[source])
            formats[name] = formats[source]
        else:
            layer = _conv(integer, limits, name, source, shapes[source], formats[source])
            if limits.windows and not any(layer.padding[:2]) and integer(0, 2) == 2:
                layer = replace(layer, stride=(layer.stride * integer(2, 3), layer.stride))
            elif limits.residuals:
                layer = _with_residual(integer, limits, layer, shapes, formats)
            formats[name] = layer.output
        shapes[name] = layer.output_shape(shapes[source])
        layers.append(layer)
    return QuantizedNetwork("random", shape, formats[INPUT], tuple(layers))


def _format(integer: Integer) -> ActivationFormat:
    return ActivationFormat(bits=integer(2, 8), signed=integer(0, 1) == 1)


def _maxpool(integer: Integer, limits: Limits, name: str, source: str, shape: Shape) -> MaxPool:
    kernel = integer(1, min(limits.max_kernel, *shape[1:]))
    return MaxPool(name, source, kernel, integer(1, limits.max_stride))


def _window(
    integer: Integer, limits: Limits, name: str, source: str, shape: Shape, form: ActivationFormat
) -> MaxPool:
    """Return a maximum over an oblong window, with padding if the map has no negative values."""
    stride = integer(1, limits.max_stride)
    sides = []
    for size in shape[1:]:
        before = 0 if form.signed else integer(0, limits.max_padding)
        after = 0 if form.signed else integer(0, limits.max_padding)
        own = integer(min(before + 1, size), min(before + size, before + limits.max_kernel))
        before = min(before, own - 1)
        last = (size + before + after - own) // stride * stride - before
        sides.append((own, before, after if last < size else max(0, own - size)))
    (high, top, bottom), (wide, left, right) = sides
    padding = (top, bottom, left, right)
    step = (2 * stride, stride) if not top + bottom and integer(0, 2) == 2 else stride
    return MaxPool(name, source, (high, wide), step, padding)


def _conv(
    integer: Integer,
    limits: Limits,
    name: str,
    source: str,
    shape: Shape,
    form: ActivationFormat,
) -> Conv:
    in_channels, height, width = shape
    groups = 1
    if limits.groups and integer(0, 2) == 2:
        groups = integer(1, in_channels)
        while in_channels % groups:
            groups -= 1
    in_channels //= groups
    out_channels = groups * integer(1, max(1, limits.max_channels // groups))
    linear = integer(0, 5) == 5
    if linear:
        padding, stride, kernel = (0, 0, 0, 0), 1, (height, width)
    else:
        padding = tuple(integer(0, limits.max_padding) for _ in range(4))
        stride = integer(1, limits.max_stride)
        kernel = (
            integer(1, min(limits.max_kernel, height + padding[0] + padding[1])),
            integer(1, min(limits.max_kernel, width + padding[2] + padding[3])),
        )
        if limits.whole > 1 and integer(0, 3):
            columns = (width + padding[2] + padding[3] - kernel[1]) // stride + 1
            more = -columns % limits.whole * stride
            padding = (*padding[:3], padding[3] + more)
    widest = max_gap_bits(in_channels, kernel[1], limits.taps_per_entry, limits.max_gap_bits)
    sparse = limits.sparse and integer(0, 1) == 1
    gap_bits = widest if sparse else integer(0, widest)
    code_bits = integer(limits.min_code_bits, limits.max_code_bits)
    zeros = integer(0, 4)  # 0: none, 4: all, unless it is sparse
    zero_share = (0.5, 0.6, 0.7, 0.8, 0.9)[zeros] if sparse else zeros / 4
    rng = np.random.default_rng(integer(0, 1 << 32))

    weight_shape = (out_channels, in_channels, *kernel)
    acc_limit = (1 << (limits.acc_bits - 1)) - 1
    largest = min(127, acc_limit // (math.prod(weight_shape[1:]) * form.max_abs))
    values = np.array([v for v in range(-largest - (largest == 127), largest + 1) if v])
    size = min(1 << code_bits, int(rng.integers(1, len(values) + 1)))
    book = np.sort(rng.choice(values, size, replace=False))
    weight = rng.choice(book, weight_shape)
    if gap_bits == 0 and zeros:
        book[rng.integers(size)] = 0
        book.sort()
        weight = rng.choice(book, weight_shape)
    if gap_bits or zeros:
        weight[rng.random(weight_shape) < zero_share] = 0
    if zeros == 3 and not sparse:
        weight[rng.random(out_channels) < 0.5] = 0

    bound = np.abs(weight).sum(axis=(1, 2, 3)) * form.max_abs
    room = np.minimum(acc_limit - bound, 2 * bound + 100)
    bias = rng.integers(-room, room + 1)
    bias[rng.random(out_channels) < 0.2] = 0
    output = _format(integer)
    multiplier = rng.integers(1, 1 << limits.mult_bits, out_channels)
    # Mostly a shift that brings typical sums into the output's range, sometimes any.
    reach = (bound // 4 + np.abs(bias) + 1) * multiplier / output.hi
    shift = np.clip(np.log2(reach).astype(np.int64) + rng.integers(-1, 2, out_channels), 0, 31)
    anything = rng.random(out_channels) < 0.2
    shift[anything] = rng.integers(0, MAX_SHIFT + 1, out_channels)[anything]
    return Conv(
        name=name,
        source=source,
        weight=weight.astype(np.int8),
        bias=bias.astype(np.int32),
        multiplier=multiplier.astype(np.int32),
        shift=shift.astype(np.int32),
        stride=stride,
        padding=padding,
        codebook=tuple(book.tolist()),
        stream=_stream(
            integer,
            limits,
            gap_bits,
            code_bits,
            most_positions(in_channels, kernel[1], limits.taps_per_entry),
        ),
        output=output,
        weight_scale=rng.uniform(1e-4, 1.0, out_channels),
        output_scale=float(rng.uniform(1e-4, 1.0)),
        kind="linear" if linear else "conv",
        groups=groups,
        table=_table(integer, output) if limits.tables else (),
    )


def _table(integer: Integer, output: ActivationFormat) -> tuple[int, ...]:
    """Return a random table, or none."""
    if integer(0, 1) == 0:
        return ()
    rng = np.random.default_rng(integer(0, 1 << 32))
    return tuple(rng.integers(output.lo, output.hi + 1, 256).tolist())


def _stream(
    integer: Integer, limits: Limits, gap_bits: int, code_bits: int, most: int
) -> StreamFormat:
    """Return a format: mostly one with quotients, if it has gaps."""
    widest = limits.word_bits // 2 - code_bits
    if not (gap_bits and limits.quotient_ones and widest >= 0 and integer(0, 3)):
        return StreamRecord(gap_bits, code_bits).form()
    most = min(most, (1 << limits.max_gap_bits) - 1)
    remainder = integer(0, min(widest, most.bit_length() - 1))
    return Rice(remainder, integer(1, min(limits.quotient_ones, most >> remainder)), code_bits)


def _with_residual(
    integer: Integer,
    limits: Limits,
    layer: Conv,
    shapes: dict[str, Shape],
    formats: dict[str, ActivationFormat],
) -> Conv:
    """Return the layer with a skip connection from a tensor that suits it, sometimes."""
    out = layer.output_shape(shapes[layer.source])
    suitable = [
        (name, stride)
        for name, (channels, height, width) in shapes.items()
        for stride in range(1, limits.max_stride + 1)
        if channels <= out[0] and (-(-height // stride), -(-width // stride)) == out[1:]
    ]
    if not suitable or integer(0, 1) == 0:
        return layer
    name, stride = suitable[integer(0, len(suitable) - 1)]
    limit = (1 << (limits.acc_bits - 1)) - 1
    room = limit - int(layer.acc_bound(formats[layer.source]).max())
    largest = min(127, room // formats[name].max_abs)
    if largest < 1:
        return layer
    first = integer(0, out[0] - shapes[name][0])
    return replace(layer, residual=Residual(name, integer(1, largest), stride, first))
