"""Scores of real numbers at the end of a network: the grid on which the engine has them."""

from collections.abc import Sequence

import numpy as np

from sqhw.frontends.neutral import Affine, Graph, Operator, Quantization
from sqhw.frontends.quantized.kernels import reals
from sqhw.frontends.quantized.sums import Window, sums_of
from sqhw.frontends.quantized.views import View

#: Width of a score (unit: bit), and its largest magnitude.
BITS, TOP = 8, 127


def without_common(chain: Sequence[Operator]) -> tuple[Operator, ...]:
    """Return a chain without arithmetic at its end that is the same, and rising, for all scores."""
    kept = list(chain)
    while len(kept) > 1 and isinstance(last := kept[-1], Affine):
        scale, shift = last.scale.reals, last.shift.reals
        if np.ptp(scale) or np.ptp(shift) or not scale.min() > 0:
            break
        kept.pop()
    return tuple(kept)


def score_grid(
    graph: Graph, chain: Sequence[Operator], window: Window, x: View
) -> tuple[Quantization, bool]:
    """Return the grid of scores, and whether they are exact on it.

    Scores are exact if they are multiples of one unit, that of the sums, which 8 bits hold.
    Otherwise 8 bits span what they can reach.

    Parameters
    ----------
    graph : Graph
    chain : sequence of Operator
    window : Window
    x : View
        Map that the window reads.
    """
    sums = sums_of(x, window)
    ends = np.stack([sums.low, sums.high], axis=1)
    values = reals(graph, chain, sums.centred(ends))
    steps = reals(graph, chain, sums.centred(ends[:, :1] + 1)) - values[:, :1]
    steps = steps / abs(sums.gain)  # a unit of the file's integers
    unit = float(steps[0, 0])
    whole = values / unit if unit > 0 else values
    exact = (
        unit > 0
        and bool(np.allclose(steps, unit, rtol=1e-9, atol=0))
        and bool(np.abs(whole).max() <= TOP)
        and bool(np.abs(whole - np.rint(whole)).max() < 1e-6)
    )
    largest = float(np.abs(values).max())
    scale = unit if exact else (largest / TOP if largest else 1.0)
    grid = Quantization(
        np.float64(scale),  # type: ignore[arg-type]
        np.int64(0),  # type: ignore[arg-type]
        BITS,
        signed=True,
        rounding="half_up",
    )
    return grid, exact
