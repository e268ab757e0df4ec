"""The smallest network that a compression may end in: one path of weights for every output."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Mask
from sqhw.network.floats import FloatConv, FloatNetwork


def floor_masks(
    network: FloatNetwork, scores: Sequence[npt.NDArray[np.float64]]
) -> list[npt.NDArray[np.bool_]]:
    """Return the weights that are always kept, so that no layer is ever emptied.

    From the last layer to the first, each output channel that is needed keeps its best weight; the
    input channel of that weight is needed in turn, and so is the channel that a skip connection
    adds to it. All outputs of the network are needed.

    Parameters
    ----------
    network : FloatNetwork
    scores : sequence of ndarray, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Worth of each weight, trained layer by trained layer.

    Returns
    -------
    list of ndarray of bool
        Shapes as `scores`.
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
        else:  # channels stay what they are
            inputs = outputs
        needed[layer.source] |= inputs
        if isinstance(layer, FloatConv) and layer.residual:
            first, skip = layer.residual.first, needed[layer.residual.source]
            skip |= outputs[first : first + len(skip)]
    return masks[::-1]


def _best(score: npt.NDArray[np.float64], outputs: Mask, groups: int) -> tuple[Mask, Mask]:
    """Return the best weight of each needed output channel and the input channels of them."""
    channels, group_inputs = score.shape[:2]
    mask = np.zeros(score.shape, dtype=bool)
    rows = np.flatnonzero(outputs)
    best = score.reshape(channels, -1).argmax(axis=1)[rows]
    mask.reshape(channels, -1)[rows, best] = True
    read = mask.any(axis=(2, 3)).reshape(groups, channels // groups, group_inputs).any(axis=1)
    return mask, read.reshape(-1)
