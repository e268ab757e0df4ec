"""A convolution before it becomes a layer, and arithmetic on its input folded into it."""

from dataclasses import dataclass

import numpy as np

from sqhw.arrays import Floats32
from sqhw.frontends.folding.view import Affine, Doubles
from sqhw.network.graph import Padding, Shape


@dataclass(frozen=True, eq=False)
class Convolution:
    """Weights and geometry of a convolution, of an average or of a linear layer.

    Parameters
    ----------
    weight : ndarray, shape (outputs, inputs of a group, height, width)
        Double precision; single precision if the source has it.
    bias : ndarray of float64, shape (outputs,), optional
    stride : tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
    groups : int
    kind : str
        Kind of the layer: conv, avgpool or linear.
    """

    weight: Doubles | Floats32
    bias: Doubles | None = None
    stride: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    groups: int = 1
    kind: str = "conv"

    @property
    def offset(self) -> Doubles:
        """The bias, or zeros."""
        return np.zeros(len(self.weight)) if self.bias is None else self.bias


def after_affine(
    affine: Affine, weight: Doubles | Floats32, bias: Doubles, groups: int, shape: Shape
) -> tuple[Doubles, Doubles]:
    """Return weight and bias of a convolution that reads ``scale * x + shift`` of an `x`."""
    out, inputs = weight.shape[:2]
    if groups == 1:
        scale, shift = affine.scale[None], affine.shift[None]
    else:
        group = np.repeat(np.arange(groups), out // groups)  # of each output channel
        scale, shift = (
            values.reshape(groups, inputs, 1, 1)[group] for values in (affine.scale, affine.shift)
        )
    return weight * scale, bias + (weight * shift).sum((1, 2, 3))
