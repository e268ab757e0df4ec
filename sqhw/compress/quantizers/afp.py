"""Adaptive floating point: a few exponents and a few mantissas."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.compress.quantizers.base import Quantizer, checked, largest, symmetric
from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer
from sqhw.compress.quantizers.straight_through import ScaledQuantizer
from sqhw.errors import SqhwError


def mantissa_bits(bits: int) -> int:
    """Return the mantissa bits of a code: 0 up to 3 bits, 1 with 4, 2 from 5 on."""
    return 0 if bits <= 3 else 1 if bits == 4 else 2


def afp_levels(bits: int, mantissa: int, top: int) -> npt.NDArray[np.float64]:
    """Return the levels ``±m * 2**e`` of a window of exponents, ascending.

    Parameters
    ----------
    bits : int
        Width of a code, sign included.
    mantissa : int
        Bits of the mantissa ``m = 1 + i / 2**mantissa``.
    top : int
        Largest exponent. The window has ``2**(bits - 1 - mantissa)`` exponents, and zero replaces
        its smallest value.
    """
    window = 1 << (bits - 1 - mantissa)
    values = sorted(
        (1 + i / (1 << mantissa)) * 2.0 ** (top - e)
        for i in range(1 << mantissa)
        for e in range(window)
    )
    return symmetric([0.0, *values[1:]])


@dataclass(frozen=True)
class AfpQuantizer(Quantizer):
    """Adaptive floating point (Liu et al., ICCV 2021), by the authors' code.

    The largest exponent is ``ceil(log2(max|w| / max m))``. The authors search one split between
    exponent and mantissa for a whole model. Here it is the start of their search, unless
    `mantissa` is given.

    Parameters
    ----------
    mantissa : int, optional
        Width of the mantissa (unit: bit); by default `mantissa_bits`.
    """

    mantissa: int | None = None
    name: ClassVar[str] = "afp"
    least_bits: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mantissa is not None and not 0 <= self.mantissa <= self.bits - 1:
            raise SqhwError(
                f"quantizer 'afp': mantissa must be 0 to {self.bits - 1} of {self.bits} bits, "
                f"not {self.mantissa}"
            )

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`. Importance is ignored."""
        weights, _ = checked(values, importance)
        mantissa = mantissa_bits(self.bits) if self.mantissa is None else self.mantissa
        top = math.ceil(math.log2(largest(weights) / (2 - 2.0**-mantissa)))
        return Codebook.nearest(afp_levels(self.bits, mantissa, top))

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return a module without parameters that learn: its values stay floating-point numbers."""
        return ScaledQuantizer(codebook, learn=False)
