"""The layers on integers: they compute as `sqhw.sim.reference` defines, and still learn.

While a layer trains, its sums and its requantization have the precision of the training, with
straight-through gradients; evaluation is exact.
"""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.compress.qat.average import LearningAverage, QatAverage
from sqhw.compress.qat.codebook_weights import codebook_weights
from sqhw.compress.qat.convolution import LearningConv, QatConv
from sqhw.compress.qat.integer_plan import IntegerPlan
from sqhw.compress.qat.integers import LayerIntegers
from sqhw.compress.qat.layer import LearningLayer, QatLayer
from sqhw.compress.qat.requantize import requantize, requantize_nearly
from sqhw.compress.training.precision import FLOAT32_EXACT
from sqhw.frontends.torch_module.float_module import FUNCTIONS, padded_conv, with_residual
from sqhw.network.activations import TABLE_INDEX


class IntegerLayer(QatLayer):
    """A layer on integers.

    Attributes
    ----------
    plan : IntegerPlan
    exact : bool
        Whether integers are computed exactly, or in the precision of the training, which is faster.
    """

    plan: IntegerPlan
    exact: bool

    @abstractmethod
    def learning(self) -> LearningLayer:
        """Return the layer on real numbers, with the same parameters."""

    def channel_multiplier(self) -> int | Tensor:
        """Return the multiplier of all channels, or of each, shape (out_channels,) of int64."""
        plan = self.plan
        gain = self.real_gain()
        if gain is None:
            return round(plan.multiplier)
        return torch.round(gain.detach().double() * plan.multiplier).long()

    def in_units(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights and biases in units of the integers, not yet rounded.

        Parameters
        ----------
        weight : Tensor
            Weights as `real_weight` returns them.
        bias : Tensor, shape (out_channels,)
            Biases as `real_bias` returns them.
        """
        plan = self.plan
        gain = self.real_gain()
        if gain is None:
            return weight / plan.weight_scale, bias / (plan.in_scale * plan.weight_scale)
        unit = plan.weight_scale * gain
        return weight / unit.view(-1, 1, 1, 1), bias / (plan.in_scale * unit)

    def forward(self, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return integer activations.

        Parameters
        ----------
        x : Tensor
            Input map.
        tensors : mapping of str to Tensor
            Every earlier tensor by name, for the residual.
        """
        plan = self.plan
        weight = self.real_weight()
        bias = self.real_bias(weight)
        if not self.exact:
            value = self._scaled_nearly(x, weight, bias, tensors)
            return self._looked_up(requantize_nearly(value, plan.clamped.lo, plan.clamped.hi))
        acc = self.accumulate(x, weight, bias, tensors)
        multiplier = self.channel_multiplier()
        if isinstance(multiplier, Tensor):
            multiplier = multiplier.view(1, -1, 1, 1)
        lo, hi = plan.clamped.lo, plan.clamped.hi
        return self._looked_up(requantize(acc, multiplier, plan.shift, lo, hi))

    def _looked_up(self, index: Tensor) -> Tensor:
        """Return the entries of the table, if there is one, with the gradient of its function."""
        plan, name = self.plan, self.layer.activation
        if not plan.table or name is None:
            return index
        table = torch.tensor(plan.table, dtype=index.dtype, device=index.device)
        entry = table[index.detach().long() - TABLE_INDEX.lo]
        if not index.requires_grad:
            return entry
        smooth = FUNCTIONS[name](index * plan.index_scale) / plan.output_scale
        return smooth + (entry - smooth).detach()

    def _scaled_nearly(
        self, x: Tensor, weight: Tensor, bias: Tensor, tensors: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the accumulators in units of the output, in the precision of the training."""
        plan = self.plan
        ratio = plan.multiplier / 2**plan.shift
        gain = self.real_gain()
        unit = plan.in_scale * plan.weight_scale
        real = bias / unit if gain is None else bias / (unit * gain)
        whole = real + (self.whole_bias(real).to(real.dtype) - real).detach()
        step = ratio if gain is None else ratio * gain
        value = padded_conv(x, weight * (ratio / plan.weight_scale), whole * step, self.layer)
        residual = self.layer.residual
        if residual is None:
            return value
        skip = {residual.source: plan.skip_weight * ratio * tensors[residual.source]}
        return with_residual(value, residual, skip)

    def accumulate(
        self, x: Tensor, weight: Tensor, bias: Tensor, tensors: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the integer accumulators for integer inputs; exact whatever their size."""
        plan = self.plan
        scaled, real = self.in_units(weight, bias)
        scaled = scaled + (torch.round(scaled) - scaled).detach()  # whole but for float rounding
        whole = real + (self.whole_bias(real) - real).detach()
        short = not x.is_cuda and self.bound(scaled, whole) < FLOAT32_EXACT
        kind = torch.float32 if short else torch.float64
        acc = padded_conv(x.to(kind), scaled.to(kind), None, self.layer)
        if x.is_cuda:  # torch's convolutions may transform their inputs there
            acc = acc + (torch.round(acc) - acc).detach()
        acc = acc + whole.to(kind).view(1, -1, 1, 1)
        residual = self.layer.residual
        if residual is None:
            return acc
        skip = {residual.source: plan.skip_weight * tensors[residual.source].to(kind)}
        return with_residual(acc, residual, skip)

    def whole_bias(self, real: Tensor) -> Tensor:
        """Return biases rounded to the values of channel records, in accumulator units."""
        plan = self.plan
        step = 2**plan.bias_shift
        half = 2 ** (plan.bias_bits - 1)
        steps = torch.round(real.detach().double() / step).clamp(-half, half - 1)
        return steps * float(step)

    def bound(self, weight: Tensor, bias: Tensor) -> int:
        """Return the static bound of the accumulator over all channels."""
        plan = self.plan
        sums = weight.detach().abs().double().sum(dim=(1, 2, 3)) * plan.source.max_abs
        skip = plan.skip_weight * plan.skip.max_abs if plan.skip else 0
        return int((sums + bias.detach().abs().double()).max()) + skip

    def integers(self) -> LayerIntegers:
        """Return the integers that the layer computes with."""
        plan = self.plan
        with torch.no_grad():
            weight = self.real_weight()
            weight, bias = self.in_units(weight, self.real_bias(weight))
            multiplier, gain = self.channel_multiplier(), self.real_gain()
            scale: float | npt.NDArray[np.float64] = plan.weight_scale
            if gain is not None:
                scale = scale * gain.cpu().numpy().astype(np.float64)
            return LayerIntegers(
                torch.round(weight).cpu().numpy().astype(np.int8),
                self.whole_bias(bias).cpu().numpy().astype(np.int32),
                multiplier.cpu().numpy() if isinstance(multiplier, Tensor) else multiplier,
                plan.shift,
                plan.output,
                scale,
                plan.output_scale,
                plan.skip_weight,
                plan.table,
            )


class IntegerAverage(QatAverage, IntegerLayer):
    """An average pooling on integers.

    Parameters
    ----------
    average : QatAverage
        The layer of the previous stage, whose weights it shares.
    plan : IntegerPlan
    """

    def __init__(self, average: QatAverage, plan: IntegerPlan) -> None:
        super().__init__(average.layer, last=average.last)
        self.plan, self.exact = plan, True
        self.register_buffer("weight", average.weight)

    def learning(self) -> LearningAverage:
        """Return the layer on real numbers."""
        found = LearningAverage(self.layer, last=self.last)
        found.register_buffer("weight", self.weight)
        return found


class IntegerConv(QatConv, IntegerLayer):
    """A convolution on integers, its mask fixed; its weights, values, biases and gains may learn.

    Parameters
    ----------
    conv : QatConv
        The layer of the previous stage, whose parameters it shares.
    plan : IntegerPlan
    """

    def __init__(self, conv: QatConv, plan: IntegerPlan) -> None:
        super().__init__(conv.layer, last=conv.last)
        self.plan, self.exact = plan, True
        self.share_parameters(conv)

    def learning(self) -> LearningConv:
        """Return the layer on real numbers, its mask fixed."""
        found = LearningConv(self.layer, self.mean, last=self.last, pinned=self.pinned)
        found.share_parameters(self)
        return found

    @torch.no_grad()
    def round_gains(self) -> None:
        """Set gains to those of whole multipliers, with the same weights in real units.

        Gains are rounded up, so that no weight exceeds the codebook.
        """
        plan = self.plan
        whole = torch.ceil(self.gain.double() * plan.multiplier - 1e-3)
        gain = (whole.clamp(1, plan.top_multiplier) / plan.multiplier).float()
        self.weight.mul_((self.gain / gain).view(-1, 1, 1, 1))
        self.gain.copy_(gain)

    def gain_value(self) -> Tensor:
        """Return the gains of whole multipliers, if the plan has the largest of these."""
        plan, gain = self.plan, self.gain.detach()
        if not plan.top_multiplier:
            return super().gain_value()
        whole = torch.round(gain * plan.multiplier).clamp(1, plan.top_multiplier)
        return whole / plan.multiplier

    def real_weight(self) -> Tensor:
        """Return the weights that the layer computes with, in real units, straight-through."""
        weight = codebook_weights(self.weight, self._book(), self.mask, masked_grad=True)
        return self.with_gain(weight)

    def _book(self) -> Tensor:
        """Return the values in real units, ascending, of whole numbers."""
        book = torch.sort(self.codebook).values
        scale = self.plan.weight_scale
        whole = self.whole_values(book.detach() / scale, self.plan.top) * scale
        return book + (whole - book).detach()


def integer_layer(layer: LearningLayer, plan: IntegerPlan) -> IntegerLayer:
    """Return a layer on integers, with the parameters of one on real numbers.

    Parameters
    ----------
    layer : LearningLayer
        Layer with its final mask and codebook.
    plan : IntegerPlan
    """
    if isinstance(layer, LearningConv):
        return IntegerConv(layer, plan)
    assert isinstance(layer, LearningAverage)
    return IntegerAverage(layer, plan)
