"""Compiled functions: the layers of a plan, and the way of images into the arena and out of it.

They release the interpreter's lock.
"""

import ctypes
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.sim.layout import Layout
from sqhw.sim.machine_code import MachineCode, host_features
from sqhw.sim.plan_layout import MAP_FIELDS
from sqhw.sim.variants import shape_of

#: Shape of this machine's vectors, and images of a vector.
SHAPE = shape_of(host_features())
LANES = SHAPE.lanes
Bytes = npt.NDArray[np.uint8]

_POINTERS, _NUMBERS = [ctypes.c_void_p] * 3, [ctypes.c_int64] * 3


#: Threads must not load the code twice: that which is dropped is freed while it runs.
_LOADING = Lock()


@cache
def _code() -> MachineCode:
    return MachineCode(SHAPE)


@cache
def _function(symbol: str, *arguments: Any) -> Any:
    with _LOADING:
        address = _code().address(symbol)
    return ctypes.CFUNCTYPE(None, *arguments)(address)


def run(
    content: Bytes, operations: npt.NDArray[np.int64], split: int, arena: Bytes, groups: int
) -> None:
    """Run operations on groups of images that are in the arena.

    Parameters
    ----------
    content : ndarray of uint8
        Content of a plan.
    operations : ndarray of int64, shape (operations, fields)
        Contiguous.
    split : int
        Number of operations that run group after group.
    arena : ndarray of uint8
    groups : int
    """
    function = _function("sqhw_run", *_POINTERS, *_NUMBERS)
    addresses = (array.ctypes.data for array in (content, operations, arena))
    function(*addresses, split, len(operations), groups)


def pack(images: npt.NDArray[Any], arena: Bytes, offset: int, layout: Layout) -> None:
    """Write images into a tensor of the arena; lanes without an image get zeros.

    Parameters
    ----------
    images : ndarray of uint8 or int32, shape (images, channels, height, width)
        Contiguous.
    arena : ndarray of uint8
    offset : int
        Place of the tensor (unit: byte).
    layout : Layout
    """
    if len(images):
        _move(f"sqhw_pack_{8 * images.itemsize}", images, arena, offset, layout)


def unpack(arena: Bytes, offset: int, layout: Layout, maps: npt.NDArray[np.int32]) -> None:
    """Read images from a tensor of the arena.

    Parameters
    ----------
    arena : ndarray of uint8
    offset : int
        Place of the tensor (unit: byte).
    layout : Layout
    maps : ndarray of int32, shape (images, channels, height, width)
        Contiguous; overwritten.
    """
    _move("sqhw_unpack", maps, arena, offset, layout)


def _move(symbol: str, images: npt.NDArray[Any], arena: Bytes, offset: int, layout: Layout) -> None:
    fields = np.array([*images.shape, layout.group, layout.plane, layout.row], np.int64)
    assert len(fields) == len(MAP_FIELDS)
    top, _, left, _ = layout.padding
    tensor = arena.ctypes.data + offset + top * layout.row + left * layout.column
    _function(symbol, *_POINTERS)(images.ctypes.data, tensor, fields.ctypes.data)
