"""The network during compression: masked, quantized layers that still learn.

A layer passes three stages: float weights; weights of a mask and a codebook on real activations,
where dropped weights keep learning and may come back; and integers throughout, which compute what
`sqhw.sim.reference` defines, with straight-through gradients.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from sqhw.compress.float_network import FloatConv, FloatMaxPool, FloatNetwork, padded_conv
from sqhw.compress.requantize import requantize
from sqhw.errors import SqhwError
from sqhw.number import ActivationFormat

FLOAT32_EXACT = 1 << 24  # integers below it are exact in float32


@dataclass
class IntegerPlan:
    """The constants of a layer on integers.

    Parameters
    ----------
    source, output : ActivationFormat
        Formats of input and output.
    in_scale, weight_scale, output_scale : float
        Real values of one unit.
    top : int
        Largest magnitude of an integer weight.
    multiplier, shift : int
        Of the requantization, for all channels.
    bias_shift, bias_bits : int
        Biases are multiples of ``2**bias_shift`` that fit `bias_bits` bits without the shift.
    """

    source: ActivationFormat
    output: ActivationFormat
    in_scale: float
    weight_scale: float
    top: int
    output_scale: float = 1.0
    multiplier: int = 1
    shift: int = 0
    bias_shift: int = 0
    bias_bits: int = 32


class QatConv(nn.Module):
    """A convolution whose weights become a mask and a codebook, then integers."""

    def __init__(self, layer: FloatConv, mean: Tensor | None, last: bool) -> None:
        super().__init__()
        self.layer = layer
        self.mean = mean  # of the input, per channel, in units of the scaled input
        self.last = last
        self.weight = nn.Parameter(torch.from_numpy(layer.weight.copy()))
        self.bias = nn.Parameter(torch.from_numpy(layer.bias.copy()))
        self.codebook = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.mask: Tensor
        self.quantized = False
        self.frozen = False
        self.plan: IntegerPlan | None = None

    def set_projection(
        self, mask: npt.NDArray[np.bool_], codebook: npt.NDArray[np.float64]
    ) -> None:
        """Take a new mask and new values of the weights."""
        self.mask.copy_(torch.from_numpy(mask.astype(np.float32)))
        self.codebook = nn.Parameter(
            torch.from_numpy(codebook.astype(np.float32)), requires_grad=False
        )
        self.quantized = True

    def freeze(self) -> None:
        """Fix the mask; let the codebook learn."""
        self.frozen = True
        self.codebook.requires_grad_(True)

    def alive(self) -> Tensor:
        """Return 1 for output channels with a weight, and for all of the last layer."""
        if self.last:
            return torch.ones_like(self.bias)
        alive: Tensor = self.mask.amax(dim=(1, 2, 3))
        return alive

    def real_weight(self) -> Tensor:
        """Return the weights that the layer computes with, in real units, straight-through."""
        if not self.quantized:
            return self.weight
        book = self._book()
        index = torch.bucketize(self.weight.detach(), (book[1:] + book[:-1]).detach() / 2)
        chosen = book[index]
        if not self.frozen:
            return self.weight + (chosen * self.mask - self.weight).detach()
        return (chosen + (self.weight - self.weight.detach())) * self.mask

    def _book(self) -> Tensor:
        book = torch.sort(self.codebook).values
        if self.plan is None:
            return book
        scale = self.plan.weight_scale
        return book + (_whole(book.detach() / scale, self.plan.top) * scale - book).detach()

    def real_bias(self, weight: Tensor) -> Tensor:
        """Return the bias in real units, the mean of the input taken off; 0 for dead channels."""
        bias: Tensor = self.bias
        if self.mean is not None:
            bias = bias - (weight.sum(dim=(2, 3)) * self.mean).sum(1)
        return bias * self.alive() if self.quantized else bias

    def forward(self, x: Tensor) -> Tensor:
        """Return real activations, or integers if the layer has a plan."""
        weight = self.real_weight()
        bias = self.real_bias(weight)
        if self.plan is None:
            y = padded_conv(x, weight, bias, self.layer)
            return functional.relu(y) if self.layer.relu else y
        plan = self.plan
        acc = self.accumulate(x, weight, bias)
        return requantize(acc, plan.multiplier, plan.shift, plan.output.lo, plan.output.hi)

    def accumulate(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the integer accumulators for integer inputs; exact whatever their size."""
        plan = self.plan
        assert plan is not None
        unit = plan.in_scale * plan.weight_scale
        scaled = weight / plan.weight_scale
        scaled = scaled + (torch.round(scaled) - scaled).detach()  # whole but for float rounding
        real = bias / unit
        whole = real + (self.whole_bias(real) - real).detach()
        if self.bound(scaled, whole) < FLOAT32_EXACT:
            return padded_conv(x, scaled, None, self.layer) + whole.view(1, -1, 1, 1)
        acc = padded_conv(x.double(), scaled.double(), None, self.layer)
        return acc + whole.double().view(1, -1, 1, 1)

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
        assert self.plan is not None
        sums = weight.detach().abs().double().sum(dim=(1, 2, 3)) * self.plan.source.max_abs
        return int((sums + bias.detach().abs().double()).max())

    def integers(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
        """Return the integer weights and biases."""
        plan = self.plan
        assert plan is not None
        with torch.no_grad():
            weight = self.real_weight()
            bias = self.real_bias(weight) / (plan.in_scale * plan.weight_scale)
            whole = torch.round(weight / plan.weight_scale)
            return whole.numpy().astype(np.int8), self.whole_bias(bias).numpy().astype(np.int32)


def _whole(values: Tensor, top: int) -> Tensor:
    """Return non-zero integers of at most `top` in magnitude."""
    whole = torch.round(values).clamp(-top, top)
    sign = torch.where(values < 0, -torch.ones_like(values), torch.ones_like(values))
    return torch.where(whole == 0, sign, whole)


class QatNetwork(nn.Module):
    """A chain of `QatConv` and pooling layers on raw pixels."""

    def __init__(self, network: FloatNetwork) -> None:
        super().__init__()
        self.network = network
        channels = network.input_shape[0]
        std = np.broadcast_to(np.array(network.std), (channels,))
        mean = np.broadcast_to(np.array(network.mean), (channels,))
        common = float(std.mean())
        self.in_scale = 1.0 / (network.input_max * common)
        self.input_format = pixel_format(network.input_max)
        self.convs = nn.ModuleList()
        for index, layer in enumerate(network.convs):
            offset = None
            if index == 0:
                gain = (common / std).astype(np.float32)[None, :, None, None]
                layer = _scaled(layer, gain)
                if mean.any():
                    _check_padding(layer, network)
                    offset = torch.from_numpy((mean / common).astype(np.float32))
            self.convs.append(QatConv(layer, offset, index == len(network.convs) - 1))

    def layers(self) -> list[QatConv]:
        """Return the layers that have weights."""
        return [layer for layer in self.convs if isinstance(layer, QatConv)]

    def forward(self, pixels: Tensor) -> Tensor:
        """Return real logits, shape (images, outputs)."""
        layers = self.layers()
        whole = layers[0].plan is not None
        x = pixels if whole else pixels * self.in_scale
        convs = iter(layers)
        for step in self.network.layers:
            if isinstance(step, FloatMaxPool):
                x = functional.max_pool2d(x, step.kernel, step.stride)
            else:
                x = next(convs)(x)
        plan = layers[-1].plan
        return x.flatten(1) * plan.output_scale if plan is not None else x.flatten(1)


def pixel_format(input_max: int) -> ActivationFormat:
    """Return the narrowest format of raw pixels."""
    return ActivationFormat(max(2, input_max.bit_length()), signed=False)


def _scaled(layer: FloatConv, gain: npt.NDArray[np.float32]) -> FloatConv:
    return replace(layer, weight=layer.weight * gain)


def _check_padding(layer: FloatConv, network: FloatNetwork) -> None:
    if any(layer.padding):
        raise SqhwError(
            f"layer {layer.name!r}: padding {layer.padding} and a normalisation mean of "
            f"{network.mean} cannot both be folded into it exactly; "
            "train with mean 0 or without padding in the first layer"
        )
