"""Quantization networks: a sum of shifted steps that are sigmoids in training."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sqhw.compress.quantizers.base import Quantizer, checked, largest
from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer
from sqhw.compress.quantizers.kmeans import lloyd

#: Factor of the paper in ``B = BETA * top / max|w|``.
BETA = 1.25
#: Largest temperature of a sigmoid.
MOST_TEMPERATURE = 2000.0
#: Largest magnitude of a sigmoid's argument.
REACH = 10.0


@dataclass(frozen=True)
class QuantizationNetwork(Quantizer):
    """Integer levels times a scale, with cells from a clustering of the weights.

    Quantization networks (Yang et al., CVPR 2019) compute
    ``y = a (sum_i s_i step(B x - b_i) - o)``. The ``s_i`` are the gaps between the levels
    ``-top .. top`` with ``top = 2**(bits - 1) - 1``, and ``o`` is half their sum. At first ``B =
    1.25 top / max|w|`` and ``a = 1 / B``. The ``b_i`` are the midpoints between the cluster means
    of the weights. `trainable` replaces the steps by sigmoids whose temperature rises.
    """

    name: ClassVar[str] = "quantization-network"
    least_bits: ClassVar[int] = 2

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        top = (1 << (self.bits - 1)) - 1
        scale = largest(weights) / (BETA * top)
        levels = scale * np.arange(-top, top + 1, dtype=np.float64)
        start = np.linspace(weights[0], weights[-1], 2 * top + 1)
        means = np.sort(lloyd(weights, worth, start, pinned_zero=False).means)
        return Codebook(levels, (means[1:] + means[:-1]) / 2)

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return the module of sigmoids."""
        return QuantizationNetworkModule(codebook)


class QuantizationNetworkModule(TrainedQuantizer):
    """A sum of sigmoids whose temperature `set_progress` raises; a sum of steps in evaluation.

    Parameters
    ----------
    book : Codebook
        Codebook with evenly spaced levels.
    """

    def __init__(self, book: Codebook) -> None:
        super().__init__()
        scale = float(book.levels[1] - book.levels[0])
        self.scale = nn.Parameter(torch.tensor(scale))  # a
        self.gain = nn.Parameter(torch.tensor(1 / scale))  # B
        whole = np.round(book.levels / scale)
        self.register_buffer("whole", torch.from_numpy(whole).float())
        self.register_buffer("thresholds", torch.from_numpy(book.edges / scale).float())
        self.register_buffer("temperature", torch.tensor(1.0))
        self.whole: Tensor
        self.thresholds: Tensor
        self.temperature: Tensor

    def set_progress(self, share: float) -> None:
        """Set the temperature for a share of the training done, 0 to 1."""
        self.temperature.fill_(min(MOST_TEMPERATURE, 1.0 + 100.0 * share**2))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the quantized weights, in training the sum of sigmoids; shape as `weight`."""
        scaled = self.gain * weight
        if not self.training:
            edges = self.thresholds / self.gain
            return self.scale * self.whole[torch.bucketize(weight, edges, right=True)]
        steps = torch.zeros_like(weight) + self.whole[0]
        for gap, threshold in zip(torch.diff(self.whole), self.thresholds, strict=True):
            power = (self.temperature * (scaled - threshold)).clamp(-REACH, REACH)
            steps = steps + gap * torch.sigmoid(power)
        return self.scale * steps
