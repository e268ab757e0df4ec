"""Additive powers of two: a multiplication is a sum of a few shifts."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sqhw.compress.quantizers.base import Quantizer, best_scale, checked, symmetric
from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer

#: Exponents of the terms by width of a code, in the sets of the authors' code. They have no sign.
#: A term may also be zero.
TERMS: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((0,),),
    3: ((1, 2, 3),),
    4: ((1, 2, 4), (3,)),
    5: ((1, 3, 5), (2, 4, 6)),
}
#: Largest clip, in root mean squares of the weights: the authors' start.
CLIP_STD = 3.0
#: Number of clips to try.
CANDIDATES = 60


def apot_levels(bits: int) -> npt.NDArray[np.float64]:
    """Return the levels of additive powers of two, ascending; the largest is 1.

    Parameters
    ----------
    bits : int, 2 to 5
        Width of a code, sign included. With 2 bits the levels are -1, 0 and 1.
    """
    sets = [[0.0, *(2.0**-e for e in exponents)] for exponents in TERMS[bits]]
    sums = np.unique([sum(terms) for terms in itertools.product(*sets)])
    return symmetric(sums / sums[-1])


@dataclass(frozen=True)
class ApotQuantizer(Quantizer):
    """Additive powers of two (Li, Dong and Wang, ICLR 2020).

    The clip is the multiple of the weights' spread with the least squared error, at most 3 as in
    the authors' start. In training it learns by their gradient. The authors normalise the weights
    first. Here they are not, so that the levels stay sums of powers of two in every layer.
    """

    name: ClassVar[str] = "apot"
    least_bits: ClassVar[int] = 2
    most_bits: ClassVar[int] = 5

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        levels = apot_levels(self.bits)
        spread = float(np.sqrt((weights**2).mean())) or 1.0
        tried = [CLIP_STD * spread * (i + 1) / CANDIDATES for i in range(CANDIDATES)]
        return Codebook.nearest(best_scale(weights, worth, levels, tried) * levels)

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return the module whose clip learns."""
        return ApotModule(self.bits, float(codebook.levels[-1]))


class ApotModule(TrainedQuantizer):
    """``clip * Q(w / clip)`` with the clip's gradient ``sign(w)`` outside, ``Q - w / clip`` inside.

    Parameters
    ----------
    bits : int, 2 to 5
    clip : float
        Initial clip.
    """

    def __init__(self, bits: int, clip: float) -> None:
        super().__init__()
        self.clip = nn.Parameter(torch.tensor(clip))
        self.register_buffer("unit", torch.from_numpy(apot_levels(bits)).float())
        self.unit: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        """Return the quantized weights, shape as `weight`."""
        clip = self.clip.clamp_min(1e-12)
        ratio = (weight / clip).clamp(-1.0, 1.0)
        levels = (clip * self.unit).detach()
        edges = (levels[1:] + levels[:-1]) / 2
        taken = self.unit[torch.bucketize(weight.detach(), edges, right=True)]
        return clip * (ratio + (taken - ratio).detach())
