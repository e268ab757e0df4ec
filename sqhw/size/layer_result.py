"""The result of a compression method for a layer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats32
from sqhw.machine.stream import code_width


@dataclass(frozen=True, eq=False)
class LayerResult:
    """A compressed layer.

    Parameters
    ----------
    name : str
    weight : ndarray of float32, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Values of the layer's codebook; weights that are not kept are zero. The method ``hardware``
        multiplies them by the gain of each channel.
    weights_before : int
        Number of weights of the layer before compression.
    """

    name: str
    weight: Floats32
    weights_before: int

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where weights are kept, shape as `weight`."""
        kept: npt.NDArray[np.bool_] = self.weight != 0
        return kept

    @property
    def nonzeros(self) -> int:
        """Number of weights kept."""
        return int(np.count_nonzero(self.weight))

    @property
    def levels(self) -> Floats32:
        """The distinct non-zero values, ascending."""
        return np.unique(self.weight[self.weight != 0])

    @property
    def bits(self) -> int:
        """Width of a code that names the non-zero values, at least 1; 0 without any (unit: bit)."""
        return code_width(len(self.levels)) if len(self.levels) else 0
