"""A gain for each channel of a layer without training: when it helps, and how large it is."""

import numpy as np
import numpy.typing as npt

from sqhw.accumulator import SHARE, UNSIGNED
from sqhw.compress.integers import GAIN_BITS, WEIGHT_TOP, acc_limit, held_gain_bits
from sqhw.compress.qat_layers import QatConv
from sqhw.engine import EngineConfig

Float = npt.NDArray[np.float64]

#: Error of the 8-bit map that a layer writes, relative to its signal: about 43 dB below it.
MAP_ERROR = 5e-5
#: How many times less error of the weights, beside that of the map, makes gains worth their bits.
WORTH = 1.5
#: Largest bias in units of the layer's output range, with a gain: all biases have one step.
MOST_BIAS = 4.0


def may_have_gains(layer: QatConv, engine: EngineConfig) -> bool:
    """Return whether the engine has gains for a layer: not beside a skip connection.

    The weight of a skip connection is one for all channels of the accumulator.
    """
    return layer.layer.residual is None and held_gain_bits(GAIN_BITS, engine) > 0


def channel_gains(
    layer: QatConv,
    weight: npt.NDArray[np.float32],
    largest_output: float,
    engine: EngineConfig,
) -> Float:
    """Return the range of each channel's weights relative to the largest, shape (out_channels,).

    It is larger where the accumulator or the bias, in units of the channel's weights, would not
    have room.

    Parameters
    ----------
    layer : QatConv
    weight : ndarray of float32, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        In real units, 0 where they are dropped.
    largest_output : float
        Of the layer, in real units.
    engine : EngineConfig
    """
    size = np.abs(weight).astype(np.float64)
    tops, sums = size.max(axis=(1, 2, 3)), size.sum(axis=(1, 2, 3))
    top = float(tops.max())
    if top == 0:
        return np.ones(len(tops))
    bias = np.abs(layer.full_bias(layer.weight).detach().numpy()).astype(np.float64)
    room = SHARE * SHARE * acc_limit(engine) / (WEIGHT_TOP * UNSIGNED)
    needed = np.maximum(tops, sums / room) / top
    if largest_output > 0:
        needed = np.maximum(needed, bias / (MOST_BIAS * largest_output))
    least = 2.0 ** -held_gain_bits(GAIN_BITS, engine)
    gains: Float = np.where(tops > 0, np.clip(needed, least, 1.0), 1.0)
    return gains


def worth_gains(weight: npt.NDArray[np.float32], without: Float, with_gains: Float) -> bool:
    """Return whether gains lower the error of the channels, relative to their signals, enough.

    Parameters
    ----------
    weight : ndarray of float32, shape (out_channels, ...)
        In real units.
    without, with_gains : ndarray of float64, shape (out_channels, ...)
        Quantized both ways.
    """
    errors = [_relative_error(weight, found) + MAP_ERROR for found in (without, with_gains)]
    return errors[0] > WORTH * errors[1]


def _relative_error(weight: npt.NDArray[np.float32], found: Float) -> float:
    """Return the mean over the channels of the error's share in the energy."""
    real = weight.reshape(len(weight), -1).astype(np.float64)
    energy = (real**2).sum(axis=1)
    error = ((found.reshape(real.shape) - real) ** 2).sum(axis=1)
    used = energy > 0
    return float((error[used] / energy[used]).mean()) if used.any() else 0.0
