"""Joint pruning and quantization without training, by the Hessian of each layer."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sqhw.budget import Budgets
from sqhw.compress.assemble import skeleton
from sqhw.compress.float_network import (
    FloatArray,
    FloatConv,
    FloatLayer,
    FloatNetwork,
    activated,
    normalise,
    padded_conv,
    with_residual,
)
from sqhw.compress.floor import floor_masks
from sqhw.compress.knapsack import Option, choose, hull
from sqhw.compress.methods.base import MethodConfig, register
from sqhw.compress.methods.obs import (
    Layer,
    Mask,
    Pruned,
    damped,
    prune_path,
    quantize_rows,
    solve_rows,
)
from sqhw.compress.methods.recipe import Recipe
from sqhw.compress.methods.result import CompressionResult, LayerResult, stream_bits
from sqhw.compress.methods.run import Run
from sqhw.compress.methods.snapshot import Snapshot
from sqhw.compress.qat import QatNetwork
from sqhw.compress.quantizers.base import Codebook, Float
from sqhw.compress.quantizers.kmeans import KMeansQuantizer
from sqhw.compress.samples import Progress
from sqhw.compress.target import Target
from sqhw.cost_models.device import Device
from sqhw.data import Dataset
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.network import INPUT

BATCH = 32
SEARCH_STEPS = 14
RATIO = 0.8  # between neighbouring numbers of weights
#: Rows times the cubed weights of one, beyond which a layer's path begins at a lower density: the
#: inverses of a step take about three such products.
WORK = 8e9


@register
@dataclass(frozen=True)
class OneshotConfig(MethodConfig):
    """One-shot compression under a budget, from a few hundred images and no training.

    Layer by layer weights are pruned by the optimal brain surgeon along a path of densities
    (OBC, Frantar and Alistarh, NeurIPS 2022) and quantized by GPTQ's updates (ICLR 2023) to the
    centroids of a k-means. Ours is the choice: a table of (non-zeros, bits) a layer with its stored
    bits and its loss, the latter weighted by the mean squared gradient of each output (as KFAC
    factors the Fisher), and one knapsack under the budget, checked on the exact cost. The biases
    take up the mean error of each output. For the simplest quantization without a budget see
    `sqhw.compress.quantize`.

    Parameters
    ----------
    budget : str
        As `Budgets.parse` takes it.
    images : int
        Training images to calibrate on.
    most_bits : int, 1 to 6
        Of a code.
    damp : float
        Share of the mean diagonal added to each Hessian.
    bias_bits : int, 4 to 16
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=0))
    budget: str = "rom=200000"
    images: int = 256
    most_bits: int = 5
    damp: float = 0.01
    bias_bits: int = 12
    name: ClassVar[str] = "oneshot"

    def __post_init__(self) -> None:
        Budgets.parse(self.budget)
        if self.images < 1:
            raise SqhwError(f"images must be at least 1, not {self.images}")
        if not 1 <= self.most_bits <= 6:
            raise SqhwError(f"most_bits must be 1 to 6, not {self.most_bits}")
        if not self.damp > 0:
            raise SqhwError(f"damp must be positive, not {self.damp}")
        if not 4 <= self.bias_bits <= 16:
            raise SqhwError(f"bias_bits must be 4 to 16, not {self.bias_bits}")

    def compress(
        self,
        network: FloatNetwork,
        data: Dataset,
        engine: EngineConfig,
        device: Device,
        progress: Progress,
        resume: Path | None,
        accelerator: str,
    ) -> CompressionResult:
        """Run the method; see `sqhw.compress.methods.compress_with`."""
        run = Run(network, network, data, engine, self.recipe.seed, "cpu", progress)
        snapshot = _Oneshot(run, self, Target(Budgets.parse(self.budget), engine, device)).run()
        return self.result(run, snapshot, run.score(snapshot)[0])


@dataclass(frozen=True, eq=False)
class _Choice:
    """An option of a layer with what it stands for."""

    option: Option
    pruned: Pruned
    bits: int


class _Oneshot:
    def __init__(self, context: Run, config: OneshotConfig, target: Target) -> None:
        self.context, self.config, self.target = context, config, target
        self.network = context.network
        self.convs = [layer for layer in self.network.convs if layer.trained]
        order = torch.randperm(len(context.images), generator=context.generator)
        self.images = context.images[order[: config.images]]

    def run(self) -> Snapshot:
        """Return the compressed network."""
        layers, worth = self._layers(), self._worth()
        problems = [
            Layer(_matrix(layer), np.stack([damped(h, self.config.damp) for h in hessian]), g)
            for layer, hessian, g in zip(self.convs, layers, worth, strict=True)
        ]
        floors = floor_masks(
            self.network,
            [
                (p.weight**2 * p.worth[:, None]).reshape(layer.weight.shape)
                for p, layer in zip(problems, self.convs, strict=True)
            ],
        )
        choices = []
        for index, (problem, floor) in enumerate(zip(problems, floors, strict=True)):
            choices.append(self._options(self.convs[index], problem, floor))
            detail = self.convs[index].name
            self.context.progress("options", index + 1, len(problems), detail)
        return self._finished(self._fitting(choices), problems)

    def _layers(self) -> list[Float]:
        """Return the Hessian of each layer's inputs in the float network, by groups."""
        totals: dict[str, Float] = {}
        for part in torch.split(self.images, BATCH):
            tensors = {INPUT: normalise(part, self.network)}
            for layer in self.network.layers:
                if isinstance(layer, FloatConv) and layer.trained:
                    found = hessian(tensors[layer.source], layer)
                    totals[layer.name] = totals.get(layer.name, 0.0) + found
                tensors[layer.name] = _output(layer, tensors)
        return [totals[layer.name] / len(self.images) for layer in self.convs]

    def _worth(self) -> list[Float]:
        """Return the mean squared gradient of each output channel of each layer.

        The gradients are those of random directions with the covariance of the softmax, as in
        `sqhw.compress.fisher`.
        """
        totals = [np.zeros(len(layer.bias)) for layer in self.convs]
        generator = torch.Generator().manual_seed(self.config.recipe.seed)
        for part in torch.split(self.images, BATCH):
            shifts: list[Tensor] = []
            tensors = {INPUT: normalise(part, self.network)}
            for layer in self.network.layers:
                if isinstance(layer, FloatConv) and layer.trained:
                    y = _linear(layer, tensors, layer.weight, layer.bias)
                    shifts.append(torch.zeros_like(y, requires_grad=True))
                    tensors[layer.name] = activated(y + shifts[-1], layer)
                else:
                    tensors[layer.name] = _output(layer, tensors)
            logits = tensors[self.network.layers[-1].name].flatten(1)
            share = torch.softmax(logits.detach() / 4.0, dim=1)
            noise = share.sqrt() * torch.randn(logits.shape, generator=generator)
            direction = noise - share * noise.sum(1, keepdim=True)
            grads = torch.autograd.grad((direction * logits).sum(), shifts)
            for total, grad in zip(totals, grads, strict=True):
                total += (grad.double() ** 2).mean(dim=(2, 3)).sum(0).numpy()
        least = 1e-12
        return [total / len(self.images) + least for total in totals]

    def _options(self, layer: FloatConv, problem: Layer, floor: Mask) -> list[_Choice]:
        always = floor.reshape(problem.weight.shape)
        least, size = int(always.sum()), problem.weight.size
        rows, columns = problem.weight.shape
        share = min(1.0, (WORK / (rows * columns**3)) ** (1 / 3))
        counts = [size] if share == 1 else [size, max(least, int(share * size))]
        while counts[-1] > least:
            counts.append(max(least, int(RATIO * counts[-1])))
        found = []
        for pruned in prune_path(problem, counts, always):
            for bits in range(1, self.config.most_bits + 1):
                book = self._book(problem, pruned, bits)
                taken = np.where(pruned.mask, book.quantize(pruned.weight), 0.0)
                weight = taken.reshape(layer.weight.shape).astype(np.float32)
                result = LayerResult(layer.name, weight, size)
                payload = set(self.target.limits) == {"payload"}
                cost = result.nonzeros * bits if payload else stream_bits(result, self._engine)
                count = int(pruned.mask.sum())
                option = Option(cost, problem.loss(taken), count, len(book.levels))
                found.append(_Choice(option, pruned, bits))
        return found

    def _book(self, problem: Layer, pruned: Pruned, bits: int) -> Codebook:
        """Return the codebook of the kept weights, errors counted by the Hessian's diagonal."""
        groups = np.arange(len(problem.weight)) * len(problem.hessian) // len(problem.weight)
        diagonal = np.array([np.diag(h) for h in problem.hessian])[groups]
        worth = problem.worth[:, None] * diagonal
        quantizer = KMeansQuantizer(bits, start="quantile", pinned_zero=False)
        book = quantizer.fit(pruned.weight[pruned.mask], worth[pruned.mask])
        if 0.0 in book.levels and len(book.levels) > 1:
            return Codebook.nearest(book.levels[book.levels != 0])
        return book

    @property
    def _engine(self) -> EngineConfig:
        return self.target.engine

    def _fitting(self, choices: list[list[_Choice]]) -> list[_Choice]:
        """Return the best choice a layer whose exact cost meets the budget."""
        hulls = [hull([choice.option for choice in layer]) for layer in choices]
        by_option = [{id(c.option): c for c in layer} for layer in choices]
        model = QatNetwork(self.network)
        low, high = (sum(options[end].bits for options in hulls) for end in (0, -1))

        def at(bits: int) -> tuple[list[_Choice], dict[str, float]]:
            picked = choose(hulls, bits)
            assert picked is not None
            taken = [names[id(option)] for names, option in zip(by_option, picked, strict=True)]
            masks = [
                choice.pruned.mask.reshape(layer.weight.shape)
                for choice, layer in zip(taken, self.convs, strict=True)
            ]
            levels = [choice.option.levels for choice in taken]
            whole = skeleton(model, masks, levels, self.config.bias_bits, self._engine)
            return taken, self.target.costs(whole)

        best, costs = at(high)
        if self.target.admits(costs):
            return best
        best, costs = at(low)
        if not self.target.admits(costs):
            raise self.target.refusal(self.network.name, costs)
        for _ in range(SEARCH_STEPS):
            middle = (low + high) // 2
            taken, costs = at(middle)
            if self.target.admits(costs):
                low, best = middle, taken
            else:
                high = middle
        return best

    def _finished(self, chosen: list[_Choice], problems: list[Layer]) -> Snapshot:
        """Quantize first layer to last, each on what reaches it from the compressed ones."""
        real = {INPUT: normalise(self.images, self.network)}
        ours = dict(real)
        weights: list[FloatArray] = []
        biases: list[FloatArray] = []
        for layer in self.network.layers:
            if isinstance(layer, FloatConv) and layer.trained:
                index = len(weights)
                parts = [hessian(x, layer) for x in torch.split(ours[layer.source], BATCH)]
                seen = np.stack(
                    [damped(h / len(self.images), self.config.damp) for h in np.sum(parts, axis=0)]
                )
                problem = Layer(problems[index].weight, seen, problems[index].worth)
                pruned = solve_rows(problem, chosen[index].pruned.mask)
                book = self._book(problem, pruned, chosen[index].bits)
                found = quantize_rows(problem, pruned, book).reshape(layer.weight.shape)
                weights.append(found.astype(np.float32))
                want = _linear(layer, real, layer.weight, layer.bias)
                have = _linear(layer, ours, weights[-1], layer.bias)
                error = (want - have).mean(dim=(0, 2, 3)).numpy()
                alive = (weights[-1] != 0).any(axis=(1, 2, 3)) | (layer.residual is not None)
                biases.append((layer.bias + error * alive).astype(np.float32))
                ours[layer.name] = activated(_linear(layer, ours, weights[-1], biases[-1]), layer)
                real[layer.name] = activated(want, layer)
                self.context.progress("quantize", len(weights), len(self.convs), layer.name)
            else:
                for tensors in (real, ours):
                    tensors[layer.name] = _output(layer, tensors)
        return Snapshot(weights, biases)


def hessian(x: Tensor, layer: FloatConv) -> Float:
    """Return ``2 X X'`` of a layer's inputs, shape (groups, columns, columns).

    Parameters
    ----------
    x : Tensor, shape (images, channels, height, width)
    layer : FloatConv
    """
    top, bottom, left, right = layer.padding
    x = functional.pad(x, (left, right, top, bottom))
    kernel = layer.weight.shape[2], layer.weight.shape[3]
    columns = functional.unfold(x, kernel, stride=layer.stride)  # (n, channels * taps, positions)
    grouped = columns.transpose(0, 1).reshape(layer.groups, -1, columns.shape[0] * columns.shape[2])
    found: Float = 2 * torch.bmm(grouped, grouped.transpose(1, 2)).double().numpy()
    return found


def _matrix(layer: FloatConv) -> Float:
    return layer.weight.reshape(len(layer.weight), -1).astype(np.float64)


def _linear(
    layer: FloatConv, tensors: dict[str, Tensor], weight: FloatArray, bias: FloatArray
) -> Tensor:
    """Return a layer's output before its activation function."""
    y = padded_conv(tensors[layer.source], torch.from_numpy(weight), torch.from_numpy(bias), layer)
    return with_residual(y, layer.residual, tensors)


def _output(layer: FloatLayer, tensors: dict[str, Tensor]) -> Tensor:
    """Return the output of a layer of the float network."""
    if isinstance(layer, FloatConv):
        return activated(_linear(layer, tensors, layer.weight, layer.bias), layer)
    return functional.max_pool2d(tensors[layer.source], layer.kernel, layer.stride)
