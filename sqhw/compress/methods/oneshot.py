"""Joint pruning and quantization without training, by the Hessian of each layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqhw.compress.choice.target import Target
from sqhw.compress.methods.base import MethodConfig, register
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.layerwise import Layerwise, LayerwiseOptions
from sqhw.compress.methods.result import CompressionResult
from sqhw.compress.methods.run import Run
from sqhw.compress.qat.integers import BIAS_BITS
from sqhw.compress.training.bounds import check_bias_bits, check_least, check_positive
from sqhw.compress.training.options import Recipe
from sqhw.cost_models.budget import Budgets
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.threads import torch_threads


@register
@dataclass(frozen=True)
class OneshotConfig(MethodConfig):
    """One-shot compression under a budget, from a few hundred images and no training.

    Layer by layer, the optimal brain surgeon prunes weights along a path of densities (OBC, Frantar
    and Alistarh, NeurIPS 2022). GPTQ's updates (ICLR 2023) quantize them to the centroids of a
    k-means, which are rounded to the integers of the engine. The choice among the densities and
    widths is this project's own. Each layer has a table of (non-zeros, bits) with the stored bits
    and the loss. The loss is weighted by the mean squared gradient of each output, as KFAC factors
    the Fisher information. It is scaled by the divergence of the network's outputs, which is
    measured at some of the options. One knapsack chooses under the budget, and the exact cost is
    checked. The biases take up the mean error of each output, so inputs count by their covariance.
    Each layer aims at the outputs of the network before compression, on the inputs that it gets
    from the compressed layers. `sqhw.compress.quantize` is the simplest quantization, without a
    budget.

    Parameters
    ----------
    budget : str
        Budget in the form of `Budgets.parse`.
    images : int
        Number of training images to calibrate on.
    most_bits : int, 1 to 6
        Largest width of a code.
    damp : float
        Share of its mean diagonal that is added to each Hessian.
    bias_bits : int, 4 to 16
        Largest width of a bias.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=0))
    budget: str = "rom=200000"
    images: int = 256
    most_bits: int = 5
    damp: float = 0.01
    bias_bits: int = BIAS_BITS
    name: ClassVar[str] = "oneshot"
    version: ClassVar[int] = 4

    def __post_init__(self) -> None:
        Budgets.parse(self.budget)
        check_least("images", self.images, 1)
        if not 1 <= self.most_bits <= 6:
            raise SqhwError(f"most_bits must be 1 to 6, not {self.most_bits}")
        check_positive("damp", self.damp)
        check_bias_bits(self.bias_bits)

    def compress(self, job: Job) -> CompressionResult:
        """Run the method; see `sqhw.compress.methods.compress_with`."""
        return next(oneshot_curve(job, [self]))


def oneshot_curve(job: Job, configs: Sequence[OneshotConfig]) -> Iterator[CompressionResult]:
    """Compress a network to several budgets; work that all budgets share is done once.

    Parameters
    ----------
    job : Job
        Job whose accelerator runs the network. Hessians and choices are computed on the CPU.
    configs : sequence of OneshotConfig
        Configurations that differ only in the limits of the budget.

    Yields
    ------
    CompressionResult
        Result of each configuration in order.

    Raises
    ------
    SqhwError
        If the configurations differ in more than the limits, or a budget is infeasible.
    """
    first = configs[0]
    bases = _bases(first)
    for config in configs:
        alike = replace(config, budget=first.budget) == first
        if not alike or _bases(config) != bases:
            raise SqhwError(
                "the one-shot compressions of a curve must be alike but for the limit of their "
                f"budget, {config} is not like {first}; run them one by one"
            )
    with torch_threads(first.recipe.threads):
        run = Run(job, job.network, first.recipe.seed)
        prepared = _layerwise(run, first, _target(job, first))
    for config in configs:
        with torch_threads(first.recipe.threads):
            target = _target(job, config)
            snapshot = prepared.at(target)
            result = config.result(run, snapshot, run.score(snapshot)[0])
        if result.quantized is not None:
            costs = target.costs(result.quantized)
            if not target.admits(costs):
                raise AssertionError(f"budget {config.budget} missed after all: {costs}")
        yield result


def _target(job: Job, config: OneshotConfig) -> Target:
    return Target(Budgets.parse(config.budget), job.engine, job.device)


def _bases(config: OneshotConfig) -> list[str]:
    return [item.basis for item in Budgets.parse(config.budget).items]


def _layerwise(run: Run, config: OneshotConfig, target: Target) -> Layerwise:
    options = LayerwiseOptions(
        config.images,
        config.most_bits,
        config.damp,
        config.bias_bits,
        config.recipe.seed,
    )
    return Layerwise(run, options, target)
