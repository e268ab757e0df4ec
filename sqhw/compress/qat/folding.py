"""The normalisation of a layer while it learns: put in, and folded into its parameters."""

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
def adopt(layer: LearningConv) -> None:
    """Set scale and bias so that the layer, by its statistics, computes as before."""
    assert layer.norm is not None
    layer.norm.scale.copy_(torch.sqrt(layer.norm.variance + EPSILON))
    layer.bias.add_(layer.norm.mean)


@torch.no_grad()
def fold(layer: LearningConv) -> None:
    """Fold the normalisation, by its statistics, into weights, codebook, gains and biases.

    That is exact where the factors of the channels lie within a range of 1 to `LEAST_GAIN`.
    Otherwise the least energy of the layer's map changes.
    """
    norm, layer.norm = layer.norm, None
    if norm is None:
        return
    factor = norm.factor()
    if norm.shared:
        common = factor
    else:
        # The factor of a nearly constant map has no meaning: its bias is the whole map.
        used = (layer.mask.amax(dim=(1, 2, 3)) > 0) & (norm.variance > EPSILON)
        common = _common(factor[used], norm.variance[used])
        gain = torch.where(used, factor / common, torch.ones_like(factor))
        gain.clamp_(LEAST_GAIN, 1.0)
        factor = gain * common
        layer.gain.copy_(gain)
        layer.gain.requires_grad_(True)
    layer.bias.sub_(norm.mean * factor)
    layer.weight.mul_(common)
    layer.codebook.mul_(common)


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
