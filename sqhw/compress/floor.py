"""The smallest network that a compression may end in: one path of weights for every output."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def floor_masks(scores: Sequence[npt.NDArray[np.float64]]) -> list[npt.NDArray[np.bool_]]:
    """Return the weights that are always kept, so that no layer is ever emptied.

    From the last layer to the first, each output channel that is needed keeps its best weight,
    and the input channel of that weight is needed in turn. All outputs of the network are needed.

    Parameters
    ----------
    scores : sequence of ndarray, shape (out_channels, in_channels, kernel_h, kernel_w)
        Worth of each weight, layer by layer.

    Returns
    -------
    list of ndarray of bool
        Shapes as `scores`.
    """
    masks = []
    needed = np.arange(scores[-1].shape[0])
    for score in reversed(scores):
        mask = np.zeros(score.shape, dtype=bool)
        best = score.reshape(score.shape[0], -1).argmax(axis=1)[needed]
        mask.reshape(score.shape[0], -1)[needed, best] = True
        masks.append(mask)
        needed = np.flatnonzero(mask.any(axis=(0, 2, 3)))
    return masks[::-1]
