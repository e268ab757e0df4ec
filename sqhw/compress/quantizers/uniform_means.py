"""Cells of equal width, each with the mean of its members as value."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.compress.quantizers.base import Codebook, Quantizer, checked
from sqhw.errors import SqhwError


@dataclass(frozen=True)
class UniformMeansQuantizer(Quantizer):
    """Uniform quantization with mean centres (Choi, El-Khamy and Lee, ICLR 2017, section 4.2).

    Cells begin at multiples of the width around zero, ``[(k - 1/2) width, (k + 1/2) width)``; empty
    ones have no value. Meant for variable-length codes.

    Parameters
    ----------
    bits : int
        The range is divided into at most ``2**bits`` cells, unless `width` is given.
    width : float, optional
        Of a cell, in real units.
    """

    width: float | None = None
    name: ClassVar[str] = "uniform-means"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width is not None and not self.width > 0:
            raise SqhwError(f"quantizer 'uniform-means': width must be positive, not {self.width}")

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        # A range of n widths touches n + 1 cells at most.
        spread = float(weights[-1] - weights[0])
        width = float(self.width or spread / ((1 << self.bits) - 1) or 1.0)
        cells = np.floor(weights / width + 0.5).astype(np.int64)
        names, index = np.unique(cells, return_inverse=True)
        mass = np.bincount(index, weights=worth)
        levels = np.bincount(index, weights=worth * weights) / mass
        edges = width * (names[1:].astype(np.float64) - 0.5)
        # Rounding may carry a mean to the edge of its cell and onto its neighbour's.
        apart = np.concatenate(([True], np.diff(levels) > 0))
        return Codebook(levels[apart], edges[apart[1:]])
