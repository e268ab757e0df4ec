"""Structured pruning: whole filters, input channels or kernels go and leave the topology."""

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
from sqhw.compress.methods.snapshot import Snapshot, plain
from sqhw.compress.qat.float_simplify import simplify_float
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.uniform import UniformQuantizer
from sqhw.compress.training.options import Recipe
from sqhw.errors import unknown_name
from sqhw.network.floats import FloatNetwork

#: Axes over which the norm is taken, by unit of pruning.
UNITS = {"filter": (1, 2, 3), "channel": (0, 2, 3), "kernel": (2, 3)}


@register
@dataclass(frozen=True)
class StructuredConfig(TrainedConfig):
    """Pruning of filters, input channels or kernels by their L2 norm, then removal.

    With `soft` it is soft filter pruning (He et al., IJCAI 2018): after every epoch the weakest
    units of each layer are set to zero and go on learning. The units that are weakest at the end
    go. Without `soft` the weakest units go at once, and the others are retrained. Biases go with
    their filters. Pruned filters and channels are removed from the topology, so that no index
    stores their places. Kernels that stay have an index. A kernel of a linear layer is a single
    weight. Outputs of the network stay, and a layer keeps at least one unit.

    The quantization at the end is an addition to the paper.

    Parameters
    ----------
    unit : {"filter", "channel", "kernel"}
        Unit of pruning.
    density : float, sequence of float, or mapping of str to float
        Share of the units that each layer keeps. The last layer keeps all filters.
    soft : bool
        Whether pruned units go on learning.
    quantizer : Quantizer
        Quantizer of each layer after pruning.
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
        """Return the pruning and the quantization."""
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
        """Return the recipes of pruning and of quantization."""
        return {"prune": self.config.recipe, "share": self.config.share}

    def begin(self, stage: int) -> None:
        """Prune for good unless pruning is soft; in the second stage do, and quantize."""
        self.stage = stage
        if stage == 0:
            if not self.config.soft:
                self._prune(for_good=True)
            return
        self._prune(for_good=True)
        for layer in self.model.latent():
            share_weights(layer, self.config.quantizer, centroids=False)

    def after_epoch(self, epoch: int) -> dict[str, object]:
        """Set the weakest units to zero with `soft`; they go on learning."""
        if self.stage == 0 and self.config.soft:
            self._prune(for_good=False)
        return {}

    def snapshot(self) -> Snapshot:
        """Return the weights as they are."""
        return self.run.taken()

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
        """Keep the biases of pruned filters at zero."""
        if self.config.unit != "filter" or (self.stage == 0 and self.config.soft):
            return
        with torch.no_grad():
            for layer in self.model.latent():
                layer.bias.mul_(layer.mask.amax(dim=(1, 2, 3)))


def strongest(layer: LatentLayer, unit: str, share: float) -> Mask:
    """Return the mask of the units of the largest L2 norms, shape of the weight.

    Parameters
    ----------
    layer : LatentLayer
    unit : str
        A key of `UNITS`.
    share : float
        Share of the units to keep. Of the others ``floor`` go, and at least one unit stays.
    """
    weight = plain(layer.effective())
    norm = np.sqrt((weight.astype(np.float64) ** 2).sum(axis=UNITS[unit], keepdims=True))
    gone = min(int((1 - share) * norm.size + 1e-9), norm.size - 1)
    kept = np.ones(norm.size, dtype=bool)
    kept[np.argsort(norm.reshape(-1), kind="stable")[:gone]] = False
    whole: Mask = np.broadcast_to(kept.reshape(norm.shape), weight.shape).copy()
    return whole
