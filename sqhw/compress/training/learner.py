"""What a training loop trains: its stages, its loss and its moving parts, as hooks."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sqhw.compress.training.checkpoint import Checkpoint, load_module
from sqhw.compress.training.optimizer import Optimizer
from sqhw.compress.training.samples import Progress


@dataclass(frozen=True)
class Stage:
    """A part of a training with epochs and a learning rate of its own.

    Parameters
    ----------
    name : str
        For progress and history.
    epochs : int
        Passes over the training split; with 0 the stage only begins.
    batch : int
        Images a step.
    rate : callable
        Learning rate of a step, from its number within the stage and the steps of an epoch.
    scored_first : bool
        Whether the network may become the result before the first step of the stage.
    """

    name: str
    epochs: int
    batch: int
    rate: Callable[[int, int], float]
    scored_first: bool = False


class Score(NamedTuple):
    """How good a network is; the larger score is the better one, the first field counts first.

    Parameters
    ----------
    margin : float, at most 0
        Minus the share by which the network exceeds its budget.
    accuracy : float, 0 to 1
        On the validation split.
    likelihood : float
        Minus the validation loss.
    """

    margin: float
    accuracy: float
    likelihood: float


@dataclass(frozen=True)
class State:
    """The header of a checkpoint.

    Parameters
    ----------
    stage : int
        Number of the stage that it was written in.
    epoch : int
        Epochs of the stage that were done.
    score : Score, optional
        Score of the best network so far.
    history, notes : list
        See `Learner`.
    facts : dict
        As `Learner.facts` returned them.
    """

    stage: int
    epoch: int
    score: tuple[float, float, float] | None
    history: list[Any]
    notes: tuple[str, ...]
    facts: dict[str, Any]


class Learner(ABC):
    """The moving parts of a training around the common loop; by default most hooks do nothing.

    Parameters
    ----------
    model : Module
    count : int
        Training images.
    generator : torch.Generator
        Generator of the order of the images and of all that the hooks draw.
    progress : callable
        Called with (stage, done, total, detail).

    Attributes
    ----------
    history : list of dict
        A line of facts an epoch.
    notes : list of str
        What the user should know.
    """

    #: Subject of errors, for example the network's name.
    subject: str

    def __init__(
        self, model: nn.Module, count: int, generator: torch.Generator, progress: Progress
    ) -> None:
        self.model, self.count, self.generator = model, count, generator
        self.progress = progress
        self.history: list[dict[str, Any]] = []
        self.notes: list[str] = []

    @abstractmethod
    def stages(self) -> Sequence[Stage]:
        """Return the parts of the training, in order."""

    @abstractmethod
    def optimizer(self, stage: int) -> Optimizer:
        """Return a new optimizer of the model, after `begin` or `restore`."""

    @abstractmethod
    def loss(self, stage: int, chosen: Tensor) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        stage : int
        chosen : Tensor of int64
            Indices of training images.
        """

    @abstractmethod
    def score(self, result: dict[str, Tensor]) -> Score:
        """Return how good the network is as it is now; `result` is that of `result`."""

    def note(self, text: str) -> None:
        """Record something that the user should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def begin(self, stage: int) -> None:  # noqa: B027
        """Prepare a stage."""

    def resume(self, stage: int) -> None:
        """Prepare a stage of which a checkpoint tells the rest; see `restore`."""
        self.begin(stage)

    def set_training(self, training: bool) -> None:
        """Prepare the model for steps, or for evaluation."""
        self.model.train(training)

    def before_step(self, step: int, share: float) -> None:  # noqa: B027
        """Prepare a step; `share` of the stage is done."""

    def penalty(self) -> Tensor | None:
        """Return what is added to the loss."""
        return None

    def after_step(self, step: int, rate: float) -> None:  # noqa: B027
        """Act on the weights that a step of this learning rate has changed."""

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Act at the end of an epoch and return facts for the history."""
        return {}

    def eligible(self, stage: int) -> bool:
        """Return whether networks of a stage may become the result: by default the last stage."""
        return stage == len(self.stages()) - 1

    def result(self) -> dict[str, Tensor]:
        """Return what the training would end with now, as tensors of their own."""
        return copy.deepcopy(self.model.state_dict())

    def detail(self, entry: dict[str, Any]) -> str:
        """Return what is reported of an epoch, from its line of the history."""
        accuracy = entry.get("validation_accuracy")
        shown = f", validation {accuracy:.2%}" if accuracy is not None else ""
        return f"loss {entry['loss']:.4f}{shown}"

    def remedy(self, checkpoint: Path | None) -> str:
        """Return what to do about a loss that is not finite.

        Parameters
        ----------
        checkpoint : Path, optional
            That of the last good epoch, if there is one.
        """
        kept = f"; the checkpoint in {checkpoint} is that of the last good epoch"
        return "take a lower learning rate" + (kept if checkpoint else "")

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint needs besides optimizer, generator and result."""
        return {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}

    def facts(self) -> dict[str, Any]:
        """Return the plain data that a checkpoint needs."""
        return {}

    def check(self, found: Checkpoint, state: State) -> None:  # noqa: B027
        """Refuse a checkpoint by its header, before anything is computed."""

    def restore(self, found: Checkpoint, state: State) -> None:
        """Take back what `state` and `facts` returned, after `resume`."""
        device = next(self.model.parameters()).device
        load_module(self.model, found.part("model"), device)
