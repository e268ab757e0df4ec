"""Values of an ONNX graph while it is read: known arrays, and tensors that an image makes."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.quantization import Quantization
from sqhw.frontends.onnx_file.arrays import Array
from sqhw.frontends.onnx_file.node import Node, Unsupported

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Known:
    """An array that does not depend on the image.

    Parameters
    ----------
    array : ndarray
        Numbers; the integers of a grid if there is one.
    grid : Quantization, optional
        What the integers stand for.
    raw : bool
        Whether the value in the file is the integers, and not the numbers that they stand for.
    name : str
        Name of the initializer that it comes from, for messages.
    """

    array: Array
    grid: Quantization | None = None
    raw: bool = False
    name: str = ""

    @property
    def values(self) -> Array:
        """The numbers that the value has in the file."""
        if self.grid is None or self.raw:
            return self.array
        return self.grid.reals(self.array)

    @property
    def constant(self) -> Constant:
        """The value as a constant of the neutral graph."""
        if self.grid is None:
            return Constant(self.name, self.array)
        return Constant(self.name, self.array, self.grid)


@dataclass(frozen=True, eq=False)
class Value:
    """A value that depends on the image: a tensor of the neutral graph, its axes in any order.

    Parameters
    ----------
    tensor : str
        Name of the tensor.
    axes : tuple of int or None
        Axis of the tensor (0 channel, 1 row, 2 column) that each axis after that of the images is;
        None for an axis of size 1 that the tensor lacks.
    integer : bool
        Whether the value in the file is the integers of the tensor's grid, not real numbers.
    end : Node, optional
        The node at the end of the network that was left out before this value.
    """

    tensor: str
    axes: tuple[int | None, ...]
    integer: bool = False
    end: Node | None = None


def scalar(array: Array) -> Any:
    """Return the only number of an array, or None if there are more."""
    return array.reshape(-1)[0].item() if array.size == 1 else None


def transposed(known: Known, order: tuple[int, ...]) -> Known:
    """Return an array with its axes in another order."""
    grid = known.grid
    if grid is not None and grid.axis is not None:
        grid = replace(grid, axis=order.index(grid.axis))
    return replace(known, array=known.array.transpose(order), grid=grid)


def reshaped(known: Known, shape: tuple[int, ...]) -> Known:
    """Return an array in another shape.

    Raises
    ------
    Unsupported
        If it has several scales, along an axis that the shape lacks.
    """
    grid = known.grid
    if grid is not None and grid.axis is not None:
        before = prod(known.array.shape[: grid.axis])
        size = known.array.shape[grid.axis]
        places = [
            at for at in range(len(shape)) if prod(shape[:at]) == before and shape[at] == size
        ]
        if not places:
            raise Unsupported(f"makes {shape} of an array with scales along axis {grid.axis}")
        grid = replace(grid, axis=places[0])
    return replace(known, array=known.array.reshape(shape), grid=grid)
