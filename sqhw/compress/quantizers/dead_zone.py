"""Equal steps outside of a dead zone; the zone's width and the number of bits can learn."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sqhw.compress.quantizers.base import Quantizer, checked, symmetric
from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer
from sqhw.errors import SqhwError

#: Share of the magnitudes that lie within the range.
PERCENTILE = 0.99
#: Ratio of the two learned numbers of a layer to their parameters. With it they learn faster than
#: weights of the same learning rate.
SPEED = 10.0


def dead_zone_book(reach: float, dead: float, bits: int) -> Codebook:
    """Return the codebook of a dead zone of width `dead` around zero up to `reach`.

    With ``Q = 2**(bits - 1) - 1``, ``step = (reach - dead / 2) / (Q - 1/2)`` and
    ``shift = dead / 2 - step / 2`` the values are 0 and ``±(step * q + shift)`` for q of 1 to Q
    (CoDeQ, arXiv 2512.12981).
    """
    top = (1 << (bits - 1)) - 1
    step = (reach - dead / 2) / (top - 0.5)
    shift = dead / 2 - step / 2
    q = np.arange(1, top + 1)
    return Codebook(
        symmetric(np.concatenate(([0.0], step * q + shift))), symmetric(shift + (q - 0.5) * step)
    )


@dataclass(frozen=True)
class DeadZoneQuantizer(Quantizer):
    """Weights within a zone around zero become zero, the others take equal steps outside of it.

    The quantizer is that of CoDeQ (arXiv 2512.12981). The range is the 99th percentile of the
    magnitudes.

    Parameters
    ----------
    dead : float, 0 to below 2
        Width of the zone over both signs, in units of the range.
    """

    dead: float = 0.1
    name: ClassVar[str] = "dead-zone"
    least_bits: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dead < 2:
            raise SqhwError(f"quantizer 'dead-zone': dead must be 0 to below 2, not {self.dead}")

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`. Importance is ignored."""
        weights, _ = checked(values, importance)
        reach = float(np.quantile(np.abs(weights), PERCENTILE)) or 1.0
        return dead_zone_book(reach, self.dead * reach, self.bits)

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return the module whose dead zone learns and whose bits stay."""
        return DeadZoneModule(self.dead, self.bits, learn_bits=False)


class DeadZoneModule(TrainedQuantizer):
    """CoDeQ's quantizer: the width of the dead zone and the bits are functions of two numbers.

    ``dead = 2 reach (1 - |tanh d|)`` and ``bits = round((most - 2) |tanh b| + 2)``. A force that
    pulls d and b to zero, as weight decay or a penalty does, makes the layer sparser and its codes
    shorter.

    Parameters
    ----------
    dead : float
        Initial width of the zone, in units of the range.
    bits : int
        Initial width of a code; if it learns, the largest too.
    learn_bits : bool
        Whether the width of a code learns.

    Attributes
    ----------
    held : bool
        Whether zone and bits stay as they are.
    """

    def __init__(self, dead: float, bits: int, learn_bits: bool) -> None:
        super().__init__()
        start = math.atanh(min(1 - dead / 2, 1 - 1e-6)) / SPEED
        self.zone = nn.Parameter(torch.tensor(start))
        self.width = nn.Parameter(torch.tensor(3.0 / SPEED), requires_grad=learn_bits)
        self.register_buffer("reach", torch.tensor(0.0))
        self.register_buffer("most_bits", torch.tensor(float(bits)))
        self.reach: Tensor
        self.most_bits: Tensor
        self.held = False

    def soft_bits(self) -> Tensor:
        """Return the bits before they are rounded."""
        return (self.most_bits - 2) * torch.tanh(SPEED * self._free(self.width)).abs() + 2

    def bits(self) -> int:
        """Return the bits of a code, zero included."""
        return int(torch.round(self.soft_bits().detach()))

    def dead(self) -> Tensor:
        """Return the width of the dead zone."""
        return 2 * self.reach * (1 - torch.tanh(SPEED * self._free(self.zone)).abs())

    def _free(self, parameter: Tensor) -> Tensor:
        return parameter.detach() if self.held else parameter

    def forward(self, weight: Tensor) -> Tensor:
        """Return the quantized weights, shape as `weight`."""
        with torch.no_grad():
            magnitude = weight.abs().reshape(-1)
            rank = max(1, math.ceil(PERCENTILE * magnitude.numel()))
            self.reach.copy_(torch.kthvalue(magnitude, rank).values.clamp_min(1e-12))
        soft = self.soft_bits()
        bits = soft + (torch.round(soft) - soft).detach()
        top = 2 ** (bits - 1) - 1
        dead = self.dead()
        step = (self.reach - dead / 2) / (top - 0.5)
        shift = dead / 2 - step / 2
        # Straight through the rounding, the clamp and the rectifier.
        real = torch.sign(weight) * (weight.abs() - shift) / step
        limited = torch.minimum(torch.round(torch.relu((weight.abs() - shift) / step)), top)
        sign = torch.sign(weight.detach())
        whole = real + (sign * limited - real).detach()
        taken: Tensor = step * whole + shift * torch.sign(whole.detach())
        return taken
