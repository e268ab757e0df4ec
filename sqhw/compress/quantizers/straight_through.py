"""Codebooks as modules that learn: the forward pass quantizes, gradients go straight through."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from sqhw.compress.quantizers.codebook import Codebook, TrainedQuantizer


class CellQuantizer(TrainedQuantizer):
    """Weights take the level of their cell. The gradient goes to the weight and to the level."""

    @abstractmethod
    def _now(self) -> tuple[Tensor, Tensor]:
        """Return levels and edges as they are now."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the quantized weights, shape as `weight`."""
        levels, edges = self._now()
        taken = levels[torch.bucketize(weight.detach(), edges, right=True)]
        return taken + (weight - weight.detach())


class CodebookQuantizer(CellQuantizer):
    """Cells whose levels learn. A level that is zero stays zero.

    Parameters
    ----------
    book : Codebook
    nearest : bool
        Whether the edges follow the levels, halfway between them. Otherwise they stay.
    """

    def __init__(self, book: Codebook, *, nearest: bool = True) -> None:
        super().__init__()
        self.nearest = nearest
        self.levels = nn.Parameter(torch.from_numpy(book.levels.copy()).float())
        self.register_buffer("edges", torch.from_numpy(book.edges.copy()).float())
        self.register_buffer("moving", (self.levels.detach() != 0).float())
        self.edges: Tensor
        self.moving: Tensor

    def _now(self) -> tuple[Tensor, Tensor]:
        levels = torch.sort(self.levels * self.moving).values
        edges = (levels[1:] + levels[:-1]).detach() / 2 if self.nearest else self.edges
        return levels, edges


class ScaledQuantizer(CellQuantizer):
    """Weights take the nearest of fixed values times a scale, straight through.

    Parameters
    ----------
    book : Codebook
        Initial values.
    learn : bool
        Whether the scale learns. Its gradient is the sum of ``value * gradient``.
    """

    def __init__(self, book: Codebook, learn: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0), requires_grad=learn)
        self.register_buffer("unit", torch.from_numpy(book.levels.copy()).float())
        self.unit: Tensor

    def _now(self) -> tuple[Tensor, Tensor]:
        levels = self.scale.clamp_min(1e-6) * self.unit
        return levels, (levels[1:] + levels[:-1]).detach() / 2


class FixedCodes(TrainedQuantizer):
    """Weights keep their codes, and the values learn.

    Parameters
    ----------
    levels : Parameter, shape (n,)
        Values, which several layers may share.
    codes : Tensor of int64, shape of the weights
    """

    def __init__(self, levels: nn.Parameter, codes: Tensor) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("codes", codes)
        self.codes: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        """Return the values of the codes."""
        return self.levels[self.codes]
