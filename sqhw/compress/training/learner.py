"""The interface of a training to the training loop: its stages, its loss and its hooks."""

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
        Name for progress and history.
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
    """Quality of a network: the larger score is the better one, the first field counts first.

    Parameters
    ----------
    margin : float, at most 0
        Minus the share by which the network exceeds its budget.
    accuracy : float, 0 to 1
        Accuracy on the validation split.
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
        Number of the stage in which the checkpoint was written.
    epoch : int
        Finished epochs of the stage.
    score : Score, optional
        Score of the best network so far.
    history, notes : list
        History and notes, see `Learner`.
    facts : dict
        Facts as `Learner.facts` returned them.
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
        Generator of the order of the images and of all draws of the hooks.
    progress : callable
        Called with (stage, done, total, detail).

    Attributes
    ----------
    history : list of dict
        One line of facts an epoch.
    notes : list of str
        Sentences that the user should know.
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
        """Return the score of the current network; `result` is that of the method `result`."""

    def note(self, text: str) -> None:
        """Record a sentence for the user, once."""
        if text not in self.notes:
            self.notes.append(text)

    def begin(self, stage: int) -> None:  # noqa: B027
        """Prepare a stage."""

    def resume(self, stage: int) -> None:
        """Prepare a stage whose state comes from a checkpoint; see `restore`."""
        self.begin(stage)

    def set_training(self, training: bool) -> None:
        """Prepare the model for steps, or for evaluation."""
        self.model.train(training)

    def before_step(self, step: int, share: float) -> None:  # noqa: B027
        """Prepare a step; `share` of the stage is done."""

    def penalty(self) -> Tensor | None:
        """Return the addend of the loss."""
        return None

    def after_step(self, step: int, rate: float) -> None:  # noqa: B027
        """Act on the weights after a step of this learning rate."""

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Act at the end of an epoch and return facts for the history."""
        return {}

    def eligible(self, stage: int) -> bool:
        """Return whether networks of a stage may become the result: by default the last stage."""
        return stage == len(self.stages()) - 1

    def result(self) -> dict[str, Tensor]:
        """Return the result of the training if it ended now, as tensors of their own."""
        return copy.deepcopy(self.model.state_dict())

    def detail(self, entry: dict[str, Any]) -> str:
        """Return the report of an epoch, from its line of the history."""
        accuracy = entry.get("validation_accuracy")
        shown = f", validation {accuracy:.2%}" if accuracy is not None else ""
        return f"loss {entry['loss']:.4f}{shown}"

    def remedy(self, checkpoint: Path | None) -> str:
        """Return the advice on a loss that is not finite.

        Parameters
        ----------
        checkpoint : Path, optional
            Checkpoint of the last good epoch, if there is one.
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
        """Restore the values that `state` and `facts` returned, after `resume`."""
        device = next(self.model.parameters()).device
        load_module(self.model, found.part("model"), device)
