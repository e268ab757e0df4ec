"""The normalisation of a layer while it learns: put in, and folded into its parameters."""

from typing import NamedTuple

import torch
from torch import Tensor

from sqhw.compress.qat.convolution import LEAST_GAIN, LearningConv
from sqhw.compress.qat.normalisation import EPSILON, Normalisation


def normalise(layer: LearningConv) -> None:
    """Normalise the sums from here on: each channel where gains may differ, or all as one.

    The normalisation changes nothing before it has statistics (`adopt`).
    """
    shared = not layer.gain_bits
    layer.norm = Normalisation(len(layer.bias), shared=shared).to(layer.weight.device)
    layer.gain.requires_grad_(False)


@torch.no_grad()
def adopt(norm: Normalisation | None, bias: Tensor) -> None:
    """Set scale and bias so that the layer, by its statistics, computes as before.

    Parameters
    ----------
    norm : Normalisation or None
        Normalisation with statistics; without one nothing changes.
    bias : Tensor, shape (channels,)
        Bias of the layer.
    """
    if norm is None:
        return
    norm.scale.copy_(torch.sqrt(norm.variance + EPSILON))
    bias.add_(norm.mean)


class Folded(NamedTuple):
    """What a normalisation comes to, by its statistics.

    Parameters
    ----------
    common : Tensor, shape (1,)
        Factor of all weights.
    gain : Tensor, shape (channels,)
        Further factor of each channel, `LEAST_GAIN` to 1.
    shift : Tensor, shape (channels,)
        What the bias loses.
    """

    common: Tensor
    gain: Tensor
    shift: Tensor


@torch.no_grad()
def folded(norm: Normalisation, used: Tensor) -> Folded:
    """Return factors and shift that stand for a normalisation.

    They are exact where the factors of the channels lie within a range of 1 to `LEAST_GAIN`.
    Otherwise the least energy of the layer's map changes.

    Parameters
    ----------
    norm : Normalisation
    used : Tensor of bool, shape (channels,)
        Whether a channel has weights.
    """
    factor = norm.factor()
    gain = torch.ones_like(norm.mean)
    if norm.shared:
        return Folded(factor, gain, norm.mean * factor)
    # The factor of a nearly constant map has no meaning: its bias is the whole map.
    used = used & (norm.variance > EPSILON)
    common = _common(factor[used], norm.variance[used])
    gain = torch.where(used, factor / common, gain).clamp_(LEAST_GAIN, 1.0)
    return Folded(common, gain, norm.mean * (gain * common))


@torch.no_grad()
def fold(layer: LearningConv) -> None:
    """Fold the normalisation into weights, codebook, gains and biases; see `folded`."""
    norm, layer.norm = layer.norm, None
    if norm is None:
        return
    found = folded(norm, layer.mask.amax(dim=(1, 2, 3)) > 0)
    if not norm.shared:
        layer.gain.copy_(found.gain)
        layer.gain.requires_grad_(True)
    layer.bias.sub_(found.shift)
    layer.weight.mul_(found.common)
    layer.codebook.mul_(found.common)


def _common(factor: Tensor, variance: Tensor) -> Tensor:
    """Return the factor whose range of gains changes the maps of channels least, shape (1,).

    It is the largest of the factors wherever gains hold the others. A channel that hardly varies
    may have a factor far beyond those of the others; they then count for more.

    Parameters
    ----------
    factor, variance : Tensor, shape (channels,)
        Factors of channels, and the variances of the sums that they multiply.
    """
    if not len(factor):
        return factor.new_ones(1)
    wanted, tops = factor.view(-1, 1), factor.view(1, -1)
    held = torch.minimum(torch.maximum(wanted, LEAST_GAIN * tops), tops)
    error = ((held - wanted) ** 2 * variance.view(-1, 1)).sum(0)
    return factor[error.argmin()].view(1)
