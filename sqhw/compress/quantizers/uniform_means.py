"""Cells of equal width, each with the mean of its weights as value."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64
from sqhw.compress.quantizers.base import Quantizer, checked, entropy
from sqhw.compress.quantizers.codebook import Codebook, Codes
from sqhw.compress.training.bounds import check_not_negative, check_positive
from sqhw.errors import SqhwError

#: Number of bisections of the width.
RATE_STEPS = 40
#: Largest number of cells over the range of the weights while the width is searched.
MOST_CELLS = 1 << 12


@dataclass(frozen=True)
class UniformMeansQuantizer(Quantizer):
    """Uniform quantization with mean centres (Choi, El-Khamy and Lee, ICLR 2017, section 4.2).

    The cells are ``[(k - 1/2) width, (k + 1/2) width)``. Empty cells have no value. The quantizer
    is meant for variable-length codes.

    Parameters
    ----------
    bits : int
        Binary logarithm of the largest number of cells over the range, unless `width` is given.
    width : float, optional
        Width of a cell in real units.
    rate : float, optional
        Largest entropy (unit: bit a weight), for which the width is searched. At most one of
        `width` and `rate` is given.
    """

    width: float | None = None
    rate: float | None = None
    name: ClassVar[str] = "uniform-means"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width is not None:
            check_positive("quantizer 'uniform-means': width", self.width)
        if self.rate is not None:
            check_not_negative("quantizer 'uniform-means': rate", self.rate)
        if self.width is not None and self.rate is not None:
            raise SqhwError("quantizer 'uniform-means': give one of width and rate")

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        # A range of n widths touches at most n + 1 cells.
        spread = float(weights[-1] - weights[0])
        width = float(self.width or spread / ((1 << self.bits) - 1) or 1.0)
        if self.rate is not None:
            width = _width(weights, spread or 1.0, self.rate)
        cells = _cells(weights, width)
        names, index = np.unique(cells, return_inverse=True)
        mass = np.bincount(index, weights=worth)
        levels = np.bincount(index, weights=worth * weights) / mass
        edges = width * (names[1:].astype(np.float64) - 0.5)
        # Rounding may carry a mean to the edge of its cell and onto its neighbour's.
        apart = np.concatenate(([True], np.diff(levels) > 0))
        return Codebook(levels[apart], edges[apart[1:]])


def _cells(weights: Floats64, width: float) -> Codes:
    return np.floor(weights / width + 0.5).astype(np.int64)


def _width(weights: Floats64, spread: float, rate: float) -> float:
    """Return about the least width at which the entropy of the cells is at most `rate`."""
    low, high = spread / MOST_CELLS, 4 * max(spread, float(np.abs(weights).max()))
    for _ in range(RATE_STEPS):
        middle = float(np.sqrt(low * high))
        counts = np.unique(_cells(weights, middle), return_counts=True)[1]
        if entropy(counts) <= rate:
            high = middle
        else:
            low = middle
    return high
