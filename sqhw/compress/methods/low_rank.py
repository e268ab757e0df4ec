"""Low rank plus sparse: two thin layers and a sparse one instead of a full one."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch

from sqhw.arrays import Floats64
from sqhw.compress.calibration.layer_projection import largest
from sqhw.compress.methods.base import TrainedConfig, register
from sqhw.compress.methods.run import Method, Run
from sqhw.compress.methods.sharing import share_weights
from sqhw.compress.methods.snapshot import Snapshot
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.uniform import UniformQuantizer
from sqhw.compress.training.options import Recipe
from sqhw.errors import SqhwError
from sqhw.network.floats import FloatConv, FloatLayer, FloatNetwork, FloatResidual

#: Number of alternating steps.
STEPS = 30


@register
@dataclass(frozen=True)
class LowRankConfig(TrainedConfig):
    """Low rank plus sparse, ``W = U V + S`` (GoDec, Zhou and Tao, ICML 2011), then retraining.

    U V of a given rank and S of a given number of weights are found in turn: by a truncated
    singular value decomposition of ``W - S``, and as the largest weights of ``W - U V``. The layer
    becomes three: V with its kernel, S of the same input, and the 1x1 convolution U, which adds S
    as a skip connection. Layers that this would make larger, grouped layers and average poolings
    stay as they are.

    The quantization at the end is an addition to the paper.

    Parameters
    ----------
    rank : float, above 0 to 1
        Rank of U V, in units of the full rank.
    density : float, above 0 to 1
        Share of the weights that S keeps.
    quantizer : Quantizer
        Quantizer of each layer after retraining.
    share : Recipe
        Training on the codebooks, straight through.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=10))
    rank: float = 0.15
    density: float = 0.05
    quantizer: Quantizer = field(default_factory=lambda: UniformQuantizer(6))
    share: Recipe = field(default_factory=lambda: Recipe(epochs=5, rate=1e-4))
    name: ClassVar[str] = "low-rank"

    def __post_init__(self) -> None:
        for option in ("rank", "density"):
            if not 0 < getattr(self, option) <= 1:
                raise SqhwError(
                    f"{option} must be above 0 and at most 1, not {getattr(self, option)}"
                )

    def prepare(self, network: FloatNetwork) -> FloatNetwork:
        """Return the network with factorised layers."""
        layers: list[FloatLayer] = []
        for layer in network.layers:
            if isinstance(layer, FloatConv) and layer.trained and layer.groups == 1:
                layers += factorised(layer, self.rank, self.density)
            else:
                layers.append(layer)
        return replace(network, layers=tuple(layers))

    def method(self, run: Run) -> Method:
        """Return the retraining and the quantization."""
        return LowRank(run, self)


class LowRank(Method):
    """Retraining of the factors, then quantization."""

    def __init__(self, run: Run, config: LowRankConfig) -> None:
        super().__init__(run, config.name)
        self.config = config

    def recipes(self) -> dict[str, Recipe]:
        """Return the recipes of retraining and of quantization."""
        return {"factors": self.config.recipe, "share": self.config.share}

    def begin(self, stage: int) -> None:
        """Fix the masks, or quantize."""
        for layer in self.model.latent():
            if stage == 0:
                with torch.no_grad():
                    layer.mask.copy_((layer.weight != 0).to(layer.weight))
            else:
                share_weights(layer, self.config.quantizer, centroids=False)

    def snapshot(self) -> Snapshot:
        """Return the weights as they are."""
        return self.run.taken()


def low_rank_plus_sparse(
    matrix: Floats64, rank: int, count: int
) -> tuple[Floats64, Floats64, Floats64]:
    """Return U, V and S of ``matrix = U V + S`` with little error.

    Parameters
    ----------
    matrix : ndarray of float64, shape (rows, columns)
    rank : int, 1 or more
    count : int, 1 or more
        Number of weights in S.

    Returns
    -------
    u, v, s : ndarray of float64, shapes (rows, rank), (rank, columns), (rows, columns)
    """
    sparse = np.zeros_like(matrix)
    for _ in range(STEPS):
        u, values, v = np.linalg.svd(matrix - sparse, full_matrices=False)
        root = np.sqrt(values[:rank])
        left, right = u[:, :rank] * root, root[:, None] * v[:rank]
        rest = matrix - left @ right
        sparse = np.where(largest(np.abs(rest), count / rest.size), rest, 0.0)
    return left, right, sparse


def factorised(layer: FloatConv, rank: float, density: float) -> list[FloatLayer]:
    """Return the layers that replace a layer, or the layer itself if they would not be smaller.

    Parameters
    ----------
    layer : FloatConv
        Layer of one group.
    rank, density : float
        Options of `LowRankConfig`.
    """
    out = layer.weight.shape[0]
    matrix = layer.weight.reshape(out, -1).astype(np.float64)
    full = min(matrix.shape)
    thin, count = max(1, round(rank * full)), max(1, round(density * matrix.size))
    if thin * sum(matrix.shape) + count >= matrix.size:
        return [layer]
    u, v, s = low_rank_plus_sparse(matrix, thin, count)
    basis = replace(
        layer,
        name=f"{layer.name}.basis",
        weight=v.reshape(thin, *layer.weight.shape[1:]).astype(np.float32),
        bias=np.zeros(thin, np.float32),
        relu=False,
        ceiling=None,
        activation=None,
        residual=None,
    )
    sparse = replace(
        layer,
        name=f"{layer.name}.sparse",
        weight=s.reshape(layer.weight.shape).astype(np.float32),
        bias=np.zeros(out, np.float32),
        relu=False,
        ceiling=None,
        activation=None,
    )
    whole = replace(
        layer,
        source=basis.name,
        weight=u.reshape(out, thin, 1, 1).astype(np.float32),
        stride=1,
        padding=(0, 0, 0, 0),
        residual=FloatResidual(sparse.name),
    )
    return [basis, sparse, whole]
