"""Average poolings while a network is compressed: layers without parameters."""

import torch
from torch import Tensor

from sqhw.compress.qat.layer import LearningLayer, QatLayer
from sqhw.network.floats import FloatConv


class QatAverage(QatLayer):
    """An average pooling: a depthwise convolution of weights 1 with the scale of their mean."""

    weight: Tensor

    @property
    def top(self) -> int:
        """All weights are 1."""
        return 1

    def largest(self) -> float:
        """Return the weight that all have."""
        return float(self.weight.max())

    def real_weight(self) -> Tensor:
        """Return the constant weights."""
        return self.weight

    def real_bias(self, weight: Tensor) -> Tensor:
        """Return zeros."""
        return weight.new_zeros(weight.shape[0])


class LearningAverage(QatAverage, LearningLayer):
    """An average pooling on real numbers."""

    def __init__(self, layer: FloatConv, *, last: bool) -> None:
        super().__init__(layer, last=last)
        self.register_buffer("weight", torch.from_numpy(layer.weight.copy()))
