"""Masks that follow the weights: a layer keeps the weights that have grown largest."""

import torch
from torch import Tensor

from sqhw.compress.qat.convolution import QatConv


def largest(weight: Tensor, room: Tensor, count: int, *, always: Tensor | None = None) -> Tensor:
    """Return the mask of the largest weights, of equal ones the first.

    Parameters
    ----------
    weight : Tensor
    room : Tensor of bool, shape of `weight`
        Places that may be kept.
    count : int, 1 or more
        Number of weights to keep. Fewer are kept if `room` has fewer that are not 0.
    always : Tensor of bool, shape of `weight`, optional
        Weights that are taken first, whatever their size.

    Returns
    -------
    Tensor of bool, shape of `weight`
    """
    magnitude = weight.detach().abs() * room
    if always is not None:
        magnitude = magnitude.masked_fill(always, torch.inf)
    magnitude = magnitude.reshape(-1)
    if count >= len(magnitude):
        return (magnitude > 0).view_as(weight)
    least = torch.kthvalue(magnitude, len(magnitude) - count + 1).values
    found = (magnitude >= least) & (magnitude > 0)
    beyond = int(found.sum()) - count
    if beyond > 0:
        equal = torch.nonzero(magnitude == least).reshape(-1)
        found[equal[len(equal) - beyond :]] = False
    return found.view_as(weight)


@torch.no_grad()
def refresh(layer: QatConv, mask: Tensor) -> None:
    """Set a new mask, and move each value of the codebook to the mean of its weights.

    Kept and dropped weights alike learn by the gradient of their place, so every step of training
    may exchange some. That is magnitude pruning with masks that stay free, as in dynamic network
    surgery (Guo et al., NeurIPS 2016), and one step of Lloyd's algorithm.

    Parameters
    ----------
    layer : QatConv
        Layer with a codebook that is not frozen.
    mask : Tensor of bool, shape of the weight
    """
    layer.mask.copy_(mask)
    kept = layer.weight[mask]
    book = torch.sort(layer.codebook).values
    index = torch.bucketize(kept, (book[1:] + book[:-1]) / 2)
    counts = torch.bincount(index, minlength=len(book))
    sums = torch.bincount(index, kept, minlength=len(book))
    layer.codebook.copy_(torch.where(counts > 0, sums / counts.clamp(min=1), book))
