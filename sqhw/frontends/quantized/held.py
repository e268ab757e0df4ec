"""How the integers of a file's tensor are held in a feature map of the engine.

The engine has no zero points. A map holds ``(q - offset) / gain`` for an integer ``q`` of the file,
in a range that begins or ends where that of ``q`` does.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import Quantization, Refused
from sqhw.machine.number import ActivationFormat

#: Widths of activations on the engine (unit: bit).
LEAST_BITS, MOST_BITS = 2, 8


@dataclass(frozen=True)
class Held:
    """The integers of a tensor in a map.

    Parameters
    ----------
    form : ActivationFormat
        Format of the map.
    offset, gain : Fraction
        A held integer `h` stands for ``gain * h + offset`` in the file.
    scale : float
        Real value of one unit of the file.
    zero_point : int
        Integer of the file that stands for 0.
    lowest, highest : int
        Smallest and largest integer of the map that occur.
    """

    form: ActivationFormat
    offset: Fraction
    gain: Fraction
    scale: float
    zero_point: int
    lowest: int
    highest: int

    @property
    def zero(self) -> Fraction:
        """Number in the map that stands for 0; it may be a fraction, which no map holds."""
        return (self.zero_point - self.offset) / self.gain

    @property
    def unit(self) -> float:
        """Real value of one unit of the map."""
        return self.scale * float(self.gain)

    @property
    def clamped(self) -> bool:
        """Whether the map's format has the very range of the integers that occur."""
        return (self.lowest, self.highest) == (self.form.lo, self.form.hi) or self.gain != 1

    def of_file(self, integers: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the map's integers of those of the file."""
        found = (integers.astype(np.float64) - float(self.offset)) / float(self.gain)
        return np.rint(found).astype(np.int64)

    def to_file(self, held: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the file's integers of those of the map."""
        found = held.astype(np.float64) * float(self.gain) + float(self.offset)
        return np.rint(found).astype(np.int64)


def held(grid: Quantization, clamp: tuple[int, int] | None = None) -> Held:
    """Return how the integers of a grid, within the bounds of an operator, are held.

    A range that begins at the zero point is unsigned. Any other one is signed, so that a zero
    point in its middle is 0. -1 and +1 alone are -2 and 1 of 2 bits, the ends of that range.

    Raises
    ------
    Refused
        If they have a scale a channel, or more than 8 bits.
    """
    if grid.axis is not None:
        raise Refused(
            "makes activations with a scale for each channel", "use one scale for the tensor"
        )
    scale, zero_point = float(grid.scale), int(grid.zero_point)
    if grid.bipolar:
        form = ActivationFormat(LEAST_BITS, True)
        return Held(form, Fraction(1, 3), Fraction(2, 3), scale, zero_point, form.lo, form.hi)
    low, high = clamp or (grid.lo, grid.hi)
    bits = max(LEAST_BITS, (high - low).bit_length())
    if bits > MOST_BITS:
        raise Refused(
            f"makes activations of {grid.bits} bits, of which the engine has {MOST_BITS}",
            "quantize activations to 8 bits or fewer",
        )
    if zero_point == low:
        return _offset(ActivationFormat(bits, False), low, grid, low, high)
    form = ActivationFormat(bits, True)
    centre = zero_point if form.lo <= low - zero_point and high - zero_point <= form.hi else None
    return _offset(form, low - form.lo if centre is None else centre, grid, low, high)


def _offset(form: ActivationFormat, offset: int, grid: Quantization, low: int, high: int) -> Held:
    scale, zero_point = float(grid.scale), int(grid.zero_point)
    return Held(form, Fraction(offset), Fraction(1), scale, zero_point, low - offset, high - offset)
