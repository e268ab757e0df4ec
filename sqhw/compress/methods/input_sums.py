"""Sums over the inputs of a layer, which make its compression a quadratic problem."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sqhw.arrays import Floats64
from sqhw.compress.methods.obs import row_groups
from sqhw.network.floats import FloatConv

#: Number of images that are summed at a time.
BATCH = 32


@dataclass(eq=False)
class InputSums:
    """Sums over the inputs of a layer; each window of the kernel is a column vector x.

    Parameters
    ----------
    second : ndarray of float64, shape (groups, columns, columns)
        Sum of ``2 x x'``: the Hessian of the squared error of an output.
    first : ndarray of float64, shape (groups, columns)
        Sum of x.
    cross : ndarray of float64, shape (rows, columns)
        Sum of ``2 e x'``, where e is the error of the outputs of the window.
    errors : ndarray of float64, shape (rows,)
        Sum of e.
    count : int
        Number of windows.
    """

    second: Floats64
    first: Floats64
    cross: Floats64
    errors: Floats64
    count: int = 0

    @classmethod
    def empty(cls, layer: FloatConv) -> "InputSums":
        """Return sums over no inputs."""
        rows, columns = as_matrix(layer).shape
        shape = layer.groups, columns
        return cls(
            np.zeros((*shape, columns)), np.zeros(shape), np.zeros((rows, columns)), np.zeros(rows)
        )

    def add(self, x: Tensor, layer: FloatConv, *, error: Tensor | None = None) -> None:
        """Add the inputs of some images.

        Parameters
        ----------
        x : Tensor, shape (images, channels, height, width)
            Input map.
        layer : FloatConv
        error : Tensor, shape (images, rows, height, width), optional
            Error of the outputs.
        """
        top, bottom, left, right = layer.padding
        x = functional.pad(x, (left, right, top, bottom))
        kernel = layer.weight.shape[2], layer.weight.shape[3]
        windows = functional.unfold(x, kernel, stride=layer.stride)  # (n, channels * taps, places)
        each = windows.transpose(0, 1).reshape(layer.groups, self.first.shape[1], -1)
        self.second += 2 * torch.bmm(each, each.transpose(1, 2)).double().numpy()
        self.first += each.double().sum(dim=2).numpy()
        self.count += each.shape[2]
        if error is not None:
            wrong = error.transpose(0, 1).reshape(layer.groups, -1, each.shape[2])
            self.cross += 2 * torch.bmm(wrong, each.transpose(1, 2)).double().numpy().reshape(
                self.cross.shape
            )
            self.errors += wrong.double().sum(dim=2).numpy().reshape(-1)

    @property
    def mean(self) -> Floats64:
        """Mean of x, shape (groups, columns)."""
        return self.first / self.count

    def centred(self) -> Floats64:
        """Return the Hessian of outputs whose bias removes the mean error, shape of `second`."""
        return self.second - 2 * self.count * self.mean[:, :, None] * self.mean[:, None, :]

    def towards(self) -> Floats64:
        """Return `cross` of outputs whose bias removes the mean error."""
        groups = row_groups(len(self.errors), len(self.first))
        return self.cross - 2 * self.errors[:, None] * self.mean[groups]


def solved(hessian: Floats64, sides: Floats64) -> Floats64:
    """Return ``sides`` times the inverse Hessian of each row's group.

    Parameters
    ----------
    hessian : ndarray of float64, shape (groups, columns, columns)
    sides : ndarray of float64, shape (rows, columns)

    Returns
    -------
    ndarray of float64, shape (rows, columns)
    """
    rows = len(sides) // len(hessian)
    parts = sides.reshape(len(hessian), rows, -1)
    found = np.linalg.solve(hessian, parts.transpose(0, 2, 1)).transpose(0, 2, 1)
    return np.asarray(found.reshape(sides.shape), dtype=np.float64)


def as_matrix(layer: FloatConv) -> Floats64:
    """Return the weights as a matrix with a row for each output channel."""
    return layer.weight.reshape(len(layer.weight), -1).astype(np.float64)
