"""The meaning of a quantized network, on plain integers. Slow, obvious, and the last word."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.network.activations import TABLE_INDEX
from sqhw.network.graph import INPUT, MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork

Int64 = npt.NDArray[np.int64]


def requantize(acc: int, multiplier: int, shift: int, lo: int, hi: int) -> int:
    """Return ``clamp((acc * multiplier + 2**(shift - 1)) >> shift, lo, hi)``, rounding half up.

    A shift of 0 adds nothing. Dyadic requantization as in HAWQ-V3 (Yao et al., 2021).
    """
    value = acc * multiplier
    if shift > 0:
        value = (value + (1 << (shift - 1))) >> shift
    return max(lo, min(hi, value))


def conv(x: Int64, layer: Conv, skip: Int64 | None = None) -> Int64:
    """Return the output of a convolution for one image.

    Parameters
    ----------
    x : ndarray of int64, shape (in_channels, height, width)
    layer : Conv
    skip : ndarray of int64, shape (skip_channels, skip_height, skip_width), optional
        The tensor that its residual adds.

    Returns
    -------
    ndarray of int64, shape (out_channels, out_height, out_width)
    """
    top, bottom, left, right = layer.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right)))
    kh, kw = layer.kernel
    channels, height, width = layer.output_shape((x.shape[0], x.shape[1], x.shape[2]))
    y = np.zeros((channels, height, width), dtype=np.int64)
    group_inputs = layer.weight.shape[1]
    for channel in range(channels):
        weight = layer.weight[channel].astype(np.int64)
        begin = channel // (channels // layer.groups) * group_inputs
        for row in range(height):
            for column in range(width):
                r, c = row * layer.strides[0], column * layer.strides[1]
                window = padded[begin : begin + group_inputs, r : r + kh, c : c + kw]
                acc = int(layer.bias[channel]) + int((weight * window).sum())
                if layer.residual is not None and skip is not None:
                    other, step = channel - layer.residual.first, layer.residual.stride
                    if 0 <= other < skip.shape[0]:
                        acc += layer.residual.weight * int(skip[other, row * step, column * step])
                y[channel, row, column] = requantize(
                    acc,
                    int(layer.multiplier[channel]),
                    int(layer.shift[channel]),
                    layer.clamped.lo,
                    layer.clamped.hi,
                )
                if layer.table:
                    y[channel, row, column] = layer.table[y[channel, row, column] - TABLE_INDEX.lo]
    return y


def maxpool(x: Int64, layer: MaxPool) -> Int64:
    """Return the output of a max pooling layer for one image of shape (channels, h, w).

    Padding is 0, which no maximum of a map without negative values takes.
    """
    top, bottom, left, right = layer.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right)))
    high, wide = layer.window
    channels, height, width = layer.output_shape((x.shape[0], x.shape[1], x.shape[2]))
    y = np.zeros((channels, height, width), dtype=np.int64)
    for row in range(height):
        for column in range(width):
            r, c = row * layer.strides[0], column * layer.strides[1]
            y[:, row, column] = padded[:, r : r + high, c : c + wide].max(axis=(1, 2))
    return y


def run(network: QuantizedNetwork, image: npt.NDArray[Any]) -> dict[str, Int64]:
    """Run one image through the network.

    Parameters
    ----------
    network : QuantizedNetwork
    image : ndarray of int, shape (channels, height, width)
        Raw pixels within the network's input format.

    Returns
    -------
    dict of str to ndarray of int64
        Every tensor by name, the input included.
    """
    tensors: dict[str, Int64] = {INPUT: np.asarray(image).astype(np.int64)}
    for layer in network.layers:
        x = tensors[layer.source]
        if isinstance(layer, MaxPool):
            tensors[layer.name] = maxpool(x, layer)
        else:
            skip = tensors[layer.residual.source] if layer.residual else None
            tensors[layer.name] = conv(x, layer, skip)
    return tensors
