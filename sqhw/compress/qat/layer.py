"""The base of all layers while a network is compressed, and of those that learn on real numbers.

A layer passes through three stages. At first it has float weights. Then it has a mask and a
codebook on real activations, and dropped weights keep learning and may come back until the mask is
frozen (`sqhw.compress.qat.convolution.LearningConv`). At last it is on integers
(`sqhw.compress.qat.integer_layers`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from sqhw.compress.qat.integers import WEIGHT_TOP
from sqhw.frontends.torch_module.float_module import activated, padded_conv, with_residual
from sqhw.network.floats import FloatConv


class QatLayer(nn.Module, ABC):
    """A convolution while a network is compressed, on real numbers or on integers.

    Parameters
    ----------
    layer : FloatConv
    last : bool
        Whether the layer makes the network's output.
    """

    def __init__(self, layer: FloatConv, *, last: bool) -> None:
        super().__init__()
        self.layer = layer
        self.last = last

    @property
    def top(self) -> int:
        """Largest magnitude that an integer weight may have."""
        return WEIGHT_TOP

    @abstractmethod
    def largest(self) -> float:
        """Return the largest magnitude of a weight in real units."""

    @abstractmethod
    def real_weight(self) -> Tensor:
        """Return the weights that the layer computes with, in real units."""

    @abstractmethod
    def real_bias(self, weight: Tensor) -> Tensor:
        """Return the bias in real units for these weights, shape (out_channels,)."""

    def real_gain(self) -> Tensor | None:
        """Return the gain that each channel computes with, or None if it is 1 for all."""
        return None


class LearningLayer(QatLayer):
    """A layer on real numbers."""

    def forward(self, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return real activations.

        Parameters
        ----------
        x : Tensor
            Input map.
        tensors : mapping of str to Tensor
            Every earlier tensor by name, for the residual.
        """
        weight = self.real_weight()
        y = padded_conv(x, weight, self.real_bias(weight), self.layer)
        return activated(with_residual(y, self.layer.residual, tensors), self.layer)
