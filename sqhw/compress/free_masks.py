"""Masks that follow the weights: what a layer keeps is what has grown largest."""

import torch
from torch import Tensor

from sqhw.compress.qat_layers import QatConv


def largest(weight: Tensor, room: Tensor, count: int) -> Tensor:
    """Return the places of the largest weights.

    Parameters
    ----------
    weight : Tensor
    room : Tensor of bool, shape of `weight`
        Places that a weight may have.
    count : int, 1 or more
        Weights wanted; there are fewer if the room has no more that are not 0.

    Returns
    -------
    Tensor of bool, shape of `weight`
    """
    magnitude = (weight.detach().abs() * room).reshape(-1)
    if count >= len(magnitude):
        return (magnitude > 0).view_as(weight)
    least = torch.kthvalue(magnitude, len(magnitude) - count + 1).values
    return ((magnitude >= least) & (magnitude > 0)).view_as(weight)


@torch.no_grad()
def refresh(layer: QatConv, room: Tensor) -> None:
    """Keep the largest weights, as many as before, and move each value to the mean of its own.

    A weight of the layer learns by the gradient of its place whether it is kept or not, so every
    step of training may exchange some. That is magnitude pruning with masks that stay free, as in
    dynamic network surgery (Guo et al., NeurIPS 2016), and one step of Lloyd's algorithm.

    Parameters
    ----------
    layer : QatConv
        With a mask and a codebook, not frozen.
    room : Tensor of bool, shape of the weight
        Places that a weight may have.
    """
    mask = largest(layer.weight, room, int(layer.mask.sum()))
    layer.mask.copy_(mask)
    kept = layer.weight[mask]
    book = torch.sort(layer.codebook).values
    index = torch.bucketize(kept, (book[1:] + book[:-1]) / 2)
    counts = torch.bincount(index, minlength=len(book))
    sums = torch.bincount(index, kept, minlength=len(book))
    layer.codebook.copy_(torch.where(counts > 0, sums / counts.clamp(min=1), book))
