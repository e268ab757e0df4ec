"""Skip connections onto sums: a map of integers that is added before the sum is quantized."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import Affine, Operator, Pad, Refused, Subsample
from sqhw.frontends.quantized.views import View
from sqhw.network.quantized import Residual

#: Operators on a map that a skip connection does on its way.
MOVES = (Affine, Pad, Subsample)
#: Largest weight of a skip connection.
WEIGHT_TOP = 127
#: Largest relative distance of a ratio of scales from the weight that counts as rounding.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Skipped:
    """A map that is added to the sums of a layer.

    Parameters
    ----------
    view : View
    weight : int, 1 to 127
        Units of the sum in one of the map.
    stride : int, 1 or 2
    first : int
        Output channel that gets the map's channel 0.
    """

    view: View
    weight: int
    stride: int
    first: int

    def residual(self, scale: int) -> Residual:
        """Return the skip connection of sums that are multiplied by `scale`."""
        return Residual(self.view.map, self.weight * scale, self.stride, self.first)

    def ends(self, outputs: int) -> tuple[npt.NDArray[np.int64], ...]:
        """Return smallest, largest and zero summand of each output channel."""
        held = self.view.held
        zero = float(held.zero)
        if zero != int(zero):
            raise Refused("adds a map whose zero is no integer", "quantize both summands alike")
        inside = np.zeros(outputs, dtype=np.int64)
        inside[self.first : self.first + self.view.shape[0]] = self.weight
        return inside * held.lowest, inside * held.highest, inside * int(zero)


def skipped(x: View, moves: Sequence[Operator], units: npt.NDArray[np.float64]) -> Skipped:
    """Return the skip connection that adds a map after some operators on it.

    Parameters
    ----------
    x : View
        Map.
    moves : sequence of Operator
        Operators of `MOVES`.
    units : ndarray of float64, shape (outputs,)
        Real value of one unit of the sum of each channel.

    Raises
    ------
    Refused
        If the map's unit is not the same whole number of units of every sum.
    """
    factors, stride, first = np.full(x.shape[0], x.held.unit), 1, 0
    for move in moves:
        if isinstance(move, Subsample) and move.stride == (2, 2) and stride == 1:
            stride = 2
        elif isinstance(move, Pad) and not any(move.padding) and not move.value:
            factors = np.pad(factors, move.channels)
            first += move.channels[0]
        elif isinstance(move, Affine) and not move.shift.reals.any():
            scale = move.scale.reals
            if scale.shape[1:] != (1, 1):
                raise Refused("adds a map with factors for rows or columns")
            factors = factors * np.broadcast_to(scale.reshape(-1), factors.shape)
        else:
            raise Refused(
                "adds a map that was changed on its way", "add the map itself, or every second row"
            )
    if len(factors) != len(units) or any(x.padding) or x.channels_last is not None:
        raise Refused("adds a map of another shape, or one that was flattened")
    weights = (factors / units)[first : first + x.shape[0]]
    weight = round(float(weights[0])) if np.isfinite(weights).all() else 0
    if not 1 <= weight <= WEIGHT_TOP or np.abs(weights / weight - 1).max() > TOLERANCE:
        raise Refused(
            "adds sums that are not quantized to a map whose scale is not a whole number of theirs "
            f"(1 to {WEIGHT_TOP}), the same for all channels",
            "quantize both summands",
        )
    return Skipped(x, weight, stride, first)
