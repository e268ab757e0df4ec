"""The interval of a proportion that was measured on a sample."""

from math import sqrt

#: Two-sided 95 % quantile of the normal distribution.
Z95 = 1.959963984540054


def wilson(mean: float, samples: int, z: float = Z95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    It holds, and is wider than it must be, for the mean of values between 0 and 1 too, since such
    values have no more variance than ones that are 0 or 1 with the same mean.

    Parameters
    ----------
    mean : float, 0 to 1
    samples : int, 0 or more
        Number of independent values; with 0 the interval is everything.
    z : float
        Quantile of the normal distribution.
    """
    if samples == 0:
        return 0.0, 1.0
    share = z * z / samples
    centre = (mean + share / 2) / (1 + share)
    half = z / (1 + share) * sqrt(mean * (1 - mean) / samples + share / (4 * samples))
    return max(0.0, centre - half), min(1.0, centre + half)
