"""Powers of two: a multiplication is one shift."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.compress.quantizers.base import Quantizer, best_scale, checked, largest, symmetric
from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer
from sqhw.compress.quantizers.straight_through import ScaledQuantizer
from sqhw.errors import unknown_name

SCALES = ("whole", "real")
#: Number of scales to try.
CANDIDATES = 40


def power_of_two_levels(bits: int) -> npt.NDArray[np.float64]:
    """Return 0 and ``±2**-i`` for i of 0 to ``2**(bits - 1) - 2``, ascending."""
    return symmetric([0.0, *(2.0**-i for i in range((1 << (bits - 1)) - 1))])


@dataclass(frozen=True)
class PowerOfTwoQuantizer(Quantizer):
    """Zero and powers of two with both signs, ``2**bits - 1`` values (as in INQ, ICLR 2017).

    Parameters
    ----------
    scale : {"whole", "real"}
        Largest value: INQ's power of two ``2**floor(log2(4 max|w| / 3))``, or the real number of
        the least squared error.
    """

    scale: str = "whole"
    name: ClassVar[str] = "power-of-two"
    least_bits: ClassVar[int] = 2
    most_bits: ClassVar[int] = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale not in SCALES:
            raise unknown_name("scale of the power-of-two quantizer", self.scale, SCALES)

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        levels = power_of_two_levels(self.bits)
        top = largest(weights)
        if self.scale == "whole":
            scale = 2.0 ** np.floor(np.log2(4 * top / 3))
        else:
            tried = [top * (i + 1) / CANDIDATES for i in range(CANDIDATES)]
            scale = best_scale(weights, worth, levels, tried)
        return Codebook.nearest(scale * levels)

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return the module. Its scale learns if it is a real number."""
        return ScaledQuantizer(codebook, learn=self.scale == "real")
