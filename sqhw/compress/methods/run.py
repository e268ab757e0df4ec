"""A run of a method: its network, data and losses, and the hooks that methods fill in."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sqhw.compress.methods.job import Job
from sqhw.compress.methods.latent import LatentNetwork
from sqhw.compress.methods.normalised import normalise_latent
from sqhw.compress.methods.snapshot import Snapshot, take
from sqhw.compress.qat.normalisation import estimate
from sqhw.compress.training.checkpoint import Checkpoint
from sqhw.compress.training.distillation import distillation_loss
from sqhw.compress.training.learner import Learner, Score, Stage, State
from sqhw.compress.training.optimizer import Optimizer
from sqhw.compress.training.options import Recipe
from sqhw.compress.training.precision import products
from sqhw.compress.training.samples import SMALL_SET, channels_last, flipped, shifted, tensors
from sqhw.network.floats import FloatNetwork

HELD_BATCH = 512
#: Numbers of training images for the statistics of normalisations: of all, and of a batch.
STATISTICS, STATISTICS_BATCH = 5120, 256


class Run:
    """One compression: network, data, and the tools of a method's training.

    Parameters
    ----------
    job : Job
        Job, whose network is also the teacher.
    start : FloatNetwork
        Network in the topology of the method before training; mostly that of the job.
    seed : int

    Attributes
    ----------
    normalised : Recipe or None
        Augmentation of the statistics, if hidden layers are normalised.
    """

    normalised: Recipe | None = None

    def __init__(
        self,
        job: Job,
        start: FloatNetwork,
        seed: int,
    ) -> None:
        self.network, self.engine, self.data = job.network, job.engine, job.data
        self.device = torch.device(job.accelerator)
        self.progress = job.progress
        self.images, self.labels = tensors(job.data.train)
        self.held_images, self.held_labels = tensors(job.data.validation)
        self.generator = torch.Generator().manual_seed(seed)
        self.model = LatentNetwork(start).to(self.device)
        self.teacher = LatentNetwork(job.network).to(self.device).eval()
        self.notes: list[str] = []
        self.history: list[dict[str, Any]] = []

    def note(self, text: str) -> None:
        """Record a sentence for the user, once."""
        if text not in self.notes:
            self.notes.append(text)

    def logits(self, snapshot: Snapshot, images: Tensor) -> Tensor:
        """Return the logits of a snapshot on raw images."""
        weights, biases = (
            [torch.from_numpy(array).to(self.device) for array in part]
            for part in (snapshot.real_weights, snapshot.biases)
        )
        with torch.no_grad():
            parts = [
                self.model(part.to(self.device), weights=weights, biases=biases).cpu()
                for part in torch.split(images, HELD_BATCH)
            ]
        return torch.cat(parts)

    def score(self, snapshot: Snapshot) -> tuple[float, float]:
        """Return the validation accuracy of a snapshot, and its negative loss to break ties."""
        logits = self.logits(snapshot, self.held_images)
        right = float((logits.argmax(1) == self.held_labels).double().mean())
        return right, -float(functional.cross_entropy(logits, self.held_labels))

    def normalise(self, recipe: Recipe) -> None:
        """Normalise the hidden layers from here on; nothing changes at first.

        Parameters
        ----------
        recipe : Recipe
            Recipe whose augmentation the images of the statistics have.
        """
        self.normalised = recipe
        normalise_latent(self.model, self.engine, self._sample(recipe))

    def taken(self, *, weights: Sequence[Tensor] | None = None) -> Snapshot:
        """Return the snapshot of `take`; statistics of normalisations are estimated for it."""
        if self.normalised is not None:
            forward = partial(self.model, weights=weights)
            sample = self._sample(self.normalised)
            estimate(self.model, sample, training=True, forward=forward)
        return take(self.model, weights)

    def _sample(self, recipe: Recipe) -> Iterator[Tensor]:
        """Yield the images of the statistics, the same ones at each call."""
        generator = torch.Generator().manual_seed(recipe.seed)
        order = torch.randperm(len(self.images), generator=generator)[:STATISTICS]
        for chosen in torch.split(order, STATISTICS_BATCH):
            yield self._pixels(chosen, recipe, generator)

    def _pixels(self, chosen: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
        """Return augmented images on the accelerator."""
        pixels = shifted(self.images[chosen], recipe.shift, generator)
        if recipe.flip:
            pixels = flipped(pixels, generator)
        return channels_last(pixels).to(self.device)

    def batch(self, chosen: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
        """Return augmented images and labels on the accelerator."""
        pixels = self._pixels(chosen, recipe, self.generator)
        return pixels, self.labels[chosen].to(self.device)

    def loss(self, pixels: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
        """Return the loss of the model with the share of distillation that the recipe asks for."""
        small = len(self.images) <= SMALL_SET
        kind = products(recipe.precision, self.device, small=small)
        with torch.autocast(self.device.type, torch.bfloat16, kind == torch.bfloat16):
            logits = self.model(pixels).float()
            if recipe.distill == 0:
                return functional.cross_entropy(logits, labels)
            with torch.no_grad():
                wanted = self.teacher(pixels).float()
        return distillation_loss(logits, wanted, labels, recipe.distill, recipe.temperature)


class Method(Learner):
    """The moving parts of a method around the common loop.

    Parameters
    ----------
    run : Run
    name : str
        Name of the method, for errors.
    """

    model: LatentNetwork

    def __init__(self, run: Run, name: str) -> None:
        super().__init__(run.model, len(run.images), run.generator, run.progress)
        self.run, self.subject = run, f"method {name!r}"
        self.history, self.notes = run.history, run.notes

    @abstractmethod
    def recipes(self) -> dict[str, Recipe]:
        """Return the recipe of each stage by its name, in order."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return the current compressed network."""

    def excess(self) -> float:
        """Return the excess of the network over its budget, 0 within it.

        The better of two snapshots has less excess or, at equal excess, more accuracy.
        """
        return 0.0

    def extra_state(self) -> dict[str, Tensor]:
        """Return the state of the method besides the model."""
        return {}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `extra_state` returned."""

    def stages(self) -> list[Stage]:
        """Return the parts of the training, in order."""
        return [
            Stage(name, recipe.epochs, recipe.batch, partial(recipe_rate, recipe))
            for name, recipe in self.recipes().items()
        ]

    def optimizer(self, stage: int) -> Optimizer:
        """Return the optimizer that the recipe of the stage names."""
        return recipe_optimizer(self.model, self._recipe(stage))

    def loss(self, stage: int, chosen: Tensor) -> Tensor:
        """Return the loss of a batch with the augmentation and distillation of the recipe."""
        recipe = self._recipe(stage)
        pixels, labels = self.run.batch(chosen, recipe)
        return self.run.loss(pixels, labels, recipe)

    def before_step(self, step: int, share: float) -> None:
        """Tell the quantizers the finished share of the stage."""
        for layer in self.model.latent():
            if layer.quantizer is not None:
                layer.quantizer.set_progress(share)

    def result(self) -> dict[str, Tensor]:
        """Return the snapshot as tensors."""
        return self.snapshot().tensors()

    def score(self, result: dict[str, Tensor]) -> Score:
        """Return the score of a snapshot."""
        return Score(-self.excess(), *self.run.score(Snapshot.of(result)))

    def state(self) -> dict[str, Tensor]:
        """Return the model and the state of `extra_state`."""
        extra = {f"method.{name}": tensor for name, tensor in self.extra_state().items()}
        return super().state() | extra

    def restore(self, found: Checkpoint, state: State) -> None:
        """Restore the model and the state of `extra_state`."""
        super().restore(found, state)
        self.load_extra_state(found.part("method"))

    def _recipe(self, stage: int) -> Recipe:
        return list(self.recipes().values())[stage]


def recipe_rate(recipe: Recipe, step: int, per_epoch: int) -> float:
    """Return the learning rate of a step: a linear rise, then a cosine to 0.

    Parameters
    ----------
    recipe : Recipe
    step : int, 0 or more
    per_epoch : int
        Steps of an epoch.
    """
    warm = recipe.warmup * per_epoch
    if step < warm:
        return recipe.rate * (step + 1) / warm
    rest = max(1, recipe.epochs * per_epoch - warm)
    return recipe.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / rest))


def recipe_optimizer(model: LatentNetwork, recipe: Recipe) -> Optimizer:
    """Return the optimizer of a recipe; only the weights of layers decay."""
    decaying = [layer.weight for layer in model.latent() if layer.weight.requires_grad]
    names = {id(weight) for weight in decaying}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in names]
    groups: list[dict[str, Any]] = [
        {"params": decaying, "weight_decay": recipe.decay},
        {"params": rest},
    ]
    if recipe.optimizer == "sgd":
        return Optimizer(torch.optim.SGD(groups, lr=recipe.rate, momentum=recipe.momentum))
    return Optimizer(torch.optim.Adam(groups, lr=recipe.rate, betas=(recipe.momentum, 0.999)))
