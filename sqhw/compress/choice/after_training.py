"""Expected error of a layer after training, from its numbers of weights and of values.

The error before training says little about the error after it: training moves the kept weights to
the values of the codebook, and lets them replace the dropped ones. The error that remains depends
on the numbers of weights and of values. The estimate is the least squared error of such a
representation of normally distributed weights: the largest ones are kept, and Lloyd's algorithm
finds the values.
"""

from functools import cache
from statistics import NormalDist

import numpy as np
import torch

from sqhw.arrays import Floats64, Ints
from sqhw.compress.qat.codebook import SortedWeights, kmeans

SAMPLES = 1000  # quantiles that stand for each tail of the normal distribution
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
    """Return the relative error of normal weights for each of `_shares`, with `levels` values.

    Both tails beyond the least kept magnitude t are kept: a share 2 Q(t) of the weights, with the
    energy 2 t phi(t) + 2 Q(t) of the density phi.

    Parameters
    ----------
    levels : int, 1 or more

    Returns
    -------
    ndarray of float64, shape (SHARES,)
    """
    normal = NormalDist()
    parts = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
    found = []
    for share in _shares():
        tail = -torch.special.ndtri(parts * (share / 2)).numpy()  # descending, from the far end
        least = -normal.inv_cdf(share / 2)
        energy = 2 * least * normal.pdf(least) + share
        kept = np.concatenate((-tail, tail[::-1]))
        rounded = kmeans(SortedWeights.make(kept, np.ones(len(kept))), levels, steps=STEPS)[1]
        found.append(1 - energy + energy * rounded / float((kept * kept).sum()))
    return np.array(found)


@cache
def _shares() -> Floats64:
    return np.geomspace(LEAST_SHARE, 1.0, SHARES)
