"""Errors of codebooks on histograms of the values: Lloyd's algorithm for many masks at once.

Bins are narrow near 0: their bounds grow with the square of their number.
"""

import numpy as np

from sqhw.environment.kernel import kernel

#: Number of bins of a histogram, half of them for each sign.
VALUE_BINS = 1024


@kernel(nogil=True)
def bin_values(largest):  # type: ignore[no-untyped-def]
    """Return the bounds of the value bins, ascending, shape (VALUE_BINS + 1,)."""
    half = VALUE_BINS // 2
    bounds = np.empty(VALUE_BINS + 1)
    for at in range(half + 1):
        bounds[half + at] = largest * (at / (half - 1)) ** 2
        bounds[half - at] = -bounds[half + at]
    return bounds


@kernel(nogil=True)
def histogram_errors(mass, moment, second, largest, levels, steps):  # type: ignore[no-untyped-def]
    """Return the error of the best values that Lloyd's algorithm finds on histograms.

    The algorithm has two starts, and the smaller error counts. One start has equally many filled
    bins in each cluster. The other has the density of values that is best for many values: the cube
    root of the density of the importance (Panter and Dite, 1951).

    Parameters
    ----------
    mass, moment : ndarray of float64, shape (masks, VALUE_BINS)
        Sums as in `sqhw.compress.choice.mask_sums.MaskSums`.
    second : ndarray of float64, shape (masks,)
    largest : float
    levels : ndarray of int64, shape (options,)
        Numbers of values.
    steps : int
        Largest number of iterations.

    Returns
    -------
    ndarray of float64, shape (masks, options), 0 or more
        Weighted squared error.
    """
    masks, bins = mass.shape
    half = bins // 2
    bounds = bin_values(largest)
    scale = 1.0 / largest if largest > 0 else 0.0
    errors = np.empty((masks, len(levels)))
    sums = np.zeros(bins + 1)
    moments = np.zeros(bins + 1)
    density = np.zeros(bins + 1)
    filled = np.zeros(bins + 1)
    edges = np.empty(levels.max() + 1, dtype=np.int64)
    centres = np.empty(levels.max())
    for mask in range(masks):
        for at in range(bins):
            sums[at + 1] = sums[at] + mass[mask, at]
            moments[at + 1] = moments[at] + moment[mask, at]
            width = bounds[at + 1] - bounds[at]
            dense = (mass[mask, at] * width * width) ** (1 / 3)
            density[at + 1] = density[at] + dense
            filled[at + 1] = filled[at] + (mass[mask, at] > 0)
        for option in range(len(levels)):
            count = levels[option]
            best = np.inf
            for start in (density, filled):
                for at in range(count + 1):
                    edges[at] = np.searchsorted(start, start[bins] * at / count)
                edges[0], edges[count] = 0, bins
                for step in range(steps + 1):
                    explained = 0.0
                    for at in range(count):
                        held = sums[edges[at + 1]] - sums[edges[at]]
                        turned = moments[edges[at + 1]] - moments[edges[at]]
                        if held > 0:
                            centres[at] = turned / held
                            explained += turned * turned / held
                        else:
                            centres[at] = bounds[edges[at]]
                    best = min(best, second[mask] - explained)
                    if step == steps:
                        break
                    moved = False
                    for at in range(1, count):
                        middle = (centres[at - 1] + centres[at]) / 2
                        root = int(np.sqrt(abs(middle) * scale) * (half - 1) + 0.5)
                        edge = half + root if middle >= 0 else half - root
                        edge = min(max(edge, edges[at - 1]), bins)
                        moved |= edge != edges[at]
                        edges[at] = edge
                    if not moved:
                        break
            errors[mask, option] = max(0.0, best)
    return errors
