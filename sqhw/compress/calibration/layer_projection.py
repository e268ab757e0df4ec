"""Mask, codebook and gains of a layer without training.

Besides the density three rules drop small weights. Each drops weights that the others keep:

1. Before channels have scales of their own, weights go that are small in their layer and belong to
   channels without information (`sqhw.compress.calibration.equalise.worth_keeping`). With the scale
   of their channel they would be as large as all others.
2. With these scales, weights go that are below half of an 8-bit step of the largest
   (`_projection`). A codebook of 8 bits has no 0, so it would round them up to a step. In a smaller
   codebook they would take values that other weights need.
3. With a codebook of fewer bits, weights go that are nearer to 0 than to any value (`_with_zero`).
   They may be many times an 8-bit step.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats32, Floats64, Mask
from sqhw.compiler.format_choice import least_stream_bits
from sqhw.compress.calibration.channel_gains import channel_gains, may_have_gains
from sqhw.compress.qat.convolution import LearningConv
from sqhw.compress.qat.integers import GAIN_BITS, WEIGHT_TOP, held_gain_bits
from sqhw.compress.quantizers.codebook import Codebook
from sqhw.compress.quantizers.kmeans import lloyd
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import CODEBOOK_WIDTH

#: Number of iterations of Lloyd's algorithm.
LLOYD_STEPS = 30
#: Largest width of a code, with which all integers are values.
MAX_BITS = 8


def check_layer(name: str, density: float, bits: int) -> None:
    """Check the options of a layer.

    Raises
    ------
    SqhwError
        If the density or the bits are out of range.
    """
    if not 0 < density <= 1:
        raise SqhwError(f"layer {name!r}: density must be above 0 and at most 1, not {density}")
    if not 1 <= bits <= MAX_BITS:
        raise SqhwError(f"layer {name!r}: bits must be 1 to {MAX_BITS}, not {bits}")


def largest(score: npt.NDArray[np.floating[Any]], density: float) -> Mask:
    """Return the mask of the largest scores: a share of `density`, at least one score.

    Of equal scores the first are taken.
    """
    count = max(1, round(density * score.size))
    flat = score.reshape(-1)
    least = np.partition(flat, flat.size - count)[flat.size - count]
    mask: Mask = flat > least
    mask[np.flatnonzero(flat == least)[: count - int(mask.sum())]] = True
    return np.reshape(mask, score.shape)


def project_layer(
    layer: LearningConv,
    density: float,
    bits: int,
    largest_output: float | None,
    worth: Mask,
    engine: EngineConfig,
) -> None:
    """Give a layer its mask, its codebook and, if its largest output is given, gains.

    Parameters
    ----------
    layer : LearningConv
        Layer to change.
    density : float, above 0 to 1
        Largest share of the weights that is kept.
    bits : int, 1 to 8
        Width of a code.
    largest_output : float, optional
        Largest output of the layer in real units; without it channels have no gains.
    worth : ndarray of bool, shape of the weight
        Weights that may be kept (`sqhw.compress.calibration.equalise.worth_keeping`).
    engine : EngineConfig
    """
    weight = layer.weight.detach().numpy().copy()
    mask = largest(np.where(worth, np.abs(weight), 0), density) & worth
    layer.may_vanish = True
    if largest_output is not None and may_have_gains(layer.layer, engine):
        gain = channel_gains(layer, np.where(mask, weight, 0), largest_output, engine)
        if gain.min() < gain.max():
            layer.set_gains(gain, held_gain_bits(GAIN_BITS, engine))
            weight = (weight / gain[:, None, None, None]).astype(np.float32)
    layer.set_projection(*_projection(weight, mask, bits, engine))


def _projection(
    weight: Floats32, mask: Mask, bits: int, engine: EngineConfig
) -> tuple[Mask, Floats64]:
    """Return the mask without the weights below half of an 8-bit step, and a codebook."""
    top = float(np.abs(weight[mask]).max(initial=0.0))
    # Whatever the codebook, the engine's weights are at best multiples of 1/127 of the largest.
    mask = mask & (np.abs(weight) >= top / (2 * WEIGHT_TOP))
    if top == 0:
        return np.zeros_like(mask), np.ones(1)  # a layer of biases only
    if bits == MAX_BITS:
        return mask, uniform_values(top)
    return _clustered(weight, mask, bits, engine)


def uniform_values(top: float) -> Floats64:
    """Return steps of 1/127 of the largest magnitude, without 0."""
    steps = np.arange(-WEIGHT_TOP, WEIGHT_TOP + 1, dtype=np.float64)
    values: Floats64 = top / WEIGHT_TOP * steps[steps != 0]
    return values


def _clustered(
    weight: Floats32, mask: Mask, bits: int, engine: EngineConfig
) -> tuple[Mask, Floats64]:
    """Return the mask and the codebook of a k-means with one more centroid at 0.

    The 0 takes no code in a stream that skips zeros. A dense stream of all weights has a code for
    it. Where that stream is smaller, there is one value less.
    """
    kept, book = _with_zero(weight, mask, 1 << bits)
    stored = int(kept.any(axis=(1, 2, 3)).sum()) * weight[0].size
    dense = stored * bits + (CODEBOOK_WIDTH << bits)
    if bits > 1 and dense < least_stream_bits(kept, len(book), engine):
        return _with_zero(weight, mask, (1 << bits) - 1)
    return kept, book


def _with_zero(weight: Floats32, mask: Mask, levels: int) -> tuple[Mask, Floats64]:
    """Return the mask of weights nearer to one of `levels` values than to 0, and the values."""
    values = np.sort(weight[mask].astype(np.float64))
    book = np.unique(values)
    if len(book) > levels:
        start = values[((np.arange(levels) + 0.5) / levels * len(values)).astype(np.int64)]
        ones = np.ones(len(values))
        found = lloyd(values, ones, start, pinned_zero=True, steps=LLOYD_STEPS, tolerance=0)
        book = np.unique(found.means)
    taken = Codebook.nearest(np.append(book, 0.0)).quantize(weight.astype(np.float64))
    return mask & (taken != 0), book
