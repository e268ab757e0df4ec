"""Three values a layer, two of them learned: trained ternary quantization."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sqhw.compress.quantizers.base import Quantizer, checked
from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer
from sqhw.errors import SqhwError


@dataclass(frozen=True)
class TernaryQuantizer(Quantizer):
    """The values ``-n``, 0 and ``p``: trained ternary quantization (Zhu et al., ICLR 2017).

    Weights of magnitude up to ``threshold * max|w|`` become zero. The two values are at first the
    means of the weights that take them, and then learn.

    Parameters
    ----------
    bits : int
        Width of a code. Three values take 2, and no other width is allowed.
    threshold : float, 0 to below 1
        Threshold in units of the largest magnitude; 0.05 in the paper.
    """

    bits: int = 2
    threshold: float = 0.05
    name: ClassVar[str] = "ternary"
    least_bits: ClassVar[int] = 2
    most_bits: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.threshold < 1:
            raise SqhwError(
                f"quantizer 'ternary': threshold must be 0 to below 1, not {self.threshold}"
            )

    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights; see `Quantizer.fit`."""
        weights, worth = checked(values, importance)
        delta = self.threshold * float(np.abs(weights).max())
        levels: list[float] = [0.0]
        edges: list[float] = []
        for low, mask in ((True, weights < -delta), (False, weights > delta)):
            if mask.any():
                mean = float(np.average(weights[mask], weights=worth[mask]))
                levels.insert(0 if low else len(levels), mean)
                edges.append(-delta if low else np.nextafter(delta, np.inf))
        return Codebook(np.array(levels), np.array(edges))

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return the module with the gradients of the paper."""
        return TernaryModule(codebook, self.threshold)


class TernaryModule(TrainedQuantizer):
    """Trained ternary quantization: ``p`` and ``n`` learn by the sums of their weights' gradients.

    The gradient of a weight is that of its quantized value times ``p``, 1 or ``n``, by its zone.

    Parameters
    ----------
    book : Codebook
        Codebook of `TernaryQuantizer.fit`.
    threshold : float
        Threshold in units of the largest magnitude.
    """

    def __init__(self, book: Codebook, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        low, high = min(book.levels[0], 0.0), max(book.levels[-1], 0.0)
        self.negative = nn.Parameter(torch.tensor(-float(low)))
        self.positive = nn.Parameter(torch.tensor(float(high)))
        self.register_buffer("delta", torch.tensor(0.0))
        self.delta: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        """Return the quantized weights, shape as `weight`."""
        with torch.no_grad():
            self.delta.copy_(self.threshold * weight.abs().max())
        taken: Tensor = _Ternary.apply(  # type: ignore[no-untyped-call]
            weight, self.positive, self.negative, self.delta
        )
        return taken


class _Ternary(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, positive: Tensor, negative: Tensor, delta: Tensor
    ) -> Tensor:
        high, low = (weight > delta).to(weight), (weight < -delta).to(weight)
        ctx.save_for_backward(high, low, positive, negative)
        return high * positive - low * negative

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        high, low, positive, negative = ctx.saved_tensors
        scale = high * positive + low * negative + (1 - high - low)
        return grad * scale, (grad * high).sum(), -(grad * low).sum(), None
