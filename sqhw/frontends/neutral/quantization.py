"""How integers stand for real numbers: scale, zero point and range."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, shown
from sqhw.files.input_limits import MAX_REAL

#: Widest integers: biases and accumulators (unit: bit).
MAX_BITS = 32
#: Ways to round to an integer, and the functions that do it.
ROUNDINGS = ("half_even", "half_up", "half_away", "floor", "ceil", "to_zero")

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Quantization:
    """The grid of a tensor or a constant: ``real = scale * (integer - zero_point)``.

    Parameters
    ----------
    scale : ndarray of float64, shape () or (n,), not negative
        Real value of one unit: one for the tensor, or one for each of the `n` parts along `axis`.
    zero_point : ndarray of int64, shape () or (n,)
        Integer that stands for 0.
    bits : int, 1 to 32
        Width of an integer.
    signed : bool
        Whether integers may be negative.
    narrow : bool
        Whether one value at the end of the range is left out: the lowest of signed integers, the
        highest of unsigned ones.
    axis : int, optional
        Axis of an array along which `scale` and `zero_point` have a value each; None if they have
        one value. In a tensor, axis 0 are the channels.
    bipolar : bool
        Whether the integers are -1 and +1 alone, without 0. A number below 0 becomes -1 and any
        other one +1; `bits` is 1.
    rounding : str
        Way of rounding, one of `ROUNDINGS`; the file's format says which.

    Raises
    ------
    SqhwError
        If a number is out of its range, or the arrays do not fit `axis`. The message does not name
        the tensor.
    """

    scale: Doubles
    zero_point: Integers
    bits: int
    signed: bool
    narrow: bool = False
    axis: int | None = None
    bipolar: bool = False
    rounding: str = "half_even"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", np.asarray(self.scale, dtype=np.float64))
        object.__setattr__(self, "zero_point", np.asarray(self.zero_point, dtype=np.int64))
        if self.scale.shape != self.zero_point.shape or self.scale.ndim != (self.axis is not None):
            raise SqhwError(
                f"its quantization has scales of shape {self.scale.shape} and zero points of "
                f"shape {self.zero_point.shape}; both must be single numbers, or vectors of the "
                "same length along an axis"
            )
        if not 1 <= self.bits <= MAX_BITS or (self.bipolar and self.bits != 1):
            raise SqhwError(f"its integers have {self.bits} bits; 1 to {MAX_BITS} are allowed")
        wrong = ~((self.scale >= 0) & (self.scale <= MAX_REAL))
        if wrong.any():
            raise SqhwError(
                f"its scale is {self.scale[wrong].reshape(-1)[0]:g}; it must be a number of 0 to "
                f"{MAX_REAL:.1e}"
            )
        if self.rounding not in ROUNDINGS:
            raise SqhwError(
                f"its rounding is {shown(self.rounding)}; known are {', '.join(ROUNDINGS)}"
            )

    @property
    def lo(self) -> int:
        """Smallest integer."""
        if self.bipolar:
            return -1
        return -(1 << (self.bits - 1)) + self.narrow if self.signed else 0

    @property
    def hi(self) -> int:
        """Largest integer."""
        if self.bipolar:
            return 1
        if self.signed:
            return (1 << (self.bits - 1)) - 1
        return (1 << self.bits) - 1 - self.narrow

    @property
    def symmetric(self) -> bool:
        """Whether the integer 0 stands for 0."""
        return not self.zero_point.any()

    def integers(self, values: npt.NDArray[np.floating]) -> Integers:
        """Return the integers nearest to real numbers, shape as `values`."""
        return np.clip(self.unbounded(values), self.lo, self.hi).astype(np.int64)

    def unbounded(self, values: npt.NDArray[np.floating]) -> Doubles:
        """Return the integers nearest to real numbers as if the range had no end."""
        scale, zero_point = self._spread(values.ndim)
        if self.bipolar:
            return np.where(values >= 0, 1.0, -1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.nan_to_num(values / scale) + zero_point
        return _rounded(steps, self.rounding)

    def reals(self, integers: npt.NDArray[np.integer]) -> Doubles:
        """Return the real numbers that integers stand for, shape as `integers`."""
        scale, zero_point = self._spread(integers.ndim)
        reals: Doubles = (integers - zero_point) * scale
        return reals

    def _spread(self, ndim: int) -> tuple[Doubles, Integers]:
        """Return scales and zero points that broadcast to an array of `ndim` axes."""
        if self.axis is None:
            return self.scale, self.zero_point
        shape = [-1 if at == self.axis else 1 for at in range(ndim)]
        return self.scale.reshape(shape), self.zero_point.reshape(shape)


def _rounded(values: Doubles, rounding: str) -> Doubles:
    if rounding == "half_even":
        return np.rint(values)
    if rounding == "half_up":
        return np.floor(values + 0.5)
    if rounding == "half_away":
        return np.copysign(np.floor(np.abs(values) + 0.5), values)
    if rounding == "to_zero":
        return np.trunc(values)
    return np.floor(values) if rounding == "floor" else np.ceil(values)
