"""SQL: sparsity and quantization learned jointly by constrained optimization."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sqhw.arrays import Floats64
from sqhw.compress.methods.base import NormalisableConfig, register
from sqhw.compress.methods.run import Method, Run
from sqhw.compress.methods.snapshot import Snapshot, plain
from sqhw.compress.methods.sql_projections import ZERO, quantize_layers, sparsify, widths
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.kmeans import KMeansQuantizer
from sqhw.compress.training.bounds import check_least, check_positive
from sqhw.compress.training.options import Recipe
from sqhw.errors import SqhwError

#: Largest width of a code.
MOST_BITS = 8


@register
@dataclass(frozen=True)
class SqlConfig(NormalisableConfig):
    """SQL (Yang, Gui, Zhu and Liu, CVPR 2020): ADMM between sparse and quantized weights.

    It minimises the loss over W under ``sum of bits * non-zeros <= budget``. Every step pulls the
    weights to their quantized copy V in closed form, ``W <- (W + b (V - U)) / (1 + b)`` with ``b =
    rate * rho``. After the first step and after every epoch there are three updates. One greedy 0-1
    knapsack over all weights projects W. A multiple-choice knapsack over the bits of the layers
    gives V, the quantized W + U. Then ``U <- U + W - V``. Between projections dropped weights may
    come back. The loop, the projections and the quantizer are those of the authors' code
    (hyang1990/sparsity_quantization_joint).

    Three things are not the authors': the epoch is chosen on the validation split instead of the
    test split, layers have a floor, and another quantizer can be chosen.

    Parameters
    ----------
    nonzeros : float, above 0 to 1
        Share of the weights that the budget counts.
    bits : float, 1 to 8
        Bits of a weight in the budget. Layers begin with its integer part. The budget is
        ``bits * nonzeros * weights`` (basis ``payload``).
    rho : float
        Strength of the pull: 0.05 for small networks, 0.001 for large ones.
    least_bits : int, 1 to 8
        Smallest width of a code in any layer. The quantizer must have all widths from there to its
        largest.
    floor : int
        Least number of weights of each layer. The authors have none, and at their budgets no layer
        is emptied.
    quantizer : Quantizer
        Quantizer, which is used with every width in turn.
    finetune : Recipe
        Training with fixed masks and codebooks, straight through. By default it has no epochs.
    """

    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            epochs=120, rate=0.1, optimizer="sgd", momentum=0.93, decay=5e-4, warmup=10
        )
    )
    nonzeros: float = 0.0054
    bits: float = 3.0
    rho: float = 0.05
    least_bits: int = 1
    floor: int = 1
    quantizer: Quantizer = field(default_factory=KMeansQuantizer)
    finetune: Recipe = field(default_factory=lambda: Recipe(epochs=0, rate=1e-3))
    name: ClassVar[str] = "sql"

    def __post_init__(self) -> None:
        if not 0 < self.nonzeros <= 1:
            raise SqhwError(f"nonzeros must be above 0 and at most 1, not {self.nonzeros}")
        if not 1 <= self.least_bits <= self.bits <= MOST_BITS:
            raise SqhwError(
                f"bits must be least_bits, now {self.least_bits}, to {MOST_BITS}, not {self.bits}"
            )
        check_positive("rho", self.rho)
        check_least("floor", self.floor, 0)
        if self.recipe.epochs < 1:
            raise SqhwError(
                "epochs of method 'sql' must be at least 1, not 0: without a step nothing is pruned"
            )
        if self.least_bits > self.quantizer.most_bits:
            raise SqhwError(
                f"least_bits must be at most {self.quantizer.most_bits}, the most that quantizer "
                f"{self.quantizer.name!r} has, not {self.least_bits}"
            )
        for bits in widths(self.quantizer, self.least_bits):
            self.quantizer.check_bits("least_bits", bits)

    def method(self, run: Run) -> Method:
        """Return the ADMM and the fine-tuning."""
        return Sql(run, self)


class Sql(Method):
    """The loop of SQL."""

    def __init__(self, run: Run, config: SqlConfig) -> None:
        super().__init__(run, config.name)
        self.config = config
        layers = self.model.latent()
        self.sizes = [layer.weight.numel() for layer in layers]
        self.bits = [math.floor(config.bits)] * len(layers)
        self.copy = [layer.weight.detach().clone() for layer in layers]  # V
        self.dual = [torch.zeros_like(layer.weight) for layer in layers]  # U
        # The authors' first projection rounds the bits down, the later ones do not.
        kept = sum(math.ceil(config.nonzeros * size) for size in self.sizes)
        self.first_budget, self.budget = math.floor(config.bits) * kept, config.bits * kept
        least = sum(min(config.floor, n) * b for n, b in zip(self.sizes, self.bits, strict=True))
        if self.first_budget < least:
            raise SqhwError(
                f"budget of method 'sql' is payload={self.first_budget}, the least feasible for "
                f"network {run.network.name!r} is payload={least}; raise nonzeros"
            )

    def recipes(self) -> dict[str, Recipe]:
        """Return the recipes of the ADMM and of the fine-tuning."""
        return {"admm": self.config.recipe, "finetune": self.config.finetune}

    def eligible(self, stage: int) -> bool:
        """Return whether epochs of a stage may become the result: those of both stages may."""
        return True

    def begin(self, stage: int) -> None:
        """Fix masks and codebooks for the fine-tuning."""
        self.tuning = stage == 1 and self.config.finetune.epochs > 0
        if not self.tuning:
            return
        rest = zip(self.model.latent(), self._quantized(), self.bits, strict=True)
        for layer, weight, bits in rest:
            kept = weight != 0
            layer.mask.copy_(torch.from_numpy(kept))
            if kept.any():
                quantizer = self.config.quantizer.with_bits(bits)
                layer.quantizer = quantizer.trainable(quantizer.fit(weight[kept]))
                layer.quantizer.to(layer.weight.device)

    def after_step(self, step: int, rate: float) -> None:
        """Pull the weights to their quantized copy, and project after the first step."""
        if self.tuning:
            return
        beta = rate * self.config.rho
        with torch.no_grad():
            rest = zip(self.model.latent(), self.copy, self.dual, strict=True)
            for layer, copy, dual in rest:
                layer.weight.add_(beta * (copy - dual)).div_(1 + beta)
        if step == 0:
            self._project(self.first_budget)

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Project, and return the bits, the non-zeros and the squared distance of W and V."""
        if self.tuning:
            return {}
        gap = self._project(self.budget)
        return {
            "bits": list(self.bits),
            "nonzeros": [int((layer.weight != 0).sum()) for layer in self.model.latent()],
            "gap": gap,
        }

    def snapshot(self) -> Snapshot:
        """Return the sparse weights, quantized with the bits of their layers."""
        if self.tuning:
            return self.run.taken()
        device = self.run.device
        weights = [torch.from_numpy(w).float().to(device) for w in self._quantized()]
        return self.run.taken(weights=weights)

    def extra_state(self) -> dict[str, Tensor]:
        """Return V, U and the bits."""
        state = {"bits": torch.tensor(self.bits)}
        state |= {f"dual.{i}": tensor for i, tensor in enumerate(self.dual)}
        return state | {f"copy.{i}": tensor for i, tensor in enumerate(self.copy)}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `extra_state` returned."""
        device, count = self.run.device, len(self.sizes)
        self.bits = [int(bits) for bits in state["bits"]]
        self.dual = [state[f"dual.{i}"].to(device) for i in range(count)]
        self.copy = [state[f"copy.{i}"].to(device) for i in range(count)]

    def _project(self, budget: float) -> float:
        """Project W in place, project V, update U, and return the squared distance of W and V."""
        layers = self.model.latent()
        weights = [plain(layer.weight).astype(np.float64) for layer in layers]
        masks = sparsify(weights, self.bits, budget, floor=self.config.floor)
        if self.config.floor:
            free = sparsify(weights, self.bits, budget)
            for layer, mask in zip(layers, free, strict=True):
                if not mask.any():
                    self.run.note(
                        f"layer {layer.layer.name!r} would have been emptied by the budget and "
                        f"keeps {self.config.floor} weights"
                    )
        gap = 0.0
        duals = [plain(dual).astype(np.float64) for dual in self.dual]
        sparse = [np.where(mask, w, 0.0) for mask, w in zip(masks, weights, strict=True)]
        copies, self.bits = quantize_layers(
            [w + u for w, u in zip(sparse, duals, strict=True)],
            [int(mask.sum()) for mask in masks],
            self.budget,
            self.config.quantizer,
            least_bits=self.config.least_bits,
        )
        self.copy = []
        with torch.no_grad():
            for i, (layer, copy) in enumerate(zip(layers, copies, strict=True)):
                layer.weight.mul_(torch.from_numpy(masks[i]).to(layer.weight))
                whole = torch.from_numpy(copy).to(layer.weight)
                self.copy.append(whole)
                self.dual[i] += layer.weight - whole
                gap += float(((layer.weight - whole) ** 2).sum())
        return gap

    def _quantized(self) -> list[Floats64]:
        """Return the projected weights, each layer on a codebook of its bits."""
        found = []
        for layer, bits in zip(self.model.latent(), self.bits, strict=True):
            weight = plain(layer.weight).astype(np.float64)
            kept = np.abs(weight) >= ZERO
            values = np.zeros(weight.shape)
            if kept.any():
                part = weight[kept]
                values[kept] = self.config.quantizer.with_bits(bits).fit(part).quantize(part)
            found.append(values)
        return found
