"""Numbers of weights and of values for a budget, and masks that stay within it as they change."""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.arrays import Mask
from sqhw.compress.choice.channels import ChannelGraph, stored_rows
from sqhw.compress.choice.fisher import fisher_diagonal
from sqhw.compress.choice.free_masks import largest, refresh
from sqhw.compress.choice.masked import masked_network
from sqhw.compress.choice.projection import CLOSE, Projection, Projector
from sqhw.compress.choice.target import Target
from sqhw.compress.qat.codebook import balanced_codebook
from sqhw.compress.qat.network import QatNetwork

#: Batches of the Fisher information, and images of a batch. More batches improve the estimate more
#: than more images.
FISHER_BATCHES, FISHER_IMAGES = 32, 64
#: Largest share of a layer's places in stored channels with which numbers are chosen anew.
FEW_PLACES = 0.5
FIT_STEPS = 12  # steps of the search for numbers of weights that meet the budget exactly
MAX_WEIGHTS_RATIO = 1.5  # largest ratio of the numbers of weights to those of the projection


class Rounds:
    """Rounds that fit a network to its budget, while every step may exchange weights.

    The first round chooses the channels, and numbers of weights and of values of all layers. The
    later ones keep the channels, the numbers of values, and the proportions of the numbers of
    weights. They fit the numbers of weights to the exact cost of the current masks (`refresh`).

    Parameters
    ----------
    model : QatNetwork
    target : Target
    images : Tensor
        Raw training images, on the CPU.
    generator : torch.Generator
    bias_bits : int
        Largest width of a bias.
    count : int
        Rounds before the last.

    Attributes
    ----------
    importance : list of ndarray of float64
        Fisher information of each weight before compression.
    smallest : Projection
        Projection to the smallest network.
    """

    def __init__(
        self,
        model: QatNetwork,
        target: Target,
        images: Tensor,
        generator: torch.Generator,
        bias_bits: int,
        count: int,
    ) -> None:
        self.model, self.target, self.images, self.generator = model, target, images, generator
        self.bias_bits, self.count = bias_bits, count
        self.importance = self._fisher()
        self.smallest = self._projector().floor()
        self._masks: list[Mask] = []  # masks of the projection
        self._floors: list[Mask] = []
        self._levels: list[int] = []
        self._counts: list[int] = []  # current numbers of weights of the layers
        self._room = [torch.ones_like(layer.mask, dtype=torch.bool) for layer in model.layers()]

    def project(self) -> None:
        """Set masks and codebooks that meet the budget."""
        if not self._masks:
            self._choose()
            self._room = self._rooms()
        masks = self._fitted()
        for layer, mask, levels in zip(
            self.model.learning_layers(), masks, self._levels, strict=True
        ):
            if len(layer.codebook):  # its values have learned
                refresh(layer, torch.from_numpy(mask).to(layer.mask.device))
                continue
            kept = layer.weight.detach().cpu().numpy()[mask]
            layer.set_projection(mask, balanced_codebook(kept, levels))
        self._counts = [int(mask.sum()) for mask in masks]

    def refresh(self) -> None:
        """Give the places of each layer to its largest weights; due before every step."""
        for layer, room, count, floor in zip(
            self.model.layers(), self._room, self._counts, self._floors, strict=True
        ):
            always = torch.from_numpy(floor).to(room.device)
            refresh(layer, largest(layer.weight, room, count, always=always))

    def costs(self, masks: list[Mask]) -> dict[str, float]:
        """Return an upper bound of the cost of masks with the current numbers of values.

        Parameters
        ----------
        masks : list of ndarray of bool, shape (out_channels, in_channels / groups, ...)
        """
        engine = self.target.engine
        return self.target.costs(
            masked_network(self.model, masks, self._levels, self.bias_bits, engine)
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name."""
        found = {f"room.{at}": room for at, room in enumerate(self._room)}
        for name, masks in (("mask", self._masks), ("floor", self._floors)):
            found |= {f"{name}.{at}": torch.from_numpy(mask) for at, mask in enumerate(masks)}
        numbers = {"levels": self._levels, "counts": self._counts}
        return found | {name: torch.tensor(n, dtype=torch.int64) for name, n in numbers.items()}

    def load(self, found: dict[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        self._levels, self._counts = found["levels"].tolist(), found["counts"].tolist()
        for at, layer in enumerate(self.model.layers()):
            self._room[at] = found[f"room.{at}"].to(layer.mask.device)
        self._masks = [found[f"mask.{at}"].numpy() for at in range(len(self._levels))]
        self._floors = [found[f"floor.{at}"].numpy() for at in range(len(self._levels))]

    def _choose(self) -> None:
        """Choose numbers of weights and of values, and channels, for the budget.

        A layer that loses most of its places with its channels is far smaller than the first choice
        knew. If there is one, numbers are chosen anew, for the places of the stored channels.
        """
        projector = self._projector()
        found = projector.fitting(close=CLOSE)
        if found is None:
            self._take(self.smallest, self.smallest.masks)
            return
        self._take(found, [state.floor for state in projector.states])
        places = self._rooms()
        if all(float(room.double().mean()) > FEW_PLACES for room in places):
            return
        for layer, room in zip(self.model.layers(), places, strict=True):
            layer.mask.copy_(room)
        projector = self._projector()
        found = projector.fitting(close=CLOSE)
        if found is not None:
            self._take(found, [state.floor for state in projector.states])

    def _take(self, found: Projection, floors: list[Mask]) -> None:
        """Take the masks and the numbers of values of a projection, which must meet the budget."""
        if not self.target.admits(found.costs):
            raise AssertionError(f"budget {self.target.budget} missed: {found.costs}")
        self._masks, self._levels, self._floors = found.masks, found.levels, floors

    def _fitted(self) -> list[Mask]:
        """Return masks that meet the budget, in numbers as near to it as a search finds.

        Fewer weights need not cost less: their positions may cost more than they save. So the
        search begins with the numbers of the projection. Its own masks, which met the budget, come
        last.
        """
        low, high, best = 0.0, MAX_WEIGHTS_RATIO, self._masks
        factor = 1.0
        for _ in range(FIT_STEPS):
            masks = self._largest(factor)
            if self.target.admits(self.costs(masks)):
                low, best = factor, masks
            else:
                high = factor
            factor = (low + high) / 2
        return best

    def _largest(self, factor: float) -> list[Mask]:
        """Return masks of the largest weights, `factor` times as many as those of the projection.

        The floor of the projection's masks stays whatever its size, and alone if it was alone. A
        layer with all weights stays too: without positions it is cheaper.
        """
        found = []
        for layer, room, mask, floor in zip(
            self.model.layers(), self._room, self._masks, self._floors, strict=True
        ):
            places = room.cpu().numpy()
            if np.array_equal(mask, floor):
                found.append(floor)
            elif not (places & ~mask).any():
                found.append(places)
            else:
                count = max(int(floor.sum()), round(factor * int(mask.sum())))
                always = torch.from_numpy(floor).to(room.device)
                found.append(largest(layer.weight, room, count, always=always).cpu().numpy())
        return found

    def _rooms(self) -> list[Tensor]:
        """Return masks of all places of the channels that the projection stores."""
        graph = ChannelGraph.of(self.model)
        rows = stored_rows(graph, self._masks)
        found = []
        for at, (layer, stored) in enumerate(zip(self.model.layers(), rows, strict=True)):
            inputs = graph.inputs(rows, at, layer.mask.shape[1])
            places = torch.from_numpy(stored[:, None] & inputs)[:, :, None, None]
            found.append(places.to(layer.mask.device).expand(layer.mask.shape).contiguous())
        return found

    def _fisher(self) -> list[npt.NDArray[np.float64]]:
        size = min(FISHER_IMAGES, len(self.images))
        order = torch.randint(
            0, len(self.images), (FISHER_BATCHES * size,), generator=self.generator
        )
        weights = [layer.weight for layer in self.model.layers()]
        images = self.images[order].view(FISHER_BATCHES, size, *self.images.shape[1:])
        found = fisher_diagonal(self.model, weights, images.to(weights[0].device), self.generator)
        return [diagonal.cpu().numpy().astype(np.float64) for diagonal in found]

    def _projector(self) -> Projector:
        """Return the projection of the network before compression to the budget.

        Only the places in the masks of the model count; before the first choice, these are all.

        The Fisher information is a local estimate. Alone, it gives small layers more bits than
        training can use. Equal shares of weights in all layers ignore the differences between
        layers. The energy of a layer is the geometric mean of its Fisher loss and its size.
        """
        importance = []
        for layer, worth in zip(self.model.layers(), self.importance, strict=True):
            weight, room = (part.detach().cpu().numpy() for part in (layer.weight, layer.mask))
            worth = worth * room
            whole = float(np.sum(worth * weight * weight, dtype=np.float64))
            size = float(room.sum(dtype=np.float64))
            importance.append(worth * (math.sqrt(size / whole) if whole else 1.0))
        return Projector(self.model, importance, self.target, self.bias_bits)
