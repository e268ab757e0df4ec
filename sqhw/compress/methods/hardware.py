"""The project's own compressor behind the common interface."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqhw.compress.choice.target import Target
from sqhw.compress.joint.compressor import LOOP, Compression, at_once
from sqhw.compress.joint.schedule import tuning_epochs
from sqhw.compress.joint.settings import CompressSettings
from sqhw.compress.methods.base import MethodConfig, plain_options, register
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.recipe import Recipe
from sqhw.compress.methods.result import CompressionResult, dequantized
from sqhw.compress.methods.surgeon import cut_at_once
from sqhw.cost_models.budget import Budgets
from sqhw.errors import SqhwError

#: What of the recipe is used, and what is not.
TAKEN = ("batch", "distill", "temperature", "shift", "flip", "precision", "seed", "threads")
LEFT = ("rate", "optimizer", "momentum", "decay", "warmup")
EPOCHS = ("prune_epochs", "tune_epochs")
ON_INTEGERS = "its network exists on integers only: `network` is that before compression"


@register
@dataclass(frozen=True)
class HardwareConfig(MethodConfig):
    """The joint compressor of this project (`sqhw.compress.compress`): exact cost in the budget.

    It brings its own loop. Of the recipe it takes batch, distillation, augmentation, precision,
    seed and threads, and if `recipe.epochs` are given, those of both stages (`tuning_epochs`).

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
    version: ClassVar[int] = LOOP

    def __post_init__(self) -> None:
        Budgets.parse(self.budget)
        if self.recipe.epochs == 1:
            raise SqhwError("epochs of method 'hardware' must be 0, for its own, or at least 2")
        plain, ours = Recipe(), CompressSettings()
        for name in LEFT:
            if getattr(self.recipe, name) != getattr(plain, name):
                raise SqhwError(
                    f"method 'hardware' does not use {name!r} of the recipe; leave it out"
                    + (", and see the rate of `settings`" if name == "rate" else "")
                )
        for name in EPOCHS if self.recipe.epochs else ():
            if getattr(self.settings, name) is not None:
                raise SqhwError(
                    f"method 'hardware' has {name!r} from epochs of the recipe, now "
                    f"{self.recipe.epochs}; leave it out of `settings`, or set epochs to 0"
                )
        for name in TAKEN:
            if getattr(self.settings, name) != getattr(ours, name):
                raise SqhwError(
                    f"method 'hardware' takes {name!r} from the recipe; leave it out of `settings`"
                )

    def whole_settings(self, at_once: bool) -> CompressSettings:
        """Return the settings with what the recipe says.

        Parameters
        ----------
        at_once : bool
            Whether pruning is.
        """
        recipe, settings = self.recipe, self.settings
        if recipe.epochs:
            tune = tuning_epochs(recipe.epochs, at_once)
            prune = recipe.epochs - tune
            settings = replace(settings, prune_epochs=prune, tune_epochs=tune)
        return replace(settings, **{name: getattr(recipe, name) for name in TAKEN})

    def compress(self, job: Job) -> CompressionResult:
        """Run the compressor; see `sqhw.compress.methods.compress_with`."""
        target = Target(Budgets.parse(self.budget), job.engine, job.device)
        settings = self.whole_settings(at_once(job.network, target, self.settings.pruning))
        run = Compression(
            job.network,
            job.data,
            target,
            settings,
            cut_at_once,
            job.progress,
            job.resume,
            job.accelerator,
        )
        found = run.run()
        return CompressionResult(
            self.name,
            plain_options(self) | {"settings": plain_options(settings)},
            job.network,
            job.network,
            dequantized(job.network, found),
            found.facts.accuracies["validation_accuracy"],
            quantized=found,
            history=run.history,
            notes=(*run.notes, ON_INTEGERS),
        )
