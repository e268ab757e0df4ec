"""Expected error of a layer after training, from its numbers of weights and of values.

The error before training says little about the error after it: training moves the kept weights to
the values of the codebook, and lets them replace the dropped ones. The error that remains depends
on the numbers of weights and of values. The estimate is the least squared error of such a
representation of normally distributed weights: the largest ones are kept, and Lloyd's algorithm
finds the values.
"""

from functools import cache

import numpy as np
import torch

from sqhw.arrays import Floats64, Ints
from sqhw.compress.qat.codebook import SortedWeights, kmeans

SAMPLES = 4001  # quantiles that stand for the normal distribution
SHARES = 80  # number of shares of weights in the table of errors
LEAST_SHARE = 1e-4
STEPS = 50  # steps of Lloyd's algorithm
#: Addend of the relative error where all weights stay, times the square of the share of weights.
#: Free masks find better places in training; a full mask has none to choose.
FULL = 1.0


def expected_error(share: Floats64, levels: Ints) -> Floats64:
    """Return the expected squared error of layers, relative to the energy of their weights.

    Parameters
    ----------
    share : ndarray of float64, shape (options,), 0 to 1
        Share of the weights that are kept.
    levels : ndarray of int64, shape (options,)
        Number of distinct values of the kept weights.

    Returns
    -------
    ndarray of float64, shape (options,)
    """
    place = np.log(np.maximum(share, LEAST_SHARE))
    found = np.empty(len(share))
    for count in np.unique(levels):
        chosen = levels == count
        found[chosen] = np.interp(place[chosen], np.log(_shares()), normal_errors(int(count)))
    return np.asarray(np.minimum(1.0, found * (1 + FULL * share * share)))


@cache
def normal_errors(levels: int) -> Floats64:
    """Return the relative error of normal weights for each of `_shares`, with `levels` values."""
    places = (np.arange(SAMPLES) + 0.5) / SAMPLES
    values = torch.special.ndtri(torch.from_numpy(places)).numpy()
    whole = float((values * values).sum())
    order = np.argsort(-np.abs(values), kind="stable")
    found = []
    for share in _shares():
        count = max(1, round(share * SAMPLES))
        kept = np.sort(values[order[:count]])
        rounded = kmeans(SortedWeights.make(kept, np.ones(count)), levels, steps=STEPS)[1]
        found.append((whole - float((kept * kept).sum()) + rounded) / whole)
    return np.array(found)


@cache
def _shares() -> Floats64:
    return np.geomspace(LEAST_SHARE, 1.0, SHARES)
