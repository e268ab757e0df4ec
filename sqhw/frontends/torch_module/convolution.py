"""A convolution before it becomes a layer, and arithmetic on its input folded into it."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, fx

from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.supported import doubles, title, unreal
from sqhw.frontends.torch_module.view import Affine, Doubles
from sqhw.network.graph import Padding, Shape


@dataclass(frozen=True, eq=False)
class Convolution:
    """Weights and geometry of a convolution, of an average or of a linear layer.

    Parameters
    ----------
    weight : Tensor, shape (outputs, inputs of a group, height, width)
    bias : Tensor, shape (outputs,), optional
    stride : tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
    groups : int
    kind : str
        Kind of the layer: conv, avgpool or linear.
    """

    weight: Tensor
    bias: Tensor | None = None
    stride: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    groups: int = 1
    kind: str = "conv"

    def doubles(self, node: fx.Node) -> tuple[Doubles, Doubles]:
        """Return weight and bias in double precision; no bias is zeros.

        Raises
        ------
        SqhwError
            If they are no real numbers; the layer of `node` is named.
        """
        weight = _doubles(node, "weight", self.weight)
        if self.bias is None:
            return weight, np.zeros(len(weight))
        return weight, _doubles(node, "bias", self.bias)


def after_affine(
    affine: Affine, weight: Doubles, bias: Doubles, groups: int, shape: Shape
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


def _doubles(node: fx.Node, what: str, tensor: Tensor) -> Doubles:
    if not tensor.is_floating_point() and not unreal(tensor):
        raise SqhwError(
            f"layer {title(node)!r}: its {what} is of type {tensor.dtype}, not floating point"
        )
    return doubles(node, what, tensor).numpy().copy()
