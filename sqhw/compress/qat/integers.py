"""The integers of one layer, from training to the exporter."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat

#: Default of the largest width of biases (unit: bit). Every bit of it costs a bit of every channel.
BIAS_BITS = 10

GAIN_BITS = 6  # default width of the gain of a channel's multiplier (unit: bit)
MOST_GAIN_BITS = 8

WEIGHT_TOP = 127  # largest magnitude of an integer weight


def held_gain_bits(wanted: int, engine: EngineConfig) -> int:
    """Return the width of gains on an engine, at least one bit less than its multipliers.

    Parameters
    ----------
    wanted : int, 0 to 8
        Width that is asked for (unit: bit).
    engine : EngineConfig
    """
    return min(wanted, engine.mult_bits - 1)


def acc_limit(engine: EngineConfig) -> int:
    """Return the largest accumulator value of the engine."""
    return (1 << (engine.acc_bits - 1)) - 1


@dataclass(frozen=True, eq=False)
class LayerIntegers:
    """The integers of a layer.

    Parameters
    ----------
    weight : ndarray of int8, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
    bias : ndarray of int32, shape (out_channels,)
    multiplier, shift : int or ndarray of int, shape (out_channels,)
        Constants of the requantization; one number for all channels, or one a channel.
    output : ActivationFormat
    weight_scale : float or ndarray of float64, shape (out_channels,)
        Real value of one weight unit.
    output_scale : float
        Real value of one output unit.
    residual_weight : int, 1 to 127
        Weight of the skip connection, if the layer has one.
    table : tuple of int
        Table of the activation function; empty if there is none.
    """

    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: int | npt.NDArray[np.int64]
    shift: int | npt.NDArray[np.int64]
    output: ActivationFormat
    weight_scale: float | npt.NDArray[np.float64] = 1.0
    output_scale: float = 1.0
    residual_weight: int = 1
    table: tuple[int, ...] = ()
