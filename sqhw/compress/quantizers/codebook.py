"""Codebooks, the values that the weights of a layer may take, and modules that learn them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from sqhw.arrays import Floats64

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Codebook:
    """The values that weights may take, and the cell of weights that takes each.

    Parameters
    ----------
    levels : ndarray of float64, shape (n,), ascending and distinct
        The values.
    edges : ndarray of float64, shape (n - 1,), ascending
        Bounds of the cells: a weight w with ``edges[i - 1] <= w < edges[i]`` takes ``levels[i]``.
    """

    levels: Floats64
    edges: Floats64

    def __post_init__(self) -> None:
        if len(self.levels) < 1 or len(self.edges) != len(self.levels) - 1:
            raise ValueError(f"{len(self.levels)} levels have not {len(self.edges)} edges")
        if not (np.isfinite(self.levels).all() and np.isfinite(self.edges).all()):
            raise ValueError("levels and edges must be finite")
        if (np.diff(self.levels) <= 0).any() or (np.diff(self.edges) < 0).any():
            raise ValueError("levels and edges must ascend")

    @classmethod
    def nearest(cls, levels: npt.ArrayLike) -> "Codebook":
        """Return the codebook of these values in which each weight takes the nearest."""
        values = np.unique(np.asarray(levels, dtype=np.float64))
        return cls(values, (values[1:] + values[:-1]) / 2)

    def codes(self, values: Floats64) -> Codes:
        """Return the index of the level that each value takes, shape as `values`."""
        return np.searchsorted(self.edges, values, side="right")

    def quantize(self, values: Floats64) -> Floats64:
        """Return the level that each value takes, shape as `values`."""
        taken: Floats64 = self.levels[self.codes(values)]
        return taken


class TrainedQuantizer(nn.Module, ABC):
    """A module from weights to quantized weights."""

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Return the quantized weights, shape as `weight`."""

    def set_progress(self, share: float) -> None:
        """Set the share of the training that is done, 0 to 1. Called before every step."""
