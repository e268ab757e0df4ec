"""Deep Compression: prune, share weights, Huffman."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqhw.compress.methods.base import NormalisableConfig, register
from sqhw.compress.methods.coded import coding_table
from sqhw.compress.methods.pruning import (
    Density,
    densities,
    prune_by_density,
    prune_by_quality,
)
from sqhw.compress.methods.result import CompressionResult
from sqhw.compress.methods.run import Method, Run
from sqhw.compress.methods.sharing import share_weights
from sqhw.compress.methods.snapshot import Snapshot
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.kmeans import KMeansQuantizer
from sqhw.compress.training.bounds import check_least, check_not_negative
from sqhw.compress.training.options import Recipe
from sqhw.errors import SqhwError


@register
@dataclass(frozen=True)
class DeepCompressionConfig(NormalisableConfig):
    """Deep Compression (Han, Mao and Dally, ICLR 2016).

    In each round weights below a threshold go, and the others are retrained. Then the weights of a
    layer share the centroids of a k-means with linear start. The centroids are trained by the sums
    of their members' gradients, and the members do not change. Codes and relative indices are
    Huffman coded. Tables and codebooks are counted.

    The rounds are an addition to the paper: the threshold rises evenly to `quality`.

    Parameters
    ----------
    quality : float
        Threshold in standard deviations of the layer, unless `density` is given.
    density : float, sequence of float, or mapping of str to float, optional
        Share of the weights that each layer keeps, instead of `quality`.
    rounds : int
        Number of rounds of pruning and retraining with `recipe`.
    conv_bits, fc_bits : int, 1 to 8
        Width of a code in convolutions and fully connected layers; 8 and 5 in the paper.
    index_bits : int, 1 to 16
        Width of a relative index; 5 in the paper's LeNet-5, 4 in its AlexNet.
    quantizer : Quantizer
        Quantizer of each layer, with `conv_bits` or `fc_bits`.
    centroids : bool
        Whether the centroids alone are trained. Otherwise the weights are too, straight through.
    share : Recipe
        Training of the shared weights.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=10))
    quality: float = 1.0
    density: Density | None = None
    rounds: int = 1
    conv_bits: int = 8
    fc_bits: int = 5
    index_bits: int = 5
    quantizer: Quantizer = field(default_factory=lambda: KMeansQuantizer(pinned_zero=False))
    centroids: bool = True
    share: Recipe = field(default_factory=lambda: Recipe(epochs=5, rate=1e-4))
    name: ClassVar[str] = "deep-compression"

    def __post_init__(self) -> None:
        check_not_negative("quality", self.quality)
        check_least("rounds", self.rounds, 1)
        for name, most in (("conv_bits", 8), ("fc_bits", 8), ("index_bits", 16)):
            if not 1 <= getattr(self, name) <= most:
                raise SqhwError(f"{name} must be 1 to {most}, not {getattr(self, name)}")
        for name in ("conv_bits", "fc_bits"):
            self.quantizer.check_bits(name, getattr(self, name))

    def method(self, run: Run) -> Method:
        """Return the rounds of pruning and the sharing."""
        return DeepCompression(run, self)

    def encode(self, result: CompressionResult) -> CompressionResult:
        """Return the result with its Huffman codes."""
        own, table = coding_table(result.layers, self.index_bits)
        return replace(result, own_bits=own, tables={"huffman": table})


class DeepCompression(Method):
    """Rounds of pruning, then shared weights."""

    def __init__(self, run: Run, config: DeepCompressionConfig) -> None:
        super().__init__(run, config.name)
        self.config = config
        if config.density is not None:
            self.shares = densities(config.density, self.model.latent())

    def recipes(self) -> dict[str, Recipe]:
        """Return the recipes of the rounds and of the sharing."""
        count = self.config.rounds
        names = [f"prune {i + 1}" for i in range(count)] if count > 1 else ["prune"]
        return dict.fromkeys(names, self.config.recipe) | {"share": self.config.share}

    def begin(self, stage: int) -> None:
        """Prune, or share the remaining weights."""
        layers, config = self.model.latent(), self.config
        if stage < config.rounds:
            part = (stage + 1) / config.rounds
            if config.density is not None:
                prune_by_density(layers, [1 - part * (1 - share) for share in self.shares])
            else:
                prune_by_quality(self.run, layers, part * config.quality)
            return
        for layer in layers:
            bits = config.fc_bits if layer.layer.kind == "linear" else config.conv_bits
            share_weights(layer, config.quantizer.with_bits(bits), config.centroids)

    def snapshot(self) -> Snapshot:
        """Return the shared weights."""
        return self.run.taken()
