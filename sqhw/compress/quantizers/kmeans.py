"""K-means in one dimension, optionally with one mean pinned to zero."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64
from sqhw.compress.quantizers.base import Quantizer, checked
from sqhw.compress.quantizers.codebook import Codebook
from sqhw.compress.training.bounds import check_least, check_not_negative
from sqhw.errors import unknown_name

STARTS = ("linear", "quantile")
#: Largest number of iterations of Lloyd's algorithm.
LLOYD_STEPS = 100
#: Share of the error by which an iteration must lower it for another to follow.
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Clusters:
    """Result of `lloyd`.

    Parameters
    ----------
    means : ndarray of float64, ascending
        Means of the clusters, without the pinned zero.
    error : float
        Weighted squared error that is left.
    """

    means: Floats64
    error: float


def lloyd(
    values: Floats64,
    worth: Floats64,
    start: Floats64,
    *,
    pinned_zero: bool,
    steps: int = LLOYD_STEPS,
    tolerance: float = TOLERANCE,
) -> Clusters:
    """Run Lloyd's algorithm on sorted values.

    With running sums an iteration costs one binary search for each cluster.

    Parameters
    ----------
    values : ndarray of float64, shape (n,), ascending
    worth : ndarray of float64, shape (n,), positive
    start : ndarray of float64
        Initial means.
    pinned_zero : bool
        Whether there is one more mean, which stays zero.
    steps : int
        Largest number of iterations.
    tolerance : float
        Share of the error. The iterations end when the error falls by less than that.

    Returns
    -------
    Clusters
        Clusters; one that no value takes keeps its mean.
    """
    zero = np.zeros(1)
    mass = np.concatenate((zero, np.cumsum(worth)))
    first = np.concatenate((zero, np.cumsum(worth * values)))
    second = float((worth * values * values).sum())
    means = np.sort(np.asarray(start, dtype=np.float64))
    before = np.inf

    def cells(means: Floats64) -> tuple[Floats64, Floats64, Floats64]:
        """Return all means, and the sums of worth and of worth times value in each cell."""
        every = np.sort(np.append(means, 0.0)) if pinned_zero else means
        inner = np.searchsorted(values, (every[1:] + every[:-1]) / 2)
        ends = np.concatenate(([0], inner, [len(values)]))
        return every, np.diff(mass[ends]), np.diff(first[ends])

    for _ in range(steps):
        every, weight, moment = cells(means)
        new = every.copy()
        np.divide(moment, weight, out=new, where=weight > 0)
        if pinned_zero:
            at = int(np.searchsorted(every, 0.0))
            new[at] = 0.0
            means = np.delete(new, at)
        else:
            means = new
        error = float((new * new * weight - 2 * new * moment).sum()) + second
        if before < np.inf and before - error <= tolerance * before:
            break
        before = error
    every, weight, moment = cells(np.sort(means))
    error = float((every * every * weight - 2 * every * moment).sum()) + second
    return Clusters(np.sort(means), max(0.0, error))


@dataclass(frozen=True)
class KMeansQuantizer(Quantizer):
    """``2**bits`` centroids of the non-zero weights, and zero as one value more.

    With the linear start it is the quantizer of SQL (Yang et al., CVPR 2020). Without the pinned
    zero it is that of Deep Compression (Han et al., ICLR 2016). A weight may take the pinned zero.
    A layer with no more distinct weights than centroids keeps them as they are.

    Parameters
    ----------
    start : {"linear", "quantile"}
        Initial centroids: evenly spaced between the extremes, or at evenly spaced quantiles.
    pinned_zero : bool
        Whether zero is one value more.
    steps : int, 0 or more
        Largest number of iterations.
    tolerance : float, 0 or more
        Share of the error. The iterations end when the error falls by less than that.
    """

    start: str = "linear"
    pinned_zero: bool = True
    steps: int = LLOYD_STEPS
    tolerance: float = TOLERANCE
    name: ClassVar[str] = "k-means"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in STARTS:
            raise unknown_name("start of the k-means", self.start, STARTS)
        check_least(f"quantizer {self.name!r}: steps", self.steps, 0)
        check_not_negative(f"quantizer {self.name!r}: tolerance", self.tolerance)

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        return self.fit_with_error(values, importance)[0]

    def fit_with_error(
        self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None
    ) -> tuple[Codebook, float]:
        """Return the codebook and the weighted squared error that it leaves."""
        weights, worth = checked(values, importance)
        count = 1 << self.bits
        pinned = [0.0] if self.pinned_zero else []
        distinct = np.unique(weights)
        if len(distinct) <= count:
            return Codebook.nearest(np.concatenate((distinct, pinned))), 0.0
        if self.start == "linear":
            start = np.linspace(weights[0], weights[-1], count)
        else:
            start = weights[((np.arange(count) + 0.5) / count * len(weights)).astype(np.int64)]
        found = lloyd(
            weights,
            worth,
            start,
            pinned_zero=self.pinned_zero,
            steps=self.steps,
            tolerance=self.tolerance,
        )
        return Codebook.nearest(np.concatenate((found.means, pinned))), found.error
