"""The layers during compression: masked, quantized layers that still learn, and constant ones.

A layer passes three stages: float weights; weights of a mask and a codebook on real activations,
where dropped weights keep learning and may come back; and integers throughout, which compute what
`sqhw.sim.reference` defines. While it trains, the sums and the requantization of the third stage
have the precision of the training, with straight-through gradients; evaluation is exact.
"""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sqhw.compress.qat.codebook_weights import codebook_weights
from sqhw.compress.qat.integer_plan import IntegerPlan
from sqhw.compress.qat.integers import WEIGHT_TOP, LayerIntegers
from sqhw.compress.qat.requantize import requantize, requantize_nearly
from sqhw.compress.training.precision import FLOAT32_EXACT
from sqhw.frontends.torch_module.float_module import activated, padded_conv, with_residual
from sqhw.network.floats import FloatConv

LEAST_GAIN = 0.1  # of a channel: with a bias, it has to hold more units the smaller the gain is


class QatLayer(nn.Module, ABC):
    """A convolution on real numbers, or on integers once it has a plan.

    Attributes
    ----------
    plan : IntegerPlan or None
    exact : bool
        Whether integers are computed exactly, or in the precision at hand, which is faster.
    """

    def __init__(self, layer: FloatConv, last: bool) -> None:
        super().__init__()
        self.layer = layer
        self.last = last
        self.plan: IntegerPlan | None = None
        self.exact = True

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

    def channel_multiplier(self) -> int | Tensor:
        """Return the multiplier of all channels, or of each, shape (out_channels,) of int64."""
        plan = self.plan
        assert plan is not None
        gain = self.real_gain()
        if gain is None:
            return round(plan.multiplier)
        return torch.round(gain.detach().double() * plan.multiplier).long()

    def in_units(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights and biases in units of the integers, not yet rounded.

        Parameters
        ----------
        weight : Tensor
            As `real_weight` returns it.
        bias : Tensor, shape (out_channels,)
            As `real_bias` returns it.
        """
        plan = self.plan
        assert plan is not None
        gain = self.real_gain()
        if gain is None:
            return weight / plan.weight_scale, bias / (plan.in_scale * plan.weight_scale)
        unit = plan.weight_scale * gain
        return weight / unit.view(-1, 1, 1, 1), bias / (plan.in_scale * unit)

    def forward(self, x: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Return real activations, or integers if the layer has a plan.

        Parameters
        ----------
        x : Tensor
            Input map.
        tensors : dict of str to Tensor
            Every earlier tensor by name, for the residual.
        """
        weight = self.real_weight()
        bias = self.real_bias(weight)
        if self.plan is None:
            y = padded_conv(x, weight, bias, self.layer)
            return activated(with_residual(y, self.layer.residual, tensors), self.layer)
        plan = self.plan
        if not self.exact:
            value = self._scaled_nearly(x, weight, bias, tensors)
            return requantize_nearly(value, plan.output.lo, plan.output.hi)
        acc = self.accumulate(x, weight, bias, tensors)
        multiplier = self.channel_multiplier()
        if isinstance(multiplier, Tensor):
            multiplier = multiplier.view(1, -1, 1, 1)
        return requantize(acc, multiplier, plan.shift, plan.output.lo, plan.output.hi)

    def _scaled_nearly(
        self, x: Tensor, weight: Tensor, bias: Tensor, tensors: dict[str, Tensor]
    ) -> Tensor:
        """Return the accumulators in units of the output, in the precision of the training."""
        plan = self.plan
        assert plan is not None
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
        self, x: Tensor, weight: Tensor, bias: Tensor, tensors: dict[str, Tensor]
    ) -> Tensor:
        """Return the integer accumulators for integer inputs; exact whatever their size."""
        plan = self.plan
        assert plan is not None
        scaled, real = self.in_units(weight, bias)
        scaled = scaled + (torch.round(scaled) - scaled).detach()  # whole but for float rounding
        whole = real + (self.whole_bias(real) - real).detach()
        short = not x.is_cuda and self.bound(scaled, whole) < FLOAT32_EXACT
        kind = torch.float32 if short else torch.float64
        acc = padded_conv(x.to(kind), scaled.to(kind), None, self.layer)
        if x.is_cuda:  # its convolutions may go through transforms of their inputs
            acc = acc + (torch.round(acc) - acc).detach()
        acc = acc + whole.to(kind).view(1, -1, 1, 1)
        residual = self.layer.residual
        if residual is None:
            return acc
        skip = {residual.source: plan.skip_weight * tensors[residual.source].to(kind)}
        return with_residual(acc, residual, skip)

    def whole_bias(self, real: Tensor) -> Tensor:
        """Return biases rounded to what the channel records hold, in accumulator units."""
        plan = self.plan
        assert plan is not None
        step = 2**plan.bias_shift
        half = 2 ** (plan.bias_bits - 1)
        steps = torch.round(real.detach().double() / step).clamp(-half, half - 1)
        return steps * float(step)

    def bound(self, weight: Tensor, bias: Tensor) -> int:
        """Return the static bound of the accumulator over all channels."""
        plan = self.plan
        assert plan is not None
        sums = weight.detach().abs().double().sum(dim=(1, 2, 3)) * plan.source.max_abs
        skip = plan.skip_weight * plan.skip.max_abs if plan.skip else 0
        return int((sums + bias.detach().abs().double()).max()) + skip

    def integers(self) -> LayerIntegers:
        """Return the integers that the layer computes with."""
        plan = self.plan
        assert plan is not None
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
            )


class QatAverage(QatLayer):
    """An average pooling: a depthwise convolution of weights 1 with the scale of their mean."""

    def __init__(self, layer: FloatConv, last: bool) -> None:
        super().__init__(layer, last)
        self.register_buffer("weight", torch.from_numpy(layer.weight.copy()))
        self.weight: Tensor

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
        return torch.zeros(weight.shape[0], device=weight.device)


class QatConv(QatLayer):
    """A convolution whose weights become a mask and a codebook, then integers.

    Parameters
    ----------
    layer : FloatConv
    mean : Tensor or None, shape (in_channels,)
        Mean of the input that the bias takes off, in units of the scaled input.
    last : bool
        Whether the layer makes the network's output.
    pinned : bool
        Whether output channels are stored even if they have no weights.

    Attributes
    ----------
    share : float, 0 to 1
        How far weights are moved to the values of the codebook; 1 on integers.
    gain_bits : int
        Width of what the channels' multipliers differ by; 0 if all have the same.
    may_vanish : bool
        Whether weights that the mask keeps may be 0 on integers. Where masks are paid for, as in
        the compressor, the smallest integer is 1.
    """

    def __init__(self, layer: FloatConv, mean: Tensor | None, last: bool, pinned: bool) -> None:
        super().__init__(layer, last)
        self.register_buffer("mean", mean, persistent=False)
        self.mean: Tensor | None
        self.pinned = pinned
        self.weight = nn.Parameter(torch.from_numpy(layer.weight.copy()))
        self.bias = nn.Parameter(torch.from_numpy(layer.bias.copy()))
        self.codebook = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.gain = nn.Parameter(torch.ones(len(layer.bias)), requires_grad=False)
        self.gain_bits = 0
        self.may_vanish = False
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.mask: Tensor
        self.quantized = False
        self.share = 1.0
        self.frozen = False

    def set_projection(
        self, mask: npt.NDArray[np.bool_], codebook: npt.NDArray[np.float64]
    ) -> None:
        """Take a new mask and new values of the weights."""
        self.mask.copy_(torch.from_numpy(mask.astype(np.float32)))
        self.codebook = nn.Parameter(
            torch.from_numpy(codebook.astype(np.float32)).to(self.weight.device),
            requires_grad=False,
        )
        self.quantized = True

    @torch.no_grad()
    def settle_gains(self) -> float:
        """Bring the gains to the range that multipliers hold, and return the largest.

        That is the largest of the channels that have weights; the others have nothing to scale.
        """
        value = self.real_gain()
        assert value is not None
        used = self.mask.amax(dim=(1, 2, 3)) > 0
        most = float(value[used].max()) if bool(used.any()) else 1.0
        self.gain.copy_(value.clamp(most / (1 << self.gain_bits), most))
        return most

    @torch.no_grad()
    def set_gains(self, gain: npt.NDArray[np.float64], bits: int) -> None:
        """Take gains that do not learn; the weights then are in units of them.

        Parameters
        ----------
        gain : ndarray of float64, shape (out_channels,)
            Of 1 at most.
        bits : int
            See `learn_gains`.
        """
        self.gain_bits = bits
        self.gain.copy_(torch.from_numpy(gain.astype(np.float32)))
        self.weight.div_(self.gain.view(-1, 1, 1, 1))

    @torch.no_grad()
    def round_gains(self) -> None:
        """Make gains those of whole multipliers, with the same weights in real units.

        They are rounded up, so that no weight gets larger than the codebook.
        """
        plan = self.plan
        assert plan is not None
        whole = torch.ceil(self.gain.double() * plan.multiplier - 1e-3)
        gain = (whole.clamp(1, plan.top_multiplier) / plan.multiplier).float()
        self.weight.mul_((self.gain / gain).view(-1, 1, 1, 1))
        self.gain.copy_(gain)

    def float_weight(self) -> Tensor:
        """Return the weights before mask and codebook, in real units."""
        return self.weight * self.gain.view(-1, 1, 1, 1) if self.gain_bits else self.weight

    def learn_gains(self, bits: int) -> None:
        """Let each output channel have a gain: what its codes are worth, relative to the others.

        The engine requantizes each channel by a multiplier of its own, so that a gain takes no more
        than some bits of its record. Beside a skip connection, whose weight all channels share,
        there are none, nor where the range of the output is given.

        Parameters
        ----------
        bits : int, 0 or more
            Width of what the multipliers differ by; 0 for no gains.
        """
        if bits and self.layer.residual is None and self.layer.ceiling is None:
            self.gain_bits = bits
            self.gain.requires_grad_(True)

    def real_gain(self) -> Tensor | None:
        """Return the gain that each channel computes with, or None if it is 1 for all."""
        if not self.gain_bits:
            return None
        plan, gain = self.plan, self.gain.detach()
        if plan is None or not plan.top_multiplier:
            value = gain.clamp(min=LEAST_GAIN) if self.gain.requires_grad else gain
        else:
            whole = torch.round(gain * plan.multiplier).clamp(1, plan.top_multiplier)
            value = whole / plan.multiplier
        return self.gain + (value - self.gain).detach()

    def freeze(self) -> None:
        """Fix the mask; let the codebook learn."""
        self.share = 1.0
        self.frozen = True
        self.codebook.requires_grad_(True)

    def alive(self) -> Tensor:
        """Return 1 for output channels that are stored: with a weight, or pinned."""
        if self.pinned:
            return torch.ones_like(self.bias)
        alive: Tensor = self.mask.amax(dim=(1, 2, 3))
        return alive

    def largest(self) -> float:
        """Return the largest magnitude in the codebook."""
        return float(self.codebook.detach().abs().max()) or 1.0

    def real_weight(self) -> Tensor:
        """Return the weights that the layer computes with, in real units, straight-through.

        Until the mask is frozen, dropped weights have the gradient of the place that they had.
        """
        weight: Tensor = self.weight
        if self.quantized:
            weight = codebook_weights(
                weight, self._book(), self.mask, share=self.share, masked_grad=self.frozen
            )
        gain = self.real_gain()
        return weight if gain is None else weight * gain.view(-1, 1, 1, 1)

    def rounding_error(self, unit: float) -> float:
        """Return the squared error of weights whose values are rounded to multiples of a unit."""
        book = torch.sort(self.codebook.detach()).values
        kept = codebook_weights(self.weight.detach(), book, self.mask, masked_grad=True).double()
        return float((self._whole(kept / unit, self.top) * unit * self.mask - kept).pow(2).sum())

    def _book(self) -> Tensor:
        """Return the values in real units, ascending, whole once there is a plan."""
        book = torch.sort(self.codebook).values
        if self.plan is None:
            return book
        scale = self.plan.weight_scale
        return book + (self._whole(book.detach() / scale, self.plan.top) * scale - book).detach()

    def _whole(self, values: Tensor, top: int) -> Tensor:
        """Return integers of at most `top` in magnitude; 0 only if weights may vanish."""
        whole = torch.round(values).clamp(-top, top)
        if self.may_vanish:
            return whole
        sign = torch.where(values < 0, -torch.ones_like(values), torch.ones_like(values))
        return torch.where(whole == 0, sign, whole)

    def real_bias(self, weight: Tensor) -> Tensor:
        """Return the bias in real units, the mean of the input taken off; 0 for dead channels."""
        bias = self.full_bias(weight)
        return bias * self.alive() if self.quantized else bias

    def full_bias(self, weight: Tensor) -> Tensor:
        """Return the bias in real units, the mean of the input taken off."""
        bias: Tensor = self.bias
        if self.mean is not None:
            bias = bias - (weight.sum(dim=(2, 3)) * self.mean).sum(1)
        return bias
