"""Layers as the engine computes them, whatever their numbers are; slower than the simulator.

Accumulators wrap at their width, activations may lie outside of their format, and a multiplier may
be 0. The simulator takes none of these, because no network has them.
"""

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.compiler.rom_contents import signed
from sqhw.faults.damaged import DamagedLayer
from sqhw.machine.number import ActivationFormat
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv

Maps = npt.NDArray[np.int32]


def output(
    layer: Conv | MaxPool,
    numbers: DamagedLayer,
    maps: tuple[Maps, ...],
    form: ActivationFormat,
    acc_bits: int,
) -> Maps:
    """Return the output of a layer.

    Parameters
    ----------
    layer : Conv or MaxPool
        The layer without damage: its window, padding and strides.
    numbers : DamagedLayer
    maps : tuple of ndarray of int32, shape (images, channels, height, width)
        Its input, and the map that its residual adds.
    form : ActivationFormat
        Format of the output.
    acc_bits : int
        Width of the accumulators (unit: bit).

    Returns
    -------
    ndarray of int32, shape (images, channels, height, width)
    """
    x = maps[0]
    _, height, width = layer.output_shape((x.shape[1], x.shape[2], x.shape[3]))
    rows = numbers.weight.shape[2] if isinstance(layer, Conv) else layer.window[0]
    columns = layer.kernel[1] if isinstance(layer, Conv) else layer.window[1]
    (down, right), (top, bottom, left, side) = layer.strides, layer.padding
    bottom = max(bottom, rows + down * (height - 1) - top - x.shape[2])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, side)))

    def taps(row: int, column: int) -> Maps:
        ends = row + down * (height - 1) + 1, column + right * (width - 1) + 1
        found: Maps = padded[:, :, row : ends[0] : down, column : ends[1] : right]
        return found

    if isinstance(layer, MaxPool):
        windows = [taps(row, column) for row in range(rows) for column in range(columns)]
        total = np.maximum.reduce(windows).astype(np.int64)
    else:
        total = np.zeros((len(x), len(numbers.bias), height, width), np.int64)
        for row in range(rows):
            for column in range(columns):
                weight = numbers.weight[:, :, row, column]
                if weight.any():
                    total += _products(weight, taps(row, column), layer.groups)
        if layer.residual:
            skip, step, first = maps[1], layer.residual.stride, layer.residual.first
            added = skip[:, :, : step * height : step, : step * width : step]
            total[:, first : first + skip.shape[1]] += layer.residual.weight * added
    return _requantized(signed(total + _each(numbers.bias), acc_bits), numbers, form)


def _each(values: Ints) -> Ints:
    """Return constants of channels for maps of shape (images, channels, height, width)."""
    found: Ints = values[:, None, None]
    return found


def _products(weight: npt.NDArray[np.int8], x: Maps, groups: int) -> Ints:
    """Return the sums over input channels of a tap; in float64, which is exact below 2**53."""
    images, inputs, height, width = x.shape
    outputs = weight.shape[0]
    left = weight.reshape(groups, outputs // groups, -1).astype(np.float64)
    right = x.reshape(images, groups, inputs // groups, height * width).astype(np.float64)
    found: Ints = (left @ right).reshape(images, outputs, height, width).astype(np.int64)
    return found


def _requantized(total: Ints, numbers: DamagedLayer, form: ActivationFormat) -> Maps:
    shift = numbers.shift
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    scaled = (total * _each(numbers.multiplier) + _each(half)) >> _each(shift)
    found: Maps = np.clip(scaled, form.lo, form.hi).astype(np.int32)
    return found
