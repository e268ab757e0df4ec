"""Codebooks of pruned layers, errors weighted by the Hessian, and their integers."""

import numpy as np

from sqhw.compress.methods.obs import Layer, Pruned
from sqhw.compress.qat.integers import WEIGHT_TOP
from sqhw.compress.quantizers.codebook import Codebook
from sqhw.compress.quantizers.kmeans import KMeansQuantizer


def codebook_of(problem: Layer, pruned: Pruned, bits: int) -> Codebook:
    """Return a codebook without zero for kept weights, errors weighted by the Hessian's diagonal.

    Parameters
    ----------
    problem : Layer
    pruned : Pruned
        Weights of the layer.
    bits : int, 1 to 8
        Width of a code.
    """
    diagonal = np.array([np.diag(h) for h in problem.hessian])[problem.groups]
    worth = problem.worth[:, None] * diagonal
    quantizer = KMeansQuantizer(bits, start="quantile", pinned_zero=False)
    book = quantizer.fit(pruned.weight[pruned.mask], worth[pruned.mask])
    if 0.0 in book.levels and len(book.levels) > 1:
        return Codebook.nearest(book.levels[book.levels != 0])
    return book


def whole(book: Codebook, unit: float | None) -> Codebook:
    """Return a codebook of multiples, up to 127, of a unit. Values nearest to 0 become 0.

    Parameters
    ----------
    book : Codebook
        Codebook without zero.
    unit : float, optional
        Unit of the integers, above 0. By default the largest value is 127 units.
    """
    unit = unit or float(np.abs(book.levels).max()) / WEIGHT_TOP or 1.0
    steps = np.clip(np.round(book.levels / unit), -WEIGHT_TOP, WEIGHT_TOP)
    return Codebook.nearest(steps * unit)
