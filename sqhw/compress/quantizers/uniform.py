"""Equal steps around zero: b-bit and INT8 quantization."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.compress.quantizers.base import Quantizer, best_scale, checked, largest
from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer
from sqhw.compress.quantizers.straight_through import ScaledQuantizer
from sqhw.errors import SqhwError, unknown_name

RANGES = ("max", "mse")
#: Number of ranges to try.
CANDIDATES = 100


@dataclass(frozen=True)
class UniformQuantizer(Quantizer):
    """Steps of one size, symmetric: ``step * k``.

    With zero among the values ``|k| <= 2**(bits - 1) - 1``; 8 bits are INT8, restricted to
    [-127, 127]. Without zero there are all ``2**bits`` values ``step * (k + 1/2)``, for layers that
    store non-zeros only.

    Parameters
    ----------
    zero : bool
        Whether zero is a value. With 1 bit it cannot be.
    clip : {"max", "mse"}
        Range up to the largest weight, or the range with the least squared error.
    """

    zero: bool = True
    clip: str = "max"
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip not in RANGES:
            raise unknown_name("range of the uniform quantizer", self.clip, RANGES)
        if self.zero and self.bits < 2:
            raise SqhwError("quantizer 'uniform': 1 bit has no room for zero; set zero to false")

    def steps(self) -> npt.NDArray[np.float64]:
        """Return the values in units of the step."""
        if self.zero:
            top = (1 << (self.bits - 1)) - 1
            return np.arange(-top, top + 1, dtype=np.float64)
        half = 1 << (self.bits - 1)
        return np.arange(-half, half, dtype=np.float64) + 0.5

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        steps = self.steps()
        widest = largest(weights) / float(steps[-1])
        if self.clip == "max":
            return Codebook.nearest(widest * steps)
        tried = [widest * (i + 1) / CANDIDATES for i in range(CANDIDATES)]
        return Codebook.nearest(best_scale(weights, worth, steps, tried) * steps)

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return the module whose step learns."""
        return ScaledQuantizer(codebook, learn=True)
