"""Models after pruning: with masks and codebooks, without dead channels."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from sqhw.arrays import Mask
from sqhw.compress.qat.convolution import LearningConv
from sqhw.compress.qat.float_simplify import cut
from sqhw.compress.qat.network import QatNetwork
from sqhw.network.floats import FloatNetwork
from sqhw.network.simplify import live_channels


def stored_channels(network: FloatNetwork, model: QatNetwork) -> dict[str, Mask]:
    """Return the channels of every tensor that masks leave alive.

    A channel whose weights all read dead channels goes too, with the constant that it would make.

    Parameters
    ----------
    network : FloatNetwork
        Network that `model` was made of.
    model : QatNetwork
        Model with masks.

    Returns
    -------
    dict of str to ndarray of bool, shape (channels,)
    """
    masks = {layer.layer.name: layer.mask.cpu().numpy() != 0 for layer in model.layers()}
    groups = {layer.name: layer.groups for layer in network.convs}
    sources = {layer.name: layer.source for layer in network.convs}
    while True:
        layers = tuple(
            replace(
                layer,
                weight=masks[layer.name].astype(np.float32),
                bias=masks[layer.name].any(axis=(1, 2, 3)).astype(np.float32),
            )
            if layer.name in masks
            else layer
            for layer in network.layers
        )
        keep = live_channels(replace(network, layers=layers))
        left = {
            name: mask & keep[name][:, None, None, None] & keep[sources[name]][None, :, None, None]
            if groups[name] == 1
            else mask
            for name, mask in masks.items()
        }
        if all(np.array_equal(left[name], mask) for name, mask in masks.items()):
            return keep
        masks = left


def compact(network: FloatNetwork, model: QatNetwork, keep: dict[str, Mask]) -> QatNetwork:
    """Return a model of the channels to keep, otherwise in the state of `model`, on the CPU.

    Parameters
    ----------
    network : FloatNetwork
        Network that `model` was made of.
    model : QatNetwork
        Model that is not yet on integers.
    keep : dict of str to ndarray of bool, shape (channels,)
        Channels to keep, as `stored_channels` returns them.
    """
    small = QatNetwork(cut(network, keep))
    sources = {layer.name: layer.source for layer in network.convs}
    for old, new in zip(model.learning_layers(), small.learning_layers(), strict=True):
        name = old.layer.name
        _take(old, new, torch.from_numpy(keep[name]), torch.from_numpy(keep[sources[name]]))
    return small


def _take(old: LearningConv, new: LearningConv, rows: Tensor, columns: Tensor) -> None:
    if old.layer.groups > 1:
        columns = torch.ones(old.weight.shape[1], dtype=torch.bool)
    with torch.no_grad():
        new.weight.copy_(old.weight[rows][:, columns])
        new.bias.copy_(old.bias[rows])
        new.gain.copy_(old.gain[rows])
        new.mask.copy_(old.mask[rows][:, columns])
    book = old.codebook.detach().clone().to(new.weight.device)
    new.codebook = nn.Parameter(book, requires_grad=False)
    new.share = old.share
    new.learn_gains(old.gain_bits)
