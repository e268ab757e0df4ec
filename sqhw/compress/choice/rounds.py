"""The rounds of a pruning stage: what each weight is worth, and what the budget leaves."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.arrays import Mask
from sqhw.compress.choice.channels import ChannelGraph, stored_rows
from sqhw.compress.choice.fisher import fisher_diagonal
from sqhw.compress.choice.free_masks import largest, refresh
from sqhw.compress.choice.masked import masked_network
from sqhw.compress.choice.projection import CLOSE, Projector
from sqhw.compress.choice.target import Target
from sqhw.compress.qat.codebook import plain_codebook
from sqhw.compress.qat.network import QatNetwork

FISHER_BATCHES = (32, 12)  # at the start, and at every later projection
FISHER_IMAGES = 64  # of a batch; the estimate gains more by batches than by images
FISHER_KEEP = 0.8  # share of the old estimate in the new one
#: How far a layer's Fisher is taken relative to what the layer keeps: 0 trusts the local estimate
#: of the loss across layers, 1 takes from every layer the same share of its signal.
RELATIVE = 0.5
#: Worth of a weight that is dropped now, relative to what it would have if it were kept: only
#: training brings weights back, and as long as it has not, their size means little.
DROPPED = 1e-6
#: Of the logarithm of the numbers of weights over the share of the ramp that is left.
SLOPE = 1.5
#: Share of those logarithms below which weights stay in the channels that the budget leaves.
ROOM = 0.3
FITS = 12  # steps of the search for the numbers of weights that meet the budget exactly
MOST = 1.5  # of the numbers of a projection that it may end at


class Rounds:
    """Rounds that thin a network out to its budget, while dropped weights may come back.

    As long as layers have more weights than the budget allows, every round projects what is kept to
    the whole budget and gives each layer more weights than that, the fewer the later. Behind that
    ramp the numbers of values and the channels stay, and so do the numbers of weights, in
    proportion to each other: a round fits them to the exact cost of the masks, which change in
    every step (`refresh`).

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
    held : bool
        Whether numbers of weights and of values stay those of a network that was pruned at once.
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
        self.held = False
        self._masks: list[Mask] = []  # of the projection that is in force
        self._floors: list[Mask] = []
        self._levels: list[int] = []
        self._counts: list[int] = []  # of the weights of each layer now
        self._room = [torch.ones_like(layer.mask, dtype=torch.bool) for layer in model.layers()]

    def project(self, done: int) -> None:
        """Set masks and codebooks, after `done` of all rounds."""
        if self.held and done == 0:
            return  # as it was pruned at once, it meets the budget
        left = 0.0 if self.held else max(0.0, 1 - (done + 1) / self.ramp) ** SLOPE
        if (done < self.ramp and not self.held) or not self._masks:
            self._choose(done)
        if left < ROOM:
            self._room = self._rooms()
        masks = self._fitted() if left == 0 else self._thinned(left)
        for layer, mask, levels in zip(
            self.model.learning_layers(), masks, self._levels, strict=True
        ):
            kept = layer.weight.detach().cpu().numpy()[mask]
            layer.set_projection(mask, plain_codebook(kept, levels))
        self._counts = [int(mask.sum()) for mask in masks]

    def hold(self, model: QatNetwork) -> None:
        """Begin behind the ramp, with the numbers and channels of a model that meets the budget.

        Parameters
        ----------
        model : QatNetwork
            With masks and codebooks; it takes the place of that before.
        """
        self.model, self.held = model, True
        self._masks = [layer.mask.cpu().numpy() > 0 for layer in model.layers()]
        self._levels = [len(layer.codebook) for layer in model.layers()]
        self._floors = [np.zeros_like(mask) for mask in self._masks]
        self._counts = [int(mask.sum()) for mask in self._masks]
        self._room = self._rooms()

    def refresh(self) -> None:
        """Let the largest weights take the places of each layer; due before every step."""
        for layer, room, count, floor in zip(
            self.model.layers(), self._room, self._counts, self._floors, strict=True
        ):
            always = torch.from_numpy(floor).to(room.device)
            refresh(layer, largest(layer.weight, room, count, always=always))

    def costs(self, masks: list[Mask]) -> dict[str, float]:
        """Return what masks cost with the numbers of values that are in force, at most.

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
        for at, part in enumerate(self.importance):
            found[f"importance.{at}"] = torch.from_numpy(part)
        numbers = {"levels": self._levels, "counts": self._counts}
        found |= {name: torch.tensor(n, dtype=torch.int64) for name, n in numbers.items()}
        return found | {"held": torch.tensor(self.held)}

    def load(self, found: dict[str, Tensor]) -> None:
        """Take back what `tensors` returned."""
        self._levels, self._counts = found["levels"].tolist(), found["counts"].tolist()
        self.held = bool(found["held"])
        for at, layer in enumerate(self.model.layers()):
            self._room[at] = found[f"room.{at}"].to(layer.mask.device)
            self.importance[at] = found[f"importance.{at}"].numpy()
        self._masks = [found[f"mask.{at}"].numpy() for at in range(len(self._levels))]
        self._floors = [found[f"floor.{at}"].numpy() for at in range(len(self._levels))]

    def _choose(self, done: int) -> None:
        """Project what is kept now to the budget."""
        if done > 0:
            self.importance = [
                FISHER_KEEP * old + (1 - FISHER_KEEP) * now
                for old, now in zip(self.importance, self._fisher(FISHER_BATCHES[1]), strict=True)
            ]
        projector = self._projector()
        found = projector.fitting(close=CLOSE)
        self._floors = [state.floor for state in projector.states]
        if found is None:
            found, self._floors = self.smallest, self.smallest.masks
        if not self.target.admits(found.costs):
            raise AssertionError(f"budget {self.target.budget} missed: {found.costs}")
        self._masks, self._levels = found.masks, found.levels

    def _thinned(self, left: float) -> list[Mask]:
        """Return masks of more weights than the budget allows.

        On the way to a budget every layer goes down to its own number of weights: networks that met
        larger budgets would jump from full layers to sparse ones, where the cheaper format changes.
        """
        return self._largest([(mask.size / max(1, mask.sum())) ** left for mask in self._masks])

    def _fitted(self) -> list[Mask]:
        """Return masks that meet the budget, in numbers as near to it as a search finds.

        Fewer weights need not cost less: positions may cost more than what they save. So the
        numbers of the projection come first, and its own masks, which met the budget, last.
        """
        low, high, best = 0.0, MOST, self._masks
        factor = 1.0
        for _ in range(FITS):
            masks = self._largest([factor] * len(self._masks))
            if self.target.admits(self.costs(masks)):
                low, best = factor, masks
            else:
                high = factor
            factor = (low + high) / 2
        return best

    def _largest(self, factors: list[float]) -> list[Mask]:
        """Return the largest weights of each layer in its room, so many times those projected.

        The floor of the projection's masks stays whatever its size, and alone if it was; so does
        a layer that has all weights: without positions it is cheaper.
        """
        found = []
        for layer, room, mask, factor, floor in zip(
            self.model.layers(), self._room, self._masks, factors, self._floors, strict=True
        ):
            places = room.cpu().numpy()
            if np.array_equal(mask, floor):
                found.append(floor)
            elif not (places & ~mask).any():
                found.append(places)
            else:
                count = max(1, round(factor * int(mask.sum())))
                always = torch.from_numpy(floor).to(room.device)
                found.append(largest(layer.weight, room, count, always=always).cpu().numpy())
        return found

    def _rooms(self) -> list[Tensor]:
        """Return all places of the channels that the projection stores."""
        graph = ChannelGraph.of(self.model)
        rows = stored_rows(graph, self._masks)
        found = []
        for at, (layer, stored) in enumerate(zip(self.model.layers(), rows, strict=True)):
            inputs = graph.inputs(rows, at, layer.mask.shape[1])
            places = torch.from_numpy(stored[:, None] & inputs)[:, :, None, None]
            found.append(places.to(layer.mask.device).expand(layer.mask.shape).contiguous())
        return found

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
        """Return the projection of what is kept to the budget.

        The importances are half way between the Fisher and one that is relative to what each layer
        keeps, which takes the same share of signal from all layers (as Lee et al., "Layer-adaptive
        sparsity for the magnitude-based pruning", ICLR 2021). The Fisher alone, a local estimate,
        gives small layers near the outputs more bits than training has use for.
        """
        importance = []
        for layer, worth in zip(self.model.layers(), self.importance, strict=True):
            weight, mask = (part.detach().cpu().numpy() for part in (layer.weight, layer.mask))
            kept = float(np.sum(worth * weight * weight * mask, dtype=np.float64))
            part = DROPPED + (1 - DROPPED) * mask
            importance.append(worth * part / (kept or 1.0) ** RELATIVE)
        return Projector(self.model, importance, self.target, self.bias_bits)
