"""Sums of a few signs with real factors: least-squares binary quantization."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64
from sqhw.compress.quantizers.base import Quantizer, checked
from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer
from sqhw.compress.quantizers.straight_through import ScaledQuantizer
from sqhw.errors import SqhwError, unknown_name

METHODS = ("best", "greedy", "ternary")


def greedy_factors(values: Floats64, worth: Floats64, bits: int) -> list[float]:
    """Return factors ``v_i``, each the mean magnitude of the rest that the terms before it leave.

    Parameters
    ----------
    values, worth : ndarray of float64, shape (n,)
    bits : int, 1 or more
        Number of terms.
    """
    rest, factors = values, []
    for _ in range(bits):
        factor = float(np.average(np.abs(rest), weights=worth))
        factors.append(factor)
        rest = rest - factor * np.where(rest < 0, -1.0, 1.0)
    return factors


def best_two_factors(values: Floats64, worth: Floats64) -> tuple[float, float]:
    """Return the factors ``v1 >= v2`` with the least squared error of ``±v1 ±v2``.

    At the optimum a threshold splits the magnitudes. Those above it take ``v1 + v2``, those below
    it ``v1 - v2``. So ``v1`` is half the sum and ``v2`` half the difference of the means of both
    parts (Pouransari, Tu and Tuzel, CVPR workshops 2020). All splits are tried.

    Parameters
    ----------
    values, worth : ndarray of float64, shape (n,)
    """
    low, high = _two_means(np.abs(values), worth)
    return (high + low) / 2, (high - low) / 2


def best_ternary(values: Floats64, worth: Floats64) -> float:
    """Return ``v`` with the least squared error of the values -2v, 0 and 2v (two equal factors).

    Parameters
    ----------
    values, worth : ndarray of float64, shape (n,)
    """
    order = np.argsort(-np.abs(values), kind="stable")
    magnitude, mass = np.abs(values)[order], worth[order]
    total, moment = np.cumsum(mass), np.cumsum(mass * magnitude)
    at = int(np.argmax(moment**2 / total))
    return float(moment[at] / total[at]) / 2


def _two_means(magnitude: Floats64, worth: Floats64) -> tuple[float, float]:
    order = np.argsort(magnitude, kind="stable")
    x, w = magnitude[order], worth[order]
    mass, moment = np.cumsum(w), np.cumsum(w * x)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(mass < mass[-1], (moment[-1] - moment) ** 2 / (mass[-1] - mass), 0.0)
    at = int(np.argmax(moment**2 / mass + above))
    low = moment[at] / mass[at]
    if at == len(x) - 1:
        return float(low), float(low)
    return float(low), float((moment[-1] - moment[at]) / (mass[-1] - mass[at]))


@dataclass(frozen=True)
class LeastSquaresBinaryQuantizer(Quantizer):
    """All sums ``±v1 ±v2 ...``, without zero (Pouransari, Tu and Tuzel, CVPR workshops 2020).

    A layer has one set of factors. The authors have one set for each filter, which makes no
    codebook that a layer could share.

    Parameters
    ----------
    bits : int, 1 to 8
        Number of terms. The layer has up to ``2**bits`` values.
    method : {"best", "greedy", "ternary"}
        ``best``: one or two terms of the least squared error; more terms are greedy. ``greedy``:
        one term after the other. ``ternary``: two equal terms of the least squared error, so that
        the values are -2v, 0 and 2v.
    """

    bits: int = 2
    method: str = "best"
    name: ClassVar[str] = "least-squares-binary"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in METHODS:
            raise unknown_name("method of the least-squares quantizer", self.method, METHODS)
        if self.method == "ternary" and self.bits != 2:
            raise SqhwError(
                f"quantizer {self.name!r}: method 'ternary' has 2 terms, not {self.bits}"
            )

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        if self.method == "ternary":
            factors = 2 * [best_ternary(weights, worth)]
        elif self.method == "best" and self.bits == 2:
            factors = list(best_two_factors(weights, worth))
        else:
            factors = greedy_factors(weights, worth, self.bits)
        signs = itertools.product((-1.0, 1.0), repeat=self.bits)
        return Codebook.nearest([float(np.dot(sign, factors)) for sign in signs])

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return the module in which one common scale of the factors learns."""
        return ScaledQuantizer(codebook, learn=True)
