"""Convolutions with mask, codebook and gains: in all stages, and while they learn."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sqhw.compress.qat.codebook_weights import codebook_weights
from sqhw.compress.qat.layer import LearningLayer, QatLayer
from sqhw.compress.qat.normalisation import Normalisation
from sqhw.frontends.torch_module.float_module import activated, padded_conv, with_residual
from sqhw.network.floats import FloatConv

#: Smallest gain of a channel, because biases take more units the smaller it is.
LEAST_GAIN = 0.1


class QatConv(QatLayer):
    """A convolution whose weights become a mask and a codebook, then integers.

    Attributes
    ----------
    weight, bias : Parameter
    codebook : Parameter, shape (values,)
        Values of the weights; none before the first projection.
    gain : Parameter, shape (out_channels,)
    mask : Tensor, shape of the weight
        1 for weights that are kept, 0 for those that are not.
    mean : Tensor or None, shape (in_channels,)
        Mean of the input that the bias subtracts, in units of the scaled input.
    pinned : bool
        Whether output channels are stored even if they have no weights.
    gain_bits : int
        Width of the differences of the channels' multipliers (unit: bit); 0 if they are equal.
    may_vanish : bool
        Whether weights that the mask keeps may be 0 on integers. Where masks are paid for, as in
        the compressor, the smallest integer is 1.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    codebook: nn.Parameter
    gain: nn.Parameter
    mask: Tensor
    mean: Tensor | None
    pinned: bool
    gain_bits: int
    may_vanish: bool

    def share_parameters(self, other: "QatConv") -> None:
        """Take the parameters of another stage of the layer, the same objects, and its options."""
        for name in ("weight", "bias", "codebook", "gain"):
            setattr(self, name, getattr(other, name))
        self.register_buffer("mask", other.mask)
        self.register_buffer("mean", other.mean, persistent=False)
        self.pinned, self.gain_bits = other.pinned, other.gain_bits
        self.may_vanish = other.may_vanish

    def float_weight(self) -> Tensor:
        """Return the weights before mask and codebook, in real units."""
        return self.weight * self.gain.view(-1, 1, 1, 1) if self.gain_bits else self.weight

    def gain_value(self) -> Tensor:
        """Return the gains that the channels compute with, without a gradient."""
        gain = self.gain.detach()
        return gain.clamp(min=LEAST_GAIN) if self.gain.requires_grad else gain

    def real_gain(self) -> Tensor | None:
        """Return the gain that each channel computes with, or None if it is 1 for all."""
        return self.straight_gain() if self.gain_bits else None

    def straight_gain(self) -> Tensor:
        """Return the value of `gain_value` with the gradient of the gain."""
        return self.gain + (self.gain_value() - self.gain).detach()

    def with_gain(self, weight: Tensor) -> Tensor:
        """Return weights in units of the gains in real units."""
        gain = self.real_gain()
        return weight if gain is None else weight * gain.view(-1, 1, 1, 1)

    def alive(self) -> Tensor:
        """Return 1 for stored output channels, with a weight or pinned, and 0 for others."""
        if self.pinned:
            return torch.ones_like(self.bias)
        alive: Tensor = self.mask.amax(dim=(1, 2, 3))
        return alive

    def largest(self) -> float:
        """Return the largest magnitude in the codebook."""
        return float(self.codebook.detach().abs().max()) or 1.0

    def rounding_error(self, unit: float) -> float:
        """Return the squared error of weights whose values are rounded to multiples of a unit."""
        book = torch.sort(self.codebook.detach()).values
        kept = codebook_weights(self.weight.detach(), book, self.mask, masked_grad=True).double()
        whole = self.whole_values(kept / unit, self.top) * unit * self.mask
        return float((whole - kept).pow(2).sum())

    def whole_values(self, values: Tensor, top: int) -> Tensor:
        """Return integers of magnitude `top` at most; 0 only if weights may vanish."""
        whole = torch.round(values).clamp(-top, top)
        if self.may_vanish:
            return whole
        sign = torch.where(values < 0, -torch.ones_like(values), torch.ones_like(values))
        return torch.where(whole == 0, sign, whole)

    def real_bias(self, weight: Tensor) -> Tensor:
        """Return the bias in real units minus the mean of the input; 0 for dead channels."""
        return self.full_bias(weight) * self.alive()

    def full_bias(self, weight: Tensor) -> Tensor:
        """Return the bias in real units minus the mean of the input."""
        bias: Tensor = self.bias
        return bias if self.mean is None else bias - self.input_mean(weight)

    def input_mean(self, weight: Tensor) -> Tensor:
        """Return the share of the input's mean in the sums, shape (out_channels,)."""
        assert self.mean is not None
        return (weight.sum(dim=(2, 3)) * self.mean).sum(1)


class LearningConv(QatConv, LearningLayer):
    """A convolution on real numbers.

    Parameters
    ----------
    layer : FloatConv
    mean : Tensor or None, shape (in_channels,)
        Mean of the input, see `QatConv`.
    last : bool
    pinned : bool

    Attributes
    ----------
    share : float, 0 to 1
        Share of the distance to the codebook by which weights are moved.
    norm : Normalisation or None
        Normalisation of the sums, until it is folded; gains are 1 until then.
    """

    norm: Normalisation | None

    def __init__(self, layer: FloatConv, mean: Tensor | None, *, last: bool, pinned: bool) -> None:
        super().__init__(layer, last=last)
        self.register_buffer("mean", mean, persistent=False)
        self.pinned = pinned
        self.weight = nn.Parameter(torch.from_numpy(layer.weight.copy()))
        self.bias = nn.Parameter(torch.from_numpy(layer.bias.copy()))
        self.codebook = nn.Parameter(torch.zeros(0), requires_grad=False)
        self.gain = nn.Parameter(torch.ones(len(layer.bias)), requires_grad=False)
        self.gain_bits = 0
        self.may_vanish = False
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.share = 1.0
        self.norm = None

    def forward(self, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return real activations; see `LearningLayer.forward`."""
        if self.norm is None:
            return super().forward(x, tensors)
        weight = self.real_weight()
        mean = None if self.mean is None else -self.input_mean(weight)
        y = self.norm(padded_conv(x, weight, mean, self.layer), self.bias * self.alive())
        return activated(with_residual(y, self.layer.residual, tensors), self.layer)

    @property
    def frozen(self) -> bool:
        """Whether the mask is fixed and the values of the codebook learn."""
        return self.codebook.requires_grad

    def set_projection(
        self, mask: npt.NDArray[np.bool_], codebook: npt.NDArray[np.float64]
    ) -> None:
        """Take a new mask and new values of the weights."""
        self.mask.copy_(torch.from_numpy(mask.astype(np.float32)))
        self.codebook = nn.Parameter(
            torch.from_numpy(codebook.astype(np.float32)).to(self.weight.device),
            requires_grad=False,
        )

    def freeze(self) -> None:
        """Fix the mask; let the codebook learn."""
        self.share = 1.0
        self.codebook.requires_grad_(True)

    @torch.no_grad()
    def settle_gains(self) -> float:
        """Clamp the gains to the range of multipliers, and return the largest.

        That is the largest of the channels with weights; the others have nothing to scale.
        """
        value = self.straight_gain()
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
            Gains of at most 1.
        bits : int
            Width of the gains, see `learn_gains`.
        """
        self.gain_bits = bits
        self.gain.copy_(torch.from_numpy(gain.astype(np.float32)))
        self.weight.div_(self.gain.view(-1, 1, 1, 1))

    def learn_gains(self, bits: int) -> None:
        """Give each output channel a gain: the scale of its codes, relative to the others.

        The engine requantizes each channel by a multiplier of its own, so that a gain takes only
        some bits of its record. A layer with a skip connection has no gains, because all channels
        share the weight of the skip. Nor has one whose output has a given range.

        Parameters
        ----------
        bits : int, 0 or more
            Width of the differences of the multipliers (unit: bit); 0 for no gains.
        """
        if bits and self.layer.residual is None and self.layer.ceiling is None:
            self.gain_bits = bits
            self.gain.requires_grad_(self.norm is None)

    def real_weight(self) -> Tensor:
        """Return the weights that the layer computes with, in real units, straight-through.

        Until the mask is frozen, dropped weights have the gradient of their place.
        """
        weight: Tensor = self.weight
        if len(self.codebook):
            book = torch.sort(self.codebook).values
            weight = codebook_weights(
                weight, book, self.mask, share=self.share, masked_grad=self.frozen
            )
        return self.with_gain(weight)
