"""Optimal brain surgeon on one layer: the weights that go, and the update of the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sqhw.arrays import Floats64, Mask
from sqhw.compress.quantizers.codebook import Codebook
from sqhw.environment.kernel import kernel

#: Ratio of neighbouring numbers of weights on a path.
RATIO = 0.8
#: Number of rows times the cube of their length above which a path goes on at a lower density after
#: its first step. The inverses of a step take about three such products.
WORK = 8e9


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as a quadratic problem: ``sum_r g_r (w_r - v_r)' H (w_r - v_r)`` over its rows.

    Parameters
    ----------
    weight : ndarray of float64, shape (rows, columns)
        Weights; a row belongs to an output channel.
    hessian : ndarray of float64, shape (groups, columns, columns)
        ``2 X X'`` of the inputs of each group of rows, damped so that it is positive definite.
    worth : ndarray of float64, shape (rows,)
        Loss that a squared error of each output causes.
    """

    weight: Floats64
    hessian: Floats64
    worth: Floats64

    def of_row(self, row: int) -> Floats64:
        """Return the Hessian of a row, shape (columns, columns)."""
        h: Floats64 = self.hessian[self.groups[row]]
        return h

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Group of every row, shape (rows,)."""
        return row_groups(len(self.weight), len(self.hessian))

    def loss(self, changed: Floats64) -> float:
        """Return the loss of other weights, shape as `weight`."""
        total = 0.0
        groups = self.groups
        for group, hessian in enumerate(self.hessian):
            error = (changed - self.weight)[groups == group]
            total += float((self.worth[groups == group] * ((error @ hessian) * error).sum(1)).sum())
        return total


@dataclass(frozen=True, eq=False)
class Pruned:
    """A layer that keeps some of its weights, at their best values.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Weights that are kept.
    weight : ndarray of float64, shape (rows, columns)
        Weights, 0 where they are dropped.
    loss : float
        Loss of these weights (`Layer.loss`).
    """

    mask: Mask
    weight: Floats64
    loss: float


def row_groups(rows: int, groups: int) -> npt.NDArray[np.int64]:
    """Return the group of each row, shape (rows,): equally many rows in each group, in order."""
    return np.arange(rows) * groups // rows


def damped(hessian: Floats64, share: float, *, least: float = 0.0) -> Floats64:
    """Return the Hessian with a share of its mean diagonal, at least `least`, on its diagonal."""
    mean = float(np.trace(hessian)) / len(hessian)
    return hessian + (max(share * mean, least) or 1.0) * np.eye(len(hessian))


def path_counts(layer: Layer, least: int) -> list[int]:
    """Return numbers of weights from all to `least`, descending, for `prune_path`.

    Parameters
    ----------
    layer : Layer
    least : int, 1 or more
        Number of weights that always stay.
    """
    rows, columns = layer.weight.shape
    size = layer.weight.size
    share = min(1.0, (WORK / (rows * columns**3)) ** (1 / 3))
    counts = [size] if share == 1 else [size, max(least, int(share * size))]
    while counts[-1] > least:
        counts.append(max(least, int(RATIO * counts[-1])))
    return counts


def prune_path(layer: Layer, counts: list[int], always: Mask) -> list[Pruned]:
    """Return the layer with fewer weights at each count.

    At each count the weights of least ``g w**2 / [H^-1]_ii`` go, where the inverse is that of the
    remaining weights of the row. Then each row is solved anew for the least error. This is the
    optimal brain surgeon (Hassibi and Stork, 1993) with many weights a step. OBC (Frantar and
    Alistarh, NeurIPS 2022) removes one at a time.

    Parameters
    ----------
    layer : Layer
    counts : list of int
        Numbers of weights to keep, descending.
    always : ndarray of bool, shape (rows, columns)
        Weights that always stay.
    """
    weight = layer.weight.copy()
    mask = np.ones(weight.shape, dtype=bool)
    spread = [np.diag(np.linalg.inv(hessian)) for hessian in layer.hessian]
    score = layer.worth[:, None] * weight**2 / np.array(spread)[layer.groups]
    path = []
    for count in counts:
        score[always & mask] = np.inf
        score[~mask] = -np.inf
        if count < int(mask.sum()):
            order = np.argsort(-score.reshape(-1), kind="stable")
            mask = np.zeros(weight.shape, dtype=bool)
            mask.reshape(-1)[order[: max(count, int(always.sum()))]] = True
            for row in range(len(weight)):
                weight[row], score[row] = _solved(layer, row, mask[row])
        path.append(Pruned(mask, weight.copy(), layer.loss(weight)))
    return path


def solve_rows(layer: Layer, mask: Mask) -> Pruned:
    """Return the layer with the best weights on a given mask, shape (rows, columns)."""
    weight = np.stack(
        [
            layer.weight[row] if kept.all() else _solved(layer, row, kept)[0]
            for row, kept in enumerate(mask)
        ]
    )
    return Pruned(mask, weight, layer.loss(weight))


def _factor(layer: Layer, row: int, at: npt.NDArray[np.int64]) -> Floats64:
    """Return the upper triangle U for the weights `at` of a row: ``U' U`` inverts the Hessian."""
    hessian = torch.from_numpy(layer.of_row(row)[np.ix_(at[::-1], at[::-1])])
    lower = torch.linalg.cholesky(hessian)
    inverse = torch.linalg.solve_triangular(
        lower, torch.eye(len(at), dtype=lower.dtype), upper=False
    )
    return np.ascontiguousarray(inverse.numpy()[::-1, ::-1])


def _solved(layer: Layer, row: int, kept: Mask) -> tuple[Floats64, Floats64]:
    """Return the best weights of a row on its mask, and the scores for pruning."""
    weight, score = np.zeros(len(kept)), np.zeros(len(kept))
    at = np.flatnonzero(kept)
    if at.size:
        factor = _factor(layer, row, at)
        weight[at] = factor.T @ (factor @ (layer.of_row(row)[at] @ layer.weight[row]))
        score[at] = layer.worth[row] * weight[at] ** 2 / (factor**2).sum(axis=0)
    return weight, score


def quantize_rows(layer: Layer, pruned: Pruned, books: Sequence[Codebook]) -> list[Floats64]:
    """Return the weights on each codebook; later weights compensate the errors of earlier ones.

    This is GPTQ (Frantar et al., ICLR 2023) on the mask of each row, with updates by the Cholesky
    factor of the inverse Hessian. Columns of large inputs come first, because then most weights are
    left to compensate their errors.

    Parameters
    ----------
    layer : Layer
    pruned : Pruned
    books : sequence of Codebook
        Codebooks without zero, so that no kept weight becomes zero.
    """
    found = [np.zeros_like(pruned.weight) for _ in books]
    alike: dict[tuple[int, bytes], list[int]] = {}
    groups = layer.groups
    for row, kept in enumerate(pruned.mask):
        alike.setdefault((int(groups[row]), kept.tobytes()), []).append(row)
    for rows in alike.values():
        at = np.flatnonzero(pruned.mask[rows[0]])
        if not at.size:
            continue
        at = at[np.argsort(-np.diag(layer.of_row(rows[0]))[at], kind="stable")]
        factor = _factor(layer, rows[0], at)
        places = np.ix_(np.array(rows), at)
        for values, book in zip(found, books, strict=True):
            left = pruned.weight[places]
            _round(left, factor, book.levels, book.edges)
            values[places] = left
    return found


@kernel(nogil=True)
def _round(rows: Floats64, factor: Floats64, levels: Floats64, edges: Floats64) -> None:
    """Round each row in place from its first value on; the later values compensate the errors."""
    for row in rows:
        for i in range(len(row)):
            taken = levels[np.searchsorted(edges, row[i], side="right")]
            error = (row[i] - taken) / factor[i, i]
            row[i] = taken
            for j in range(i + 1, len(row)):
                row[j] -= error * factor[i, j]
