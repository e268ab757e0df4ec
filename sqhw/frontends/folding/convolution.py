"""A convolution before it becomes a layer, and arithmetic on its input folded into it."""

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats32
from sqhw.frontends.folding.view import Affine, Doubles
from sqhw.network.graph import Padding, Shape

A = TypeVar("A", bound=npt.NDArray[Any])


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


def spread(weight: A, dilation: tuple[int, int]) -> A:
    """Return the larger kernel that a dilated one is, with zeros in between.

    Parameters
    ----------
    weight : ndarray, shape (outputs, inputs, height, width)
    dilation : tuple of int (down, right)
    """
    down, right = dilation
    outputs, inputs, height, width = weight.shape
    size = (height - 1) * down + 1, (width - 1) * right + 1
    if size == (height, width):
        return weight
    made = np.zeros((outputs, inputs, *size), weight.dtype)
    made[:, :, ::down, ::right] = weight
    return cast(A, made)


def scaled(weight: Doubles | Floats32, factor: Doubles) -> Doubles | Floats32:
    """Return weights times factors, in the precision of the weights.

    Products are of double precision. Weights of single precision are rounded filter by filter, so
    that large ones take no more memory than they have.

    Parameters
    ----------
    weight : ndarray, shape (outputs, inputs, height, width)
    factor : ndarray of float64
        It broadcasts to the shape of `weight`.
    """
    if weight.dtype == np.float64:
        return weight * factor
    full = np.broadcast_to(factor, weight.shape)
    made = np.empty(weight.shape, np.float32)
    with np.errstate(over="ignore"):  # what is too large is infinite, and refused as such
        for row, (filters, factors) in enumerate(zip(weight, full, strict=True)):
            made[row] = filters * factors
    return made


def after_affine(
    affine: Affine, weight: Doubles | Floats32, bias: Doubles, groups: int, shape: Shape
) -> tuple[Doubles | Floats32, Doubles]:
    """Return weight and bias of a convolution that reads ``scale * x + shift`` of an `x`."""
    out, inputs = weight.shape[:2]
    if groups == 1:
        scale, shift = affine.scale[None], affine.shift[None]
    else:
        group = np.repeat(np.arange(groups), out // groups)  # of each output channel
        scale, shift = (
            values.reshape(groups, inputs, 1, 1)[group] for values in (affine.scale, affine.shift)
        )
    full = np.broadcast_to(shift, weight.shape)
    sums = [float((filters * row).sum()) for filters, row in zip(weight, full, strict=True)]
    return scaled(weight, scale), bias + np.array(sums)
