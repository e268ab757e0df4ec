"""The training loop of all methods: steps, distillation, validation, checkpoints, resuming."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sqhw.compress.methods.job import Job
from sqhw.compress.methods.latent import LatentNetwork
from sqhw.compress.methods.recipe import Recipe
from sqhw.compress.methods.snapshot import Snapshot
from sqhw.compress.training.checkpoint import (
    ANEW,
    Checkpoint,
    load_module,
    load_optimizer,
    optimizer_tensors,
)
from sqhw.compress.training.distillation import distillation_loss
from sqhw.compress.training.samples import batches, channels_last, flipped, shifted, tensors
from sqhw.errors import SqhwError
from sqhw.network.floats import FloatNetwork

HELD_BATCH = 512


@dataclass(frozen=True)
class Stage:
    """A part of a method's training with a schedule of its own.

    Parameters
    ----------
    name : str
        For progress and history.
    recipe : Recipe
    """

    name: str
    recipe: Recipe


class Run:
    """One compression: network, data and what a method needs to train.

    Parameters
    ----------
    job : Job
        Its network is also the teacher.
    start : FloatNetwork
        As the method changes its topology before training; mostly the job's.
    seed : int
    """

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
        """Record something that the user should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def logits(self, snapshot: Snapshot, images: Tensor) -> Tensor:
        """Return the logits of a snapshot on raw images."""
        weights, biases = (
            [torch.from_numpy(array).to(self.device) for array in part]
            for part in (snapshot.weights, snapshot.biases)
        )
        with torch.no_grad():
            parts = [
                self.model(part.to(self.device), weights, biases).cpu()
                for part in torch.split(images, HELD_BATCH)
            ]
        return torch.cat(parts)

    def score(self, snapshot: Snapshot) -> tuple[float, float]:
        """Return the validation accuracy of a snapshot, and its negative loss to break ties."""
        logits = self.logits(snapshot, self.held_images)
        right = float((logits.argmax(1) == self.held_labels).double().mean())
        return right, -float(functional.cross_entropy(logits, self.held_labels))

    def batch(self, chosen: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
        """Return augmented images and labels on the accelerator."""
        pixels = shifted(self.images[chosen], recipe.shift, self.generator)
        if recipe.flip:
            pixels = flipped(pixels, self.generator)
        return channels_last(pixels).to(self.device), self.labels[chosen].to(self.device)

    def loss(self, pixels: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
        """Return the loss of the model with the share of distillation that the recipe asks for."""
        with torch.autocast(self.device.type, torch.bfloat16, recipe.precision == "bf16"):
            logits = self.model(pixels).float()
            if recipe.distill == 0:
                return functional.cross_entropy(logits, labels)
            with torch.no_grad():
                wanted = self.teacher(pixels).float()
        return distillation_loss(logits, wanted, labels, recipe.distill, recipe.temperature)


class Method(ABC):
    """The moving parts of a method around the common loop; by default most do nothing.

    Parameters
    ----------
    run : Run
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.model = run.model

    @abstractmethod
    def stages(self) -> Sequence[Stage]:
        """Return the parts of the training, in order."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return the compressed network as it is now."""

    def begin(self, stage: int) -> None:  # noqa: B027
        """Prepare a stage; called once, also when a run that stopped within it is resumed.

        In a resumed run everything that `extra_state` returned, the model and the generator are
        overwritten behind it.
        """

    def before_step(self, step: int, share: float) -> None:
        """Prepare a step; `share` of the stage is done, as quantizers are told."""
        for layer in self.model.latent():
            if layer.quantizer is not None:
                layer.quantizer.set_progress(share)

    def penalty(self) -> Tensor | None:
        """Return what is added to the loss."""
        return None

    def after_step(self, step: int, rate: float) -> None:  # noqa: B027
        """Act on the weights that a step of this learning rate has changed."""

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Act at the end of an epoch and return facts for the history."""
        return {}

    def eligible(self, stage: int) -> bool:
        """Return whether snapshots of a stage may become the result: by default the last stage."""
        return stage == len(self.stages()) - 1

    def excess(self) -> float:
        """Return how far the network is beyond its budget, 0 within it.

        Of two snapshots the one of less excess is better, of equal ones the more accurate.
        """
        return 0.0

    def extra_state(self) -> dict[str, Tensor]:
        """Return what the method knows besides the model."""
        return {}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """Take back what `extra_state` returned."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What `train` returns.

    Parameters
    ----------
    snapshot : Snapshot
        Of the best epoch on the validation split.
    accuracy : float
        On the validation split.
    """

    snapshot: Snapshot
    accuracy: float


def train(method: Method, name: str, key: str, checkpoint: Path | None) -> Trained:
    """Run all stages of a method and return the best snapshot of those that are eligible.

    Parameters
    ----------
    method : Method
    name : str
        Of the method, for errors.
    key : str
        Identifies network, data and configuration: a checkpoint of another key is refused.
    checkpoint : Path, optional
        Continued from if it exists, and written after every epoch.

    Raises
    ------
    SqhwError
        If the loss ceases to be finite, or the checkpoint is of another run or damaged.
    """
    return _Loop(method, name, key, checkpoint).run()


class _Loop:
    def __init__(self, method: Method, name: str, key: str, checkpoint: Path | None) -> None:
        self.method, self.name, self.key, self.checkpoint = method, name, key, checkpoint
        self.context = method.run
        self.best: Snapshot | None = None
        self.score = (-math.inf, -1.0, -math.inf)  # excess, accuracy, loss

    def run(self) -> Trained:
        stages = self.method.stages()
        found = Checkpoint.read(self.checkpoint, self.key)
        state = checkpoint_state(found, stages) if found else None
        first = state.stage if state else 0
        for index in range(first, len(stages)):
            recipe = stages[index].recipe
            self.method.begin(index)
            if recipe.epochs == 0:
                if self.method.eligible(index):
                    self._keep_best()
                continue
            if not (found and state and index == first):
                optimizer = _optimizer(self.context.model, recipe)
                self._stage(index, stages[index], optimizer, 0)
                continue
            with found.restoring():
                self._restore(found, state)
                optimizer = _optimizer(self.context.model, recipe)
                load_optimizer(optimizer, found.part("optimizer"))
            self._stage(index, stages[index], optimizer, state.epoch)
        if self.best is None:
            self._keep_best()
        assert self.best is not None
        if self.score[0] < 0:
            over = f"{-self.score[0]:.1%}"
            self.context.note(f"no epoch met the budget; the smallest network is {over} above it")
        return Trained(self.best, self.score[1])

    def _stage(
        self, index: int, stage: Stage, optimizer: torch.optim.Optimizer, first: int
    ) -> None:
        run, recipe = self.context, stage.recipe
        per_epoch = math.ceil(len(run.images) / recipe.batch)
        step = first * per_epoch
        for epoch in range(first, recipe.epochs):
            run.model.train()
            total = 0.0
            for chosen in batches(len(run.images), recipe.batch, run.generator):
                rate = _rate(recipe, step, per_epoch)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                self.method.before_step(step, step / (recipe.epochs * per_epoch))
                pixels, labels = run.batch(chosen, recipe)
                loss = run.loss(pixels, labels, recipe)
                value = float(loss.detach())
                extra = self.method.penalty()
                if extra is not None:
                    loss = loss + extra
                if not math.isfinite(float(loss.detach())):
                    raise self._not_finite(stage.name, epoch, step)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                _decay(run.model, recipe.decay)
                optimizer.step()
                self.method.after_step(step, rate)
                total += value
                step += 1
            run.model.eval()
            facts = self.method.after_epoch(epoch)
            entry = {"stage": stage.name, "epoch": epoch + 1, "loss": total / per_epoch} | facts
            if self.method.eligible(index):
                entry["validation_accuracy"] = self._keep_best()
            run.history.append(entry)
            self._write(index, epoch + 1, optimizer)
            accuracy = entry.get("validation_accuracy")
            shown = f", validation {accuracy:.2%}" if accuracy is not None else ""
            run.progress(stage.name, epoch + 1, recipe.epochs, f"loss {entry['loss']:.4f}{shown}")

    def _keep_best(self) -> float:
        self.context.model.eval()
        snapshot = self.method.snapshot()
        score = (-self.method.excess(), *self.context.score(snapshot))
        if self.best is None or score > self.score:
            self.best, self.score = snapshot, score
        return score[1]

    def _not_finite(self, stage: str, epoch: int, step: int) -> SqhwError:
        kept = (
            f"; the checkpoint in {self.checkpoint} is that of the last good epoch"
            if self.checkpoint and self.checkpoint.is_file()
            else ""
        )
        return SqhwError(
            f"method {self.name!r}: the loss is not finite in stage {stage!r}, epoch {epoch + 1}, "
            f"step {step + 1}; take a lower learning rate{kept}"
        )

    def _write(self, stage: int, epoch: int, optimizer: torch.optim.Optimizer) -> None:
        if self.checkpoint is None:
            return
        found = {f"model.{name}": t for name, t in self.context.model.state_dict().items()}
        found |= {f"optimizer.{name}": t for name, t in optimizer_tensors(optimizer).items()}
        found |= {f"method.{name}": t for name, t in self.method.extra_state().items()}
        found["generator"] = self.context.generator.get_state()
        if self.best is not None:
            for part in ("weights", "biases"):
                for index, array in enumerate(getattr(self.best, part)):
                    found[f"best.{part}.{index}"] = torch.from_numpy(array)
        header = {
            "stage": stage,
            "epoch": epoch,
            "score": list(self.score) if self.best is not None else None,
            "history": self.context.history,
            "notes": self.context.notes,
        }
        Checkpoint(self.key, header, found).write(self.checkpoint)

    def _restore(self, found: Checkpoint, state: "_State") -> None:
        run = self.context
        load_module(run.model, found.part("model"), run.device)
        self.method.load_extra_state(found.part("method"))
        run.generator.set_state(found.tensors["generator"])
        run.history[:] = state.history
        run.notes[:] = state.notes
        if state.score is not None:
            arrays = {
                part: [tensor.numpy() for tensor in found.numbered(f"best.{part}")]
                for part in ("weights", "biases")
            }
            self.best, self.score = Snapshot(**arrays), state.score


@dataclass(frozen=True)
class _State:
    """The header of a checkpoint."""

    stage: int
    epoch: int
    score: tuple[float, float, float] | None
    history: list[Any]
    notes: tuple[str, ...]


def checkpoint_state(found: Checkpoint, stages: Sequence[Stage]) -> _State:
    """Return the header of a checkpoint, of a stage and an epoch that its run has.

    Raises
    ------
    SqhwError
        If it has not, or a field is missing or of another type.
    """
    state = found.state(_State)
    inside = 0 <= state.stage < len(stages)
    if not inside or not 0 <= state.epoch <= stages[state.stage].recipe.epochs:
        raise SqhwError(
            f"{found.path} is of stage {state.stage}, epoch {state.epoch}, which its run does not "
            f"have; {ANEW}"
        )
    return state


def _rate(recipe: Recipe, step: int, per_epoch: int) -> float:
    warm = recipe.warmup * per_epoch
    if step < warm:
        return recipe.rate * (step + 1) / warm
    rest = max(1, recipe.epochs * per_epoch - warm)
    return recipe.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / rest))


def _optimizer(model: LatentNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(learning, lr=recipe.rate, momentum=recipe.momentum)
    return torch.optim.Adam(learning, lr=recipe.rate, betas=(recipe.momentum, 0.999))


def _decay(model: LatentNetwork, decay: float) -> None:
    if decay:
        for layer in model.latent():
            if layer.weight.grad is not None:
                layer.weight.grad.add_(layer.weight.detach(), alpha=decay)
