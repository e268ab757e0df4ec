"""Gains of the channels of a layer without training: which layers have them, and their sizes."""

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64
from sqhw.compiler.accumulator import SHARE, UNSIGNED
from sqhw.compress.qat.convolution import QatConv
from sqhw.compress.qat.integers import GAIN_BITS, WEIGHT_TOP, acc_limit, held_gain_bits
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv

#: Largest bias of a channel with a gain, in units of the layer's largest output. All biases of a
#: layer have one step.
MOST_BIAS = 4.0


def may_have_gains(layer: FloatConv, engine: EngineConfig) -> bool:
    """Return whether the engine has gains for a layer: not if the layer adds a skip connection.

    All channels of the accumulator share the weight of a skip connection.
    """
    return layer.residual is None and held_gain_bits(GAIN_BITS, engine) > 0


def channel_gains(
    layer: QatConv,
    weight: npt.NDArray[np.float32],
    largest_output: float,
    engine: EngineConfig,
) -> Floats64:
    """Return the gain of each channel, shape (out_channels,), above 0 and at most 1.

    The gain is the range of the channel's weights relative to the largest. It is larger where the
    accumulator or the bias, in units of the channel's weights, would overflow.

    Parameters
    ----------
    layer : QatConv
    weight : ndarray of float32, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Weights in real units, 0 where they are dropped.
    largest_output : float
        Largest output of the layer, in real units.
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
    gains: Floats64 = np.where(tops > 0, np.clip(needed, least, 1.0), 1.0)
    return gains
