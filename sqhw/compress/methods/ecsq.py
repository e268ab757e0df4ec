"""Quantization near its rate-distortion limit: codebooks for Huffman codes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sqhw.arrays import Floats64
from sqhw.compress.choice.fisher import fisher_diagonal
from sqhw.compress.coding.huffman import HuffmanCode
from sqhw.compress.methods.base import NormalisableConfig, register
from sqhw.compress.methods.coded import FLOAT_BITS, CodedLayer
from sqhw.compress.methods.pruning import Density, densities, prune_by_density
from sqhw.compress.methods.result import CompressionResult
from sqhw.compress.methods.run import Method, Run
from sqhw.compress.methods.snapshot import Snapshot, plain
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.straight_through import FixedCodes
from sqhw.compress.quantizers.uniform_means import UniformMeansQuantizer
from sqhw.compress.training.options import Recipe
from sqhw.errors import SqhwError

#: Number of images of the Fisher information, and number of them in a batch.
FISHER_IMAGES, FISHER_BATCH = 1024, 32
#: Name of the row of the tables that all layers share.
SHARED = "(shared tables)"


@register
@dataclass(frozen=True)
class EcsqConfig(NormalisableConfig):
    """Towards the limit of network quantization (Choi, El-Khamy and Lee, ICLR 2017).

    After pruning the weights of all layers take the values of one codebook. Errors are weighted by
    the diagonal of the Hessian, here by that of the Fisher information on 1,024 images. The paper's
    three quantizers are `HessianKMeansQuantizer`, `UniformMeansQuantizer` and
    `EntropyConstrainedQuantizer`. The values are then trained by the sums of their members'
    gradients. Codes and gaps are Huffman coded, with one code for all layers.

    The pruning is an addition to the paper: by magnitude, with one retraining.

    Parameters
    ----------
    density : float, sequence of float, or mapping of str to float
        Share of the weights that each layer keeps.
    quantizer : Quantizer
    index_bits : int, 1 to 16
        Width of a relative index.
    share : Recipe
        Training of the values.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=10))
    density: Density = 0.1
    quantizer: Quantizer = field(default_factory=lambda: UniformMeansQuantizer(5))
    index_bits: int = 5
    share: Recipe = field(default_factory=lambda: Recipe(epochs=5, rate=1e-4))
    name: ClassVar[str] = "ecsq"
    version: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if not 1 <= self.index_bits <= 16:
            raise SqhwError(f"index_bits must be 1 to 16, not {self.index_bits}")

    def method(self, run: Run) -> Method:
        """Return the pruning and the sharing."""
        return Ecsq(run, self)

    def encode(self, result: CompressionResult) -> CompressionResult:
        """Return the result with one Huffman code of values and one of gaps for all layers."""
        layers = [CodedLayer.of(layer.weight, self.index_bits) for layer in result.layers]
        values = np.unique(np.concatenate([layer.levels for layer in layers]))
        counts = np.zeros(len(values), dtype=np.int64)
        places = [np.searchsorted(values, layer.levels) for layer in layers]
        for layer, place in zip(layers, places, strict=True):
            counts[place] += layer.code_counts
        gaps = sum((layer.gap_counts for layer in layers), np.zeros(1 << self.index_bits, np.int64))
        code, gap = HuffmanCode.of(counts), HuffmanCode.of(gaps)
        own = {
            row.name: {
                "codes": int((layer.code_counts * code.lengths[place]).sum()),
                "positions": gap.bits(layer.gap_counts),
                "tables": 0,
            }
            for row, layer, place in zip(result.layers, layers, places, strict=True)
        }
        tables = code.table_bits + gap.table_bits + FLOAT_BITS * len(values)
        own[SHARED] = {"codes": 0, "positions": 0, "tables": tables}
        entries = max(1, int(counts.sum()))
        facts = {
            "values": len(values),
            "weight_bits_huffman": code.bits(counts) / entries,
            "index_bits_huffman": gap.bits(gaps) / entries,
        }
        return replace(result, own_bits=own, tables={"huffman": facts})


class Ecsq(Method):
    """Pruning, then one codebook."""

    def __init__(self, run: Run, config: EcsqConfig) -> None:
        super().__init__(run, config.name)
        self.config = config
        self.shares = densities(config.density, self.model.latent())

    def recipes(self) -> dict[str, Recipe]:
        """Return the recipes of pruning and of sharing."""
        return {"prune": self.config.recipe, "share": self.config.share}

    def begin(self, stage: int) -> None:
        """Prune, or share the remaining weights."""
        layers = self.model.latent()
        if stage == 0:
            prune_by_density(layers, self.shares)
            return
        worth = importance(self.run, [layer.weight for layer in layers])
        kept = [plain(layer.mask) != 0 for layer in layers]
        values = [plain(layer.weight)[mask] for layer, mask in zip(layers, kept, strict=True)]
        weights = [part[mask] for part, mask in zip(worth, kept, strict=True)]
        book, codes = self.config.quantizer.assign(np.concatenate(values), np.concatenate(weights))
        levels = nn.Parameter(torch.from_numpy(book.levels).float().to(self.run.device))
        parts = np.split(codes, np.cumsum([len(part) for part in values])[:-1])
        for layer, mask, part in zip(layers, kept, parts, strict=True):
            whole = np.zeros(mask.shape, dtype=np.int64)
            whole[mask] = part
            layer.weight.requires_grad_(False)
            layer.quantizer = FixedCodes(levels, torch.from_numpy(whole).to(self.run.device))

    def snapshot(self) -> Snapshot:
        """Return the weights on the codebook."""
        return self.run.taken()


def importance(run: Run, parameters: Sequence[Tensor]) -> list[Floats64]:
    """Return the Fisher diagonal of parameters on the first training images, of their shapes."""
    size = min(FISHER_BATCH, len(run.images))
    count = min(FISHER_IMAGES, len(run.images)) // size
    images = run.images[: size * count].view(count, size, *run.images.shape[1:]).to(run.device)
    generator = torch.Generator().manual_seed(0)
    for parameter in parameters:
        parameter.requires_grad_(True)
    found = fisher_diagonal(run.model, list(parameters), images, generator)
    return [plain(diagonal).astype(np.float64) for diagonal in found]
