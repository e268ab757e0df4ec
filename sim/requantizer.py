"""One rounded multiplication instead of the requantization, where the two are proven equal.

Requantization maps a sum to an output by steps: output ``k`` or more from the threshold ``t(k)``
on, the smallest integer whose product with the multiplier, rounded and shifted, reaches ``k``.
``lowest + floor(sum * scale + offset)``, product and sum in float32, never decreases with the sum
either, since rounding is monotone. So the two are equal on all sums within the static bound if they
are equal at each threshold and at the integer below it. That is tested here, with and without a
fused multiply-add.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: Neighbours of the multiplier's nearest float32 that are tried as scales (unit: last place).
NEIGHBOURS = (0, 1, -1, 2, -2)
#: Resolution of offsets. Products of a sum of 24 bits and of a scale are exact in float64, and so
#: is their sum with such an offset where it is near a threshold.
RESOLUTION = 2.0**-30

Float32 = npt.NDArray[np.float32]


class Rounding(NamedTuple):
    """Scales and offsets of channels, and whether they are proven equal to the requantization.

    Parameters
    ----------
    scale, offset : ndarray of float32, shape (channels,)
    proven : ndarray of bool, shape (channels,)
    """

    scale: Float32
    offset: Float32
    proven: npt.NDArray[np.bool_]


def roundings(
    multiplier: npt.NDArray[Any],
    shift: npt.NDArray[Any],
    limits: tuple[int, int],
    bound: npt.NDArray[np.int64],
) -> Rounding:
    """Return a rounding for each channel, proven or not.

    Parameters
    ----------
    multiplier, shift : ndarray of int, shape (channels,)
        Requantization: multipliers of at least 1 and right shifts.
    limits : tuple of int
        Smallest and largest output.
    bound : ndarray of int64, shape (channels,), below 2**24
        Largest magnitude of each channel's sums.
    """
    multiplier, shift = multiplier.astype(np.int64)[:, None], shift.astype(np.int64)[:, None]
    bound = bound[:, None]
    outputs = np.arange(limits[0] + 1, limits[1] + 1, dtype=np.int64)[None]
    steps = outputs - limits[0]
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    threshold = -((half - (outputs << shift)) // multiplier)
    above = np.clip(threshold, -bound, None)
    below = np.clip(threshold - 1, None, bound)
    reached, missed = above <= bound, below >= -bound
    exact = multiplier / np.exp2(shift)
    best = Rounding(
        np.zeros(len(shift), np.float32),
        np.zeros(len(shift), np.float32),
        np.zeros(len(shift), np.bool_),
    )
    for neighbour in NEIGHBOURS:
        nearest = exact.astype(np.float32)
        scale = (nearest.view(np.int32) + np.int32(neighbour)).view(np.float32)
        lowest = np.where(reached, steps - above * scale.astype(np.float64), -np.inf).max(1)
        highest = np.where(missed, steps - below * scale.astype(np.float64), np.inf).min(1)
        offset = _between(lowest, highest)[:, None]
        proven = np.ones(len(shift), np.bool_)
        for function in (_fused, _unfused):
            proven &= (~reached | (function(above, scale, offset) >= steps)).all(1)
            proven &= (~missed | (function(below, scale, offset) < steps)).all(1)
        better = proven & ~best.proven
        best.scale[better], best.offset[better] = scale[better, 0], offset[better, 0]
        best.proven[better] = True
    return best


def _between(lowest: npt.NDArray[Any], highest: npt.NDArray[Any]) -> Float32:
    """Return offsets in the middle of intervals, of which either end may be missing."""
    with np.errstate(invalid="ignore"):
        middle = np.where(
            np.isfinite(lowest) & np.isfinite(highest),
            (lowest + highest) / 2,
            np.where(np.isfinite(lowest), lowest + 1, highest - 1),
        )
    middle = np.where(np.isfinite(middle), middle, 0.0)
    return (np.round(middle / RESOLUTION) * RESOLUTION).astype(np.float32)


def _fused(total: npt.NDArray[np.int64], scale: Float32, offset: Float32) -> Float32:
    return (total * scale.astype(np.float64) + offset).astype(np.float32)


def _unfused(total: npt.NDArray[np.int64], scale: Float32, offset: Float32) -> Float32:
    return total.astype(np.float32) * scale + offset
