"""One-dimensional weighted k-means: the values that the non-zero weights of a layer take."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64

#: Smallest share of one sign in the energy of the weights with which codebooks are balanced.
ONE_SIDED = 0.1


@dataclass(frozen=True, eq=False)
class SortedWeights:
    """Weights in ascending order with the running sums that k-means needs.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Weights, ascending.
    importance, first, second : ndarray of float64, shape (n + 1,)
        Running sums of the importance, of its product with the value, and of that with its square.
    """

    values: Floats64
    importance: Floats64
    first: Floats64
    second: Floats64

    @classmethod
    def make(cls, values: Floats64, importance: Floats64) -> "SortedWeights":
        """Return the running sums of `values`, which ascend, under positive `importance`."""
        zero = np.zeros(1)
        return cls(
            values,
            np.concatenate((zero, np.cumsum(importance))),
            np.concatenate((zero, np.cumsum(importance * values))),
            np.concatenate((zero, np.cumsum(importance * values * values))),
        )


def kmeans(weights: SortedWeights, levels: int, *, steps: int = 20) -> tuple[Floats64, float]:
    """Return centroids and their weighted squared error.

    Lloyd's algorithm begins with evenly filled clusters. Few distinct values are the centroids
    themselves.

    Parameters
    ----------
    weights : SortedWeights
        At least one weight.
    levels : int
        Largest number of centroids.
    steps : int
        Largest number of iterations.

    Returns
    -------
    centroids : ndarray of float64, ascending
    error : float
    """
    values = weights.values
    distinct = values[np.concatenate(([True], values[1:] != values[:-1]))]
    if len(distinct) <= levels:
        return distinct, 0.0
    edges = np.linspace(0, len(values), levels + 1).astype(np.int64)
    for _ in range(steps):
        centroids = _means(weights, edges)
        inner = np.searchsorted(values, (centroids[1:] + centroids[:-1]) / 2)
        new = np.concatenate(([0], inner, [len(values)]))
        if (new == edges).all():
            break
        edges = new
    centroids = _means(weights, edges)
    at = weights.importance[edges]
    mass = at[1:] - at[:-1]
    at = weights.first[edges]
    moment = at[1:] - at[:-1]
    explained = np.divide(moment * moment, mass, out=np.zeros_like(mass), where=mass > 0).sum()
    return np.unique(centroids), max(0.0, float(weights.second[-1] - explained))


def _means(weights: SortedWeights, edges: npt.NDArray[np.int64]) -> Floats64:
    """Return the weighted mean of each cluster; an empty one takes the value at its edge."""
    at = weights.importance[edges]
    mass = at[1:] - at[:-1]
    at = weights.first[edges]
    moment = at[1:] - at[:-1]
    means = weights.values[np.minimum(edges[:-1], len(weights.values) - 1)]
    np.divide(moment, mass, out=means, where=mass > 0)
    means.sort()
    return means


def balanced_codebook(values: npt.NDArray[np.floating], levels: int) -> Floats64:
    """Return values for weights that train further: half of them on each side of 0, if even.

    Weights then keep their sign, and no value is so near to 0 that integers lack it.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        At least one, in any order.
    levels : int

    Returns
    -------
    ndarray of float64, ascending
        At most `levels` values.
    """
    energy = np.sum(values.astype(np.float64) ** 2)
    positive = np.sum(values[values > 0].astype(np.float64) ** 2)
    one_sided = min(positive, energy - positive) < ONE_SIDED * energy
    if levels % 2 or one_sided:
        return plain_codebook(values, levels)
    half = plain_codebook(np.abs(values), levels // 2)
    return np.concatenate((-half[::-1], half))


def plain_codebook(values: npt.NDArray[np.floating], levels: int) -> Floats64:
    """Return at most `levels` values for weights that all count the same, ascending.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        At least one, in any order.
    levels : int
    """
    kept = np.sort(values.astype(np.float64))
    return kmeans(SortedWeights.make(kept, np.ones(len(kept))), levels, steps=50)[0]
