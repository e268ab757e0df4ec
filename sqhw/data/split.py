"""Splitting a labelled set so that every part has the classes in the same proportion."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def stratified_split(
    labels: npt.NDArray[np.int64], sizes: Sequence[int], seed: int
) -> list[npt.NDArray[np.int64]]:
    """Split the indices of `labels` into parts of exact sizes, each stratified by label.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
    sizes : sequence of int
        Sizes of all parts but the last, which takes the rest.
    seed : int

    Returns
    -------
    list of ndarray of int64
        ``len(sizes) + 1`` ascending index arrays, disjoint, together all of ``range(n)``.

    Raises
    ------
    ValueError
        If the sizes add up to more than n.
    """
    if sum(sizes) > len(labels):
        raise ValueError(f"cannot take {sum(sizes)} of {len(labels)} samples")
    # RandomState is frozen for ever: the same seed gives the same split with every NumPy.
    order = np.random.RandomState(seed).permutation(len(labels))
    rest = order[np.argsort(labels[order], kind="stable")]  # class after class, shuffled within
    parts = []
    for size in sizes:
        # Evenly spaced picks from the sorted list: every class gives its share, within one.
        steps = np.arange(len(rest) + 1) * size // max(len(rest), 1)
        picked = np.diff(steps) > 0
        parts.append(np.sort(rest[picked]))
        rest = rest[~picked]
    return [*parts, np.sort(rest)]
