"""The projections of a pruning stage: what each weight is worth, and what the budget leaves."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.compress.fisher import fisher_diagonal
from sqhw.compress.projection import CLOSE, Projector
from sqhw.compress.qat import QatNetwork
from sqhw.compress.target import Target

FISHER_BATCHES = (32, 12)  # at the start, and at every later projection
FISHER_IMAGES = 64  # of a batch; the estimate gains more by batches than by images
FISHER_KEEP = 0.8  # share of the old estimate in the new one
#: How far a layer's Fisher is taken relative to what the layer keeps: 0 trusts the local estimate
#: of the loss across layers, 1 takes from every layer the same share of its signal.
RELATIVE = 0.5
#: Of the logarithm of the numbers of weights over the share of the ramp that is left.
SLOPE = 1.5
NEAR = 0.02  # of the budget: what a projection that is not the last may leave of it


class Rounds:
    """Rounds that thin a network out to its budget; dropped weights may come back.

    Every round projects to the whole budget, then gives each layer more weights than that, the
    fewer the later. Last come masks that meet the budget.

    Parameters
    ----------
    model : QatNetwork
    target : Target
    images : Tensor
        Raw training images, on the CPU.
    generator : torch.Generator
    bias_bits : int
        Width of a bias at most.
    count : int
        Rounds before the last.
    ramp : float, 0 to 1
        Share of the rounds after which every layer is down to its number of weights.

    Attributes
    ----------
    importance : list of ndarray of float64
        Fisher information of each weight, a running mean over the rounds.
    smallest : Projection
        The smallest network there is.
    """

    def __init__(
        self,
        model: QatNetwork,
        target: Target,
        images: Tensor,
        generator: torch.Generator,
        bias_bits: int,
        count: int,
        ramp: float,
    ) -> None:
        self.model, self.target, self.images, self.generator = model, target, images, generator
        self.bias_bits = bias_bits
        self.count, self.ramp = count, max(1, round(ramp * count))
        self.importance = self._fisher(FISHER_BATCHES[0])
        self.smallest = self._projector().floor()

    def project(self, done: int) -> None:
        """Set masks and codebooks, after `done` of all rounds."""
        if done > 0:
            self.importance = [
                FISHER_KEEP * old + (1 - FISHER_KEEP) * now
                for old, now in zip(self.importance, self._fisher(FISHER_BATCHES[1]), strict=True)
            ]
        projector = self._projector()
        found = projector.fitting(CLOSE if done == self.count else NEAR) or self.smallest
        if not self.target.admits(found.costs):
            raise AssertionError(f"budget {self.target.budget} missed: {found.costs}")
        left = max(0.0, 1 - (done + 1) / self.ramp) ** SLOPE
        thinned = projector.thinned(found, left)
        books = projector.codebooks(thinned)
        for layer, mask, book in zip(self.model.layers(), thinned.masks, books, strict=True):
            layer.set_projection(mask, book)

    def _fisher(self, count: int) -> list[npt.NDArray[np.float64]]:
        size = min(FISHER_IMAGES, len(self.images))
        chosen = torch.randint(0, len(self.images), (count * size,), generator=self.generator)
        weights = [layer.weight for layer in self.model.layers()]
        found = fisher_diagonal(
            self.model,
            weights,
            self.images[chosen].view(count, size, *self.images.shape[1:]).to(weights[0].device),
            self.generator,
        )
        return [diagonal.cpu().numpy().astype(np.float64) for diagonal in found]

    def _projector(self) -> Projector:
        """Return the projection to the budget.

        The importances are half way between the Fisher and one that is relative to what each layer
        keeps, which takes the same share of signal from all layers (as Lee et al., "Layer-adaptive
        sparsity for the magnitude-based pruning", ICLR 2021). The Fisher alone, a local estimate,
        gives small layers near the outputs more bits than training has use for.
        """
        importance = []
        for layer, worth in zip(self.model.layers(), self.importance, strict=True):
            weight, mask = (part.detach().cpu().numpy() for part in (layer.weight, layer.mask))
            kept = float(np.sum(worth * weight * weight * mask, dtype=np.float64))
            importance.append(worth / max(kept, 1e-300) ** RELATIVE)
        return Projector(self.model, importance, self.target, self.bias_bits)
