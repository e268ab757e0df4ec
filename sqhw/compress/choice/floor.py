"""Smallest network that a compression may end in: one path of weights for every output."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Mask
from sqhw.network.floats import FloatConv, FloatNetwork


def floor_masks(
    network: FloatNetwork, scores: Sequence[npt.NDArray[np.float64]]
) -> list[npt.NDArray[np.bool_]]:
    """Return the weights that are always kept, so that no layer is ever emptied.

    All outputs of the network are needed. From the last layer to the first, each needed output
    channel keeps its best weight. The input channel of that weight is then needed too, and so is
    the channel that a skip connection adds to it.

    Parameters
    ----------
    network : FloatNetwork
    scores : sequence of ndarray, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Worth of each weight, one array for each trained layer.

    Returns
    -------
    list of ndarray of bool
        Masks of the shapes of `scores`.
    """
    needed = {name: np.zeros(shape[0], dtype=bool) for name, shape in network.shapes().items()}
    needed[network.layers[-1].name][:] = True
    rest = list(scores)
    masks: list[Mask] = []
    for layer in reversed(network.layers):
        outputs = needed[layer.name]
        if isinstance(layer, FloatConv) and layer.trained:
            mask, inputs = _best(rest.pop(), outputs, layer.groups)
            masks.append(mask)
        else:  # each output channel is made of the input channel of the same index
            inputs = outputs
        needed[layer.source] |= inputs
        if isinstance(layer, FloatConv) and layer.residual:
            first, skip = layer.residual.first, needed[layer.residual.source]
            skip |= outputs[first : first + len(skip)]
    return masks[::-1]


def _best(score: npt.NDArray[np.float64], outputs: Mask, groups: int) -> tuple[Mask, Mask]:
    """Return the best weight of each needed output channel, and the input channels read."""
    channels, group_inputs = score.shape[:2]
    mask = np.zeros(score.shape, dtype=bool)
    rows = np.flatnonzero(outputs)
    best = score.reshape(channels, -1).argmax(axis=1)[rows]
    mask.reshape(channels, -1)[rows, best] = True
    read = mask.any(axis=(2, 3)).reshape(groups, channels // groups, group_inputs).any(axis=1)
    return mask, read.reshape(-1)
