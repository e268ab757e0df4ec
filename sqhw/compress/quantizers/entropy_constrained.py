"""Scalar quantization under a limit on the entropy of the codes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64
from sqhw.compress.quantizers.base import Quantizer, checked, entropy
from sqhw.compress.quantizers.codebook import Codebook, Codes
from sqhw.compress.quantizers.kmeans import KMeansQuantizer
from sqhw.compress.training.bounds import check_not_negative
from sqhw.errors import SqhwError

#: Largest number of iterations for one multiplier.
STEPS = 100
#: Number of bisections of the multiplier.
RATE_STEPS = 20
#: Multiplier above which nothing changes, in mean weighted squares of a weight.
HIGHEST = 1e3


@dataclass(frozen=True)
class EntropyConstrainedQuantizer(Quantizer):
    """Iterative entropy-constrained quantization (Chou et al. 1989; Choi et al., ICLR 2017, 4.3).

    It minimises ``distortion + multiplier * entropy``. Each weight w of importance h takes the
    level c of least ``h (w - c)**2 - multiplier * log2 p``, where p is the level's probability.
    Levels become the weighted means of their members, and probabilities the shares of the weights.
    Levels without members go. The steps repeat until nothing changes. `assign` returns the codes
    that this gives. The cells of `fit` are those of a weight of mean importance.

    Parameters
    ----------
    bits : int, 1 to 8
        Binary logarithm of the initial number of levels.
    multiplier : float, optional
        Lagrange multiplier of the entropy, in units of the importance times a squared weight.
    rate : float, optional
        Largest entropy (unit: bit a weight), for which the multiplier is searched. Exactly one of
        `multiplier` and `rate` is given.
    """

    multiplier: float | None = None
    rate: float | None = None
    name: ClassVar[str] = "ecsq"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.multiplier is None) == (self.rate is None):
            raise SqhwError("quantizer 'ecsq': give one of multiplier and rate")
        for option in ("multiplier", "rate"):
            value = getattr(self, option)
            if value is not None:
                check_not_negative(f"quantizer 'ecsq': {option}", value)

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        return self._found(weights, worth).book

    def assign(
        self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None
    ) -> tuple[Codebook, Codes]:
        """Return the codebook for these weights and the code of each; see `Quantizer.assign`."""
        weights, worth = checked(values, importance)
        found = self._found(weights, worth)
        levels, merged = np.unique(found.levels, return_inverse=True)
        codes = np.empty(len(weights), dtype=np.int64)
        order = np.argsort(np.asarray(values, dtype=np.float64).reshape(-1), kind="stable")
        codes[order] = merged[found.codes]
        return Codebook.nearest(levels), codes

    def _found(self, weights: Floats64, worth: Floats64) -> "Assigned":
        if self.multiplier is not None:
            start = KMeansQuantizer(self.bits, pinned_zero=False).fit(weights, worth).levels
            return entropy_constrained(weights, worth, start, self.multiplier)
        # Levels that are taken equally often all stay, whatever the multiplier. Then a start with
        # fewer levels is needed.
        for bits in range(self.bits, 0, -1):
            start = KMeansQuantizer(bits, pinned_zero=False).fit(weights, worth).levels
            found = self._searched(weights, worth, start)
            if found is not None:
                return found
        mean = np.array([np.average(weights, weights=worth)])
        return entropy_constrained(weights, worth, mean, 0.0)

    def _searched(self, weights: Floats64, worth: Floats64, start: Floats64) -> "Assigned | None":
        """Return the result of the smallest multiplier found that meets the rate, if one does."""
        assert self.rate is not None
        found = entropy_constrained(weights, worth, start, 0.0)
        if found.entropy <= self.rate:
            return found
        low, high = 0.0, HIGHEST * float((worth * weights**2).mean())
        best = entropy_constrained(weights, worth, start, high)
        if best.entropy > self.rate:
            return None
        for _ in range(RATE_STEPS):
            middle = np.sqrt(low * high) if low else high / 1e3
            found = entropy_constrained(weights, worth, start, middle)
            if found.entropy <= self.rate:
                high, best = middle, found
            else:
                low = middle
        return best


@dataclass(frozen=True, eq=False)
class Assigned:
    """Result of `entropy_constrained`.

    Parameters
    ----------
    levels : ndarray of float64
        Values, in any order.
    codes : ndarray of int64, shape (n,)
        Index of the level that each weight takes.
    entropy : float
        Entropy of the codes (unit: bit a weight).
    book : Codebook
        Codebook with the cells of a weight of mean importance.
    """

    levels: Floats64
    codes: Codes
    entropy: float
    book: Codebook


def entropy_constrained(
    values: Floats64, worth: Floats64, start: Floats64, multiplier: float
) -> Assigned:
    """Return levels and codes for one multiplier.

    Parameters
    ----------
    values, worth : ndarray of float64, shape (n,)
        Weights, and their importance, which is above 0.
    start : ndarray of float64
        Initial levels.
    multiplier : float
    """
    price = multiplier / worth
    codes = Codebook.nearest(start).codes(values)
    for _ in range(STEPS):
        codes = np.unique(codes, return_inverse=True)[1]  # levels without members go
        share = np.bincount(codes) / len(values)
        levels = np.bincount(codes, weights=worth * values) / np.bincount(codes, weights=worth)
        lengths = -np.log2(share)
        paid = (values[:, None] - levels) ** 2 + price[:, None] * lengths
        new = paid.argmin(axis=1)
        if np.array_equal(new, codes):
            break
        codes = new
    order = np.argsort(levels, kind="stable")
    kept_levels, _, edges = envelope(levels[order], multiplier / worth.mean() * lengths[order])
    cells = Codebook(kept_levels, edges)
    return Assigned(levels, codes, entropy(np.bincount(codes)), cells)


def envelope(levels: Floats64, costs: Floats64) -> tuple[Floats64, Floats64, Floats64]:
    """Return the levels that are cheapest for some value, their costs, and their cells' edges.

    The cost of a level for a value x is ``(x - level)**2 + cost``. The result is the lower envelope
    of parabolas of one shape, hence of lines.

    Parameters
    ----------
    levels : ndarray of float64, ascending
    costs : ndarray of float64, shape of `levels`

    Returns
    -------
    levels, costs : ndarray of float64, shape (n,)
    edges : ndarray of float64, shape (n - 1,), ascending
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
