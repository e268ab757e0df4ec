"""Constants of a graph: weights, biases, factors and summands."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.frontends.neutral.quantization import Doubles, Quantization


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of numbers that the file holds.

    Parameters
    ----------
    name : str
        Name of the array in the file, for messages; it may be empty.
    values : ndarray
        Real numbers (float64, or float32 of large weights), or integers of any type if there is a
        quantization.
    quantization : Quantization, optional
        What the integers stand for. Its axis counts the axes of `values`.

    Raises
    ------
    SqhwError
        If a real number is not finite, or an integer is out of the range of the quantization.
    """

    name: str
    values: npt.NDArray[Any]
    quantization: Quantization | None = None

    def __post_init__(self) -> None:
        where = f"constant {self.name!r}" if self.name else "a constant"
        if self.quantization is None:
            if not np.isfinite(self.values).all():
                raise SqhwError(f"{where}: it holds a value that is not finite; train it anew")
            return
        if not np.issubdtype(self.values.dtype, np.integer):
            raise SqhwError(f"{where}: quantized values must be integers, not {self.values.dtype}")
        grid = self.quantization
        axis = grid.axis
        if axis is not None and not (
            0 <= axis < self.values.ndim and self.values.shape[axis] == grid.scale.size
        ):
            raise SqhwError(
                f"{where}: {grid.scale.size} scales along axis {axis} do not fit its shape "
                f"{self.values.shape}"
            )
        if self.values.size and not (
            grid.lo <= int(self.values.min()) and int(self.values.max()) <= grid.hi
        ):
            raise SqhwError(
                f"{where}: integers must be {grid.lo} to {grid.hi}, found {self.values.min()} to "
                f"{self.values.max()}"
            )

    @property
    def reals(self) -> Doubles:
        """The real numbers in double precision, shape as `values`."""
        if self.quantization is None:
            return self.values.astype(np.float64)
        return self.quantization.reals(self.values)

    def of_type(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return the real numbers in another precision; without a copy if they have it."""
        source = self.values if self.quantization is None else self.reals
        return source.astype(dtype, copy=False)
