"""The bytes that the engine must write back, in its order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.network.quantized import Conv
from sqhw.planner.placement import Tiling, Write

#: Value that stands for a byte beyond the map, which may be anything.
ANYTHING = -1


@dataclass(frozen=True)
class Written:
    """The bytes that a layer writes back, in order, shape (bytes,) each.

    Parameters
    ----------
    inside : ndarray of bool
        Whether a byte is one of the map; the others may be anything.
    image, channel, row, column : ndarray of int
        Its place in the map.
    """

    inside: npt.NDArray[np.bool_]
    image: npt.NDArray[Any]
    channel: npt.NDArray[Any]
    row: npt.NDArray[Any]
    column: npt.NDArray[Any]


def written(tiling: Tiling[Conv]) -> Written:
    """Return the places of the bytes that a layer writes: tile by tile, channel by channel."""
    target, lanes = tiling.target, tiling.target.lanes
    channels, height, width = target.shape
    lane = np.arange(lanes)
    # Bytes that are written together or not at all.
    together = {Write.AS_COMPUTED: lanes, Write.WALKED: tiling.requantizers, Write.SERIAL: 1}
    unit = together[tiling.write]
    if tiling.transposes:
        unit *= 2
        lane = lane.reshape(-1, unit // 2, 2).swapaxes(1, 2).reshape(lanes)
    element = np.arange(0, tiling.tiles * lanes, lanes).reshape(tiling.tiles, 1, 1) + lane
    element = np.broadcast_to(element, (tiling.tiles, channels, lanes))
    phase, inner = np.zeros_like(element), element
    if tiling.phased:
        phase, inner = np.divmod(element, tiling.tiles // 4 * lanes)
    position, image = np.divmod(inner, target.batch)
    y, x = np.divmod(position, tiling.pitch)
    if tiling.phased:
        y, x = 2 * y + phase // 2, 2 * x + phase % 2
    channel = np.broadcast_to(np.arange(channels).reshape(1, channels, 1), element.shape)
    inside = (y < height) & (x < width)
    units = inside.reshape(-1, unit)
    everything = tiling.phased or tiling.write is Write.AS_COMPUTED
    kept = units.any(axis=1, keepdims=True) | everything
    kept = np.broadcast_to(kept, units.shape)

    def in_order(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values.reshape(-1, unit)[kept]

    return Written(*map(in_order, (inside, image, channel, y, x)))


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
        at = written(tiling)
        values = np.full(at.inside.shape, ANYTHING, dtype=np.int16)
        places = (at.image, at.channel, at.row, at.column)
        values[at.inside] = tensor[tuple(place[at.inside] for place in places)] & 0xFF
        parts.append(values)
    return np.concatenate(parts)
