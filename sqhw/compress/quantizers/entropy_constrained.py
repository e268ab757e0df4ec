"""Scalar quantization under a limit on the entropy of the codes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.compress.quantizers.base import Codebook, Float, Quantizer, checked
from sqhw.compress.quantizers.kmeans import KMeansQuantizer
from sqhw.errors import SqhwError

STEPS = 100
RATE_STEPS = 20
#: Multiplier beyond which nothing changes, in mean weighted squares of a weight.
HIGHEST = 1e3


@dataclass(frozen=True)
class EntropyConstrainedQuantizer(Quantizer):
    """Iterative entropy-constrained quantization (Chou et al. 1989; Choi et al., ICLR 2017, 4.3).

    Least ``distortion + multiplier * entropy``: each weight takes the level of least
    ``h (w - c)**2 - multiplier * log2 p``, levels become the weighted means and probabilities the
    shares of their members, levels without members go, until nothing changes. Weights are assigned
    with the mean importance, so that cells are intervals; the means are weighted by the weights'
    own.

    Parameters
    ----------
    bits : int
        ``2**bits`` levels at first.
    multiplier : float, optional
        Of the entropy, in units of the importance times a squared weight.
    rate : float, optional
        Entropy wanted instead (unit: bit a weight); the multiplier is searched. One of the two is
        given.
    """

    multiplier: float | None = None
    rate: float | None = None
    name: ClassVar[str] = "ecsq"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.multiplier is None) == (self.rate is None):
            raise SqhwError("quantizer 'ecsq': give one of multiplier and rate")
        given = self.multiplier if self.rate is None else self.rate
        if given is not None and given < 0:
            raise SqhwError(
                f"quantizer 'ecsq': multiplier and rate must not be negative, not {given}"
            )

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        if self.multiplier is not None:
            start = KMeansQuantizer(self.bits, pinned_zero=False).fit(weights, worth).levels
            return entropy_constrained(weights, worth, start, self.multiplier)[0]
        # Levels that are taken equally often keep each other alive at any price: then fewer begin.
        for bits in range(self.bits, 0, -1):
            start = KMeansQuantizer(bits, pinned_zero=False).fit(weights, worth).levels
            found = self._searched(weights, worth, start)
            if found is not None:
                return found
        return Codebook.nearest([np.average(weights, weights=worth)])

    def _searched(self, weights: Float, worth: Float, start: Float) -> Codebook | None:
        """Return the codebook of the smallest multiplier found that meets the rate, if one does."""
        assert self.rate is not None
        book, entropy = entropy_constrained(weights, worth, start, 0.0)
        if entropy <= self.rate:
            return book
        low, high = 0.0, HIGHEST * float((worth * weights**2).mean())
        best, entropy = entropy_constrained(weights, worth, start, high)
        if entropy > self.rate:
            return None
        for _ in range(RATE_STEPS):
            middle = np.sqrt(low * high) if low else high / 1e3
            book, entropy = entropy_constrained(weights, worth, start, middle)
            if entropy <= self.rate:
                high, best = middle, book
            else:
                low = middle
        return best


def entropy_constrained(
    values: Float, worth: Float, start: Float, multiplier: float
) -> tuple[Codebook, float]:
    """Return a codebook for one multiplier and the entropy of its codes (unit: bit a weight).

    Parameters
    ----------
    values : ndarray of float64, shape (n,), ascending
    worth : ndarray of float64, shape (n,), positive
    start : ndarray of float64, ascending
        First levels.
    multiplier : float
    """
    zero = np.zeros(1)
    mass = np.concatenate((zero, np.cumsum(worth)))
    moment = np.concatenate((zero, np.cumsum(worth * values)))
    price = multiplier / float(worth.mean())
    levels = np.asarray(start, dtype=np.float64)
    book = Codebook.nearest(levels)
    ends = np.concatenate(([0], np.searchsorted(values, book.edges), [len(values)]))
    for _ in range(STEPS):
        counts = np.diff(ends)
        kept = counts > 0
        counts = counts[kept]
        ends = np.concatenate(([0], np.cumsum(counts)))
        levels = np.diff(moment[ends]) / np.diff(mass[ends])
        lengths = -np.log2(counts / len(values))
        levels, lengths, edges = envelope(levels, price * lengths)
        new = np.concatenate(([0], np.searchsorted(values, edges), [len(values)]))
        book = Codebook(levels, edges)
        if np.array_equal(new, ends):
            break
        ends = new
    share = np.diff(ends)[np.diff(ends) > 0] / len(values)
    return book, float(-(share * np.log2(share)).sum())


def envelope(levels: Float, costs: Float) -> tuple[Float, Float, Float]:
    """Return the levels that are cheapest somewhere, their costs, and where one takes over.

    A value x pays ``(x - level)**2 + cost``: the lower envelope of parabolas of one shape, hence
    of lines.

    Parameters
    ----------
    levels : ndarray of float64, ascending
    costs : ndarray of float64

    Returns
    -------
    levels, costs, edges : ndarray of float64
    """
    kept: list[int] = []
    edges: list[float] = []

    def crossing(a: int, b: int) -> float:
        return float(
            (levels[a] + levels[b]) / 2 + (costs[b] - costs[a]) / (2 * (levels[b] - levels[a]))
        )

    for new in range(len(levels)):
        if kept and levels[new] <= levels[kept[-1]]:
            if costs[new] >= costs[kept[-1]]:
                continue
            kept.pop()
            if edges:
                edges.pop()
        while kept:
            at = crossing(kept[-1], new)
            if edges and at <= edges[-1]:
                kept.pop()
                edges.pop()
                continue
            edges.append(at)
            break
        kept.append(new)
    return levels[kept], costs[kept], np.array(edges)
