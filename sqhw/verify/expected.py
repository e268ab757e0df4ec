"""The bytes that the engine must write back, in its order."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.network.quantized import Conv
from sqhw.planner.placement import Tiling, Write

#: Value that stands for a byte beyond the map, which may be anything.
ANYTHING = -1


def writeback(
    tilings: tuple[Tiling[Conv], ...], tensors: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[np.int16]:
    """Return the bytes of one run: layer by layer, tile by tile, channel by channel.

    Parameters
    ----------
    tilings : tuple of Tiling
        The layers of the compiled network.
    tensors : mapping of str to ndarray of int, shape (batch, channels, height, width)
        Every tensor of the run's images by name.

    Returns
    -------
    ndarray of int16, shape (bytes,)
        Bytes of 0 to 255, two's complement where a tensor is signed, or `ANYTHING`.
    """
    parts = []
    for tiling in tilings:
        tensor = np.asarray(tensors[tiling.layer.name])
        batch, channels, height, width = tensor.shape
        lanes = tiling.target.lanes
        lane = np.arange(lanes)
        # Bytes that are written together or not at all.
        together = {Write.AS_COMPUTED: lanes, Write.WALKED: tiling.requantizers, Write.SERIAL: 1}
        unit = together[tiling.write]
        if tiling.transposes:
            unit *= 2
            lane = lane.reshape(-1, unit // 2, 2).swapaxes(1, 2).reshape(lanes)
        element = np.arange(0, tiling.tiles * lanes, lanes).reshape(tiling.tiles, 1, 1) + lane
        element = np.broadcast_to(element, (tiling.tiles, channels, lanes))
        position, image = np.divmod(element, batch)
        y, x = np.divmod(position, tiling.source.pitch)
        channel = np.broadcast_to(np.arange(channels).reshape(1, channels, 1), element.shape)
        inside = (y < height) & (x < width)
        values = np.full(element.shape, ANYTHING, dtype=np.int16)
        values[inside] = tensor[image[inside], channel[inside], y[inside], x[inside]] & 0xFF
        units = inside.reshape(-1, unit)
        written = units.any(axis=1, keepdims=True) | (tiling.write is Write.AS_COMPUTED)
        parts.append(values.reshape(-1, unit)[np.broadcast_to(written, units.shape)])
    return np.concatenate(parts)
