"""The input stage during training and on integers: see `sqhw.network.input_stage`."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from sqhw.compress.qat.integers import WEIGHT_TOP, LayerIntegers, acc_limit
from sqhw.compress.qat.requantize import dyadic, requantize
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.network.input_stage import NormaliseConv

OUTPUT = ActivationFormat(8, signed=True)


class QatInput(nn.Module):
    """The input stage: real numbers, or integers once it has its constants."""

    def __init__(self, layer: NormaliseConv, input_max: int) -> None:
        super().__init__()
        self.layer = layer
        self.gain = layer.weight.reshape(-1).astype(np.float64)
        self.offset = layer.bias.astype(np.float64)
        self.input_max = input_max
        ends = np.stack((self.offset, self.gain + self.offset))
        self.output_scale = float(np.abs(ends).max()) / OUTPUT.hi
        self.whole: LayerIntegers | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return normalised pixels for ``pixel / input_max``, or integers for whole pixels."""
        if self.whole is None:
            gain, offset = (
                torch.from_numpy(v).float().to(x.device) for v in (self.gain, self.offset)
            )
            return x * gain.view(1, -1, 1, 1) + offset.view(1, -1, 1, 1)
        values = self.whole
        weight, bias, multiplier, shift = (
            torch.from_numpy(np.asarray(value).astype(np.int64)).view(1, -1, 1, 1).to(x.device)
            for value in (values.weight, values.bias, values.multiplier, values.shift)
        )
        acc = x.double() * weight + bias
        return requantize(acc, multiplier, shift, OUTPUT.lo, OUTPUT.hi)

    def integers(self, engine: EngineConfig) -> LayerIntegers:
        """Return the stage's constants on an engine; they depend on nothing that is trained."""
        limit = acc_limit(engine)
        # Largest weight whose accumulators fit: bias = offset / gain pixels, at most a few times
        # the range of the pixels.
        reach = self.input_max * (1 + float(np.abs(self.offset / self.gain).max())) + 1
        weight = max(1, min(WEIGHT_TOP, math.floor(limit / reach)))
        bias = np.round(self.offset / self.gain * self.input_max * weight)
        constants = [
            dyadic(float(gain) / (self.input_max * weight * self.output_scale), engine.mult_bits)
            for gain in self.gain
        ]
        return LayerIntegers(
            weight=np.full(self.layer.weight.shape, weight, dtype=np.int8),
            bias=bias.astype(np.int32),
            multiplier=np.array([m for m, _ in constants]),
            shift=np.array([s for _, s in constants]),
            output=OUTPUT,
            weight_scale=self.gain / weight,
            output_scale=self.output_scale,
        )
