"""The project's own compressor behind the common interface."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqhw.budget import Budgets
from sqhw.compress.compressor import Compression
from sqhw.compress.methods.base import MethodConfig, plain_options, register
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.recipe import Recipe
from sqhw.compress.methods.result import CompressionResult, dequantized
from sqhw.compress.settings import CompressSettings
from sqhw.compress.target import Target

ON_INTEGERS = "its network exists on integers only: `network` is that before compression"


@register
@dataclass(frozen=True)
class HardwareConfig(MethodConfig):
    """The joint compressor of this project (`sqhw.compress.compress`): exact cost in the budget.

    It brings its own loop. Of the recipe it takes batch, distillation, augmentation, precision,
    seed and threads, and if `recipe.epochs` are given, half of them prune and the rest fine-tune.

    Parameters
    ----------
    budget : str
        As `Budgets.parse` takes it.
    settings : CompressSettings
        Whatever else the compressor has.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=0, distill=0.7))
    budget: str = "rom=48000"
    settings: CompressSettings = field(default_factory=CompressSettings)
    name: ClassVar[str] = "hardware"

    def __post_init__(self) -> None:
        Budgets.parse(self.budget)

    def compress(self, job: Job) -> CompressionResult:
        """Run the compressor; see `sqhw.compress.methods.compress_with`."""
        recipe, settings = self.recipe, self.settings
        if recipe.epochs:
            prune = max(1, recipe.epochs // 2)
            tune = max(1, recipe.epochs - prune)
            settings = replace(settings, prune_epochs=prune, tune_epochs=tune)
        settings = replace(
            settings,
            batch=recipe.batch,
            distill=recipe.distill,
            temperature=recipe.temperature,
            shift=recipe.shift,
            flip=recipe.flip,
            precision=recipe.precision,
            seed=recipe.seed,
            threads=recipe.threads,
        )
        target = Target(Budgets.parse(self.budget), job.engine, job.device)
        run = Compression(
            job.network, job.data, target, settings, job.progress, job.resume, job.accelerator
        )
        found = run.run()
        return CompressionResult(
            self.name,
            plain_options(self),
            job.network,
            job.network,
            dequantized(job.network, found),
            float(found.metadata["validation_accuracy"]),
            quantized=found,
            history=run.history,
            notes=(*run.notes, ON_INTEGERS),
        )
