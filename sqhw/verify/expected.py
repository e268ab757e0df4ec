"""What the engine must write back, in the order in which it does."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.placement import Tiling


def writeback(
    tilings: tuple[Tiling, ...], tensors: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[np.uint8]:
    """Return the bytes of one image: layer by layer, tile by tile, channel by channel.

    Parameters
    ----------
    tilings : tuple of Tiling
        The layers of the compiled network.
    tensors : mapping of str to ndarray of int, shape (channels, height, width)
        Every tensor of the image by name.

    Returns
    -------
    ndarray of uint8, shape (activations,)
        Two's complement where a tensor is signed.
    """
    parts = []
    for tiling in tilings:
        tensor = np.asarray(tensors[tiling.layer.name])
        channels, height, width = tensor.shape
        lanes = tiling.target.lanes
        position = np.arange(tiling.tiles * lanes).reshape(tiling.tiles, 1, lanes)
        y, x = np.divmod(
            np.broadcast_to(position, (tiling.tiles, channels, lanes)), [tiling.source.pitch]
        )
        channel = np.arange(channels).reshape(1, channels, 1) + 0 * x
        inside = (y < height) & (x < width)
        parts.append(tensor[channel[inside], y[inside], x[inside]])
    return np.concatenate(parts).astype(np.int64).astype(np.uint8)
