"""Structured pruning: whole filters, input channels or kernels go, and are removed."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from sqhw.arrays import Mask
from sqhw.compress.methods.base import TrainedConfig, register
from sqhw.compress.methods.latent import LatentLayer
from sqhw.compress.methods.pruning import Density, densities
from sqhw.compress.methods.run import Method, Run
from sqhw.compress.methods.sharing import share_weights
from sqhw.compress.methods.snapshot import Snapshot, plain, take
from sqhw.compress.qat.float_simplify import simplify_float
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.uniform import UniformQuantizer
from sqhw.compress.training.options import Recipe
from sqhw.errors import unknown_name
from sqhw.network.floats import FloatNetwork

#: Axes that a norm is taken over, by what goes as a whole.
UNITS = {"filter": (1, 2, 3), "channel": (0, 2, 3), "kernel": (2, 3)}


@register
@dataclass(frozen=True)
class StructuredConfig(TrainedConfig):
    """Pruning of filters, input channels or kernels by their L2 norm, then real removal.

    With `soft`, soft filter pruning (He et al., IJCAI 2018): after every epoch the weakest units
    of each layer are set to zero and go on learning; those that are weakest at the end go. Without,
    they go at once and the others are retrained. Filters take their biases along. What is left is
    removed from the topology, so that no index says where it was, but for kernels: those that stay
    have one, and a kernel of a linear layer is a single weight. Outputs of the network stay, and a
    layer keeps at least one unit.

    Ours is the quantization after it.

    Parameters
    ----------
    unit : {"filter", "channel", "kernel"}
    density : float, sequence of float, or mapping of str to float
        Share of the units that each layer keeps; the last layer keeps all filters.
    soft : bool
    quantizer : Quantizer
    share : Recipe
        Training on the codebooks, straight through.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=10))
    unit: str = "filter"
    density: Density = 0.5
    soft: bool = True
    quantizer: Quantizer = field(default_factory=lambda: UniformQuantizer(8))
    share: Recipe = field(default_factory=lambda: Recipe(epochs=5, rate=1e-4))
    name: ClassVar[str] = "structured"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise unknown_name("unit of structured pruning", self.unit, UNITS)

    def method(self, run: Run) -> Method:
        """Return the moving parts."""
        return Structured(run, self)

    def finish(self, network: FloatNetwork) -> FloatNetwork:
        """Return the network without its dead channels."""
        return simplify_float(network)


class Structured(Method):
    """Pruning of units, then quantization."""

    def __init__(self, run: Run, config: StructuredConfig) -> None:
        super().__init__(run, config.name)
        self.config = config
        self.shares = densities(config.density, self.model.latent())
        if config.unit == "filter":
            self.shares[-1] = 1.0
        self.stage = 0

    def recipes(self) -> dict[str, Recipe]:
        """Return pruning and quantization."""
        return {"prune": self.config.recipe, "share": self.config.share}

    def begin(self, stage: int) -> None:
        """Choose the units that go, or quantize."""
        self.stage = stage
        if stage == 0:
            if not self.config.soft:
                self._prune(for_good=True)
            return
        self._prune(for_good=True)
        for layer in self.model.latent():
            share_weights(layer, self.config.quantizer, centroids=False)

    def after_epoch(self, epoch: int) -> dict[str, object]:
        """Set the weakest units to zero, softly; the last time is for good."""
        if self.stage == 0 and self.config.soft:
            self._prune(for_good=False)
        return {}

    def snapshot(self) -> Snapshot:
        """Return the weights as they are."""
        return take(self.model)

    def _prune(self, *, for_good: bool) -> None:
        for layer, share in zip(self.model.latent(), self.shares, strict=True):
            kept = strongest(layer, self.config.unit, share)
            with torch.no_grad():
                mask = torch.from_numpy(kept).to(layer.weight)
                layer.weight.mul_(mask)
                if self.config.unit == "filter":
                    layer.bias.mul_(mask.amax(dim=(1, 2, 3)))
                if for_good:
                    layer.mask.copy_(mask)

    def after_step(self, step: int, rate: float) -> None:
        """Keep the biases of filters that are gone at zero."""
        if self.config.unit != "filter" or (self.stage == 0 and self.config.soft):
            return
        with torch.no_grad():
            for layer in self.model.latent():
                layer.bias.mul_(layer.mask.amax(dim=(1, 2, 3)))


def strongest(layer: LatentLayer, unit: str, share: float) -> Mask:
    """Return which weights belong to the units of the largest L2 norms, shape of the weight.

    Parameters
    ----------
    layer : LatentLayer
    unit : str
        A key of `UNITS`.
    share : float
        Share of the units; ``floor`` of the rest goes, at least one stays.
    """
    weight = plain(layer.effective())
    norm = np.sqrt((weight.astype(np.float64) ** 2).sum(axis=UNITS[unit], keepdims=True))
    gone = min(int((1 - share) * norm.size + 1e-9), norm.size - 1)
    kept = np.ones(norm.size, dtype=bool)
    kept[np.argsort(norm.reshape(-1), kind="stable")[:gone]] = False
    whole: Mask = np.broadcast_to(kept.reshape(norm.shape), weight.shape).copy()
    return whole
