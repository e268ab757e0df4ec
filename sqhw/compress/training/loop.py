"""The one training loop: epochs, validation, the best network, checkpoints and resuming."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sqhw.compress.training.checkpoint import ANEW, Checkpoint
from sqhw.compress.training.learner import Learner, Score, Stage, State
from sqhw.compress.training.memory import keep_freed_memory
from sqhw.compress.training.optimizer import Optimizer
from sqhw.compress.training.samples import batches
from sqhw.errors import SqhwError


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of a training.

    Parameters
    ----------
    result : dict of str to Tensor
        Tensors as `Learner.result` returned them after the best epoch.
    score : Score
        Score of that epoch.
    """

    result: dict[str, Tensor]
    score: Score


def run_stages(learner: Learner, *, key: str = "", checkpoint: Path | None = None) -> Trained:
    """Run all stages of a training and return the best of the networks that are eligible.

    Parameters
    ----------
    learner : Learner
    key : str
        Key of network, data and options: a checkpoint of another key is refused.
    checkpoint : Path, optional
        File that the run continues from if it exists, and writes after every epoch.

    Raises
    ------
    SqhwError
        If the loss ceases to be finite, or the checkpoint is of another run or damaged.
    """
    keep_freed_memory()
    return _Loop(learner, key, checkpoint).run()


def checkpoint_state(found: Checkpoint, stages: Sequence[Stage]) -> State:
    """Return the header of a checkpoint, with a stage and an epoch that its run has.

    Raises
    ------
    SqhwError
        If the run lacks the stage or epoch, or a field is missing or of another type.
    """
    state = found.state(State)
    inside = 0 <= state.stage < len(stages)
    if not inside or not 0 <= state.epoch <= stages[state.stage].epochs:
        raise SqhwError(
            f"{found.path} is of stage {state.stage}, epoch {state.epoch}, which its run does not "
            f"have; {ANEW}"
        )
    return state


class _Loop:
    def __init__(self, learner: Learner, key: str, checkpoint: Path | None) -> None:
        self.learner, self.key, self.checkpoint = learner, key, checkpoint
        self.best: Trained | None = None

    def run(self) -> Trained:
        learner, stages = self.learner, self.learner.stages()
        found = Checkpoint.read(self.checkpoint, self.key)
        first = 0
        if found:
            state = checkpoint_state(found, stages)
            learner.check(found, state)
            self._resume(found, state, stages[state.stage])
            first = state.stage + 1
        for index in range(first, len(stages)):
            stage = stages[index]
            learner.begin(index)
            if learner.eligible(index) and (stage.scored_first or stage.epochs == 0):
                self._keep_best()
            if stage.epochs:
                self._train(index, stage, learner.optimizer(index), 0)
        assert self.best is not None  # at least one stage is eligible
        if self.best.score.margin < 0:
            over = f"{-self.best.score.margin:.1%}"
            learner.note(f"no epoch met the budget; the smallest network is {over} above it")
        return self.best

    def _resume(self, found: Checkpoint, state: State, stage: Stage) -> None:
        """Restore the state of a checkpoint, and run the rest of its stage."""
        learner = self.learner
        learner.resume(state.stage)
        with found.restoring():
            learner.history[:], learner.notes[:] = state.history, state.notes
            learner.restore(found, state)
            learner.generator.set_state(found.tensors["generator"])
            optimizer = learner.optimizer(state.stage)
            optimizer.load(found.part("optimizer"))
        if state.score is not None:
            self.best = Trained(found.part("best"), Score(*state.score))
        detail = f"of stage {stage.name!r}, from {self.checkpoint}"
        learner.progress("resumed", state.epoch, stage.epochs, detail)
        self._train(state.stage, stage, optimizer, state.epoch)

    def _train(self, index: int, stage: Stage, optimizer: Optimizer, first: int) -> None:
        """Train the rest of a stage, from its epoch `first` on."""
        learner = self.learner
        per_epoch = math.ceil(learner.count / stage.batch)
        for epoch in range(first, stage.epochs):
            learner.set_training(True)
            total = 0.0
            step = epoch * per_epoch
            for chosen in batches(learner.count, stage.batch, learner.generator):
                learner.before_step(step, step / (stage.epochs * per_epoch))
                loss = learner.loss(index, chosen)
                total += float(loss.detach())
                extra = learner.penalty()
                if extra is not None:
                    loss = loss + extra
                if not math.isfinite(float(loss.detach())):
                    raise self._not_finite(stage, epoch, step)
                rate = stage.rate(step, per_epoch)
                optimizer.step(loss, rate)
                learner.after_step(step, rate)
                step += 1
            learner.set_training(False)
            if not all(bool(part.isfinite().all()) for part in learner.model.parameters()):
                raise self._not_finite(stage, epoch, step - 1)
            facts = learner.after_epoch(epoch)
            entry = {"stage": stage.name, "epoch": epoch + 1, "loss": total / per_epoch} | facts
            if learner.eligible(index):
                entry["validation_accuracy"] = self._keep_best()
            learner.history.append(entry)
            self._write(index, epoch + 1, optimizer)
            learner.progress(stage.name, epoch + 1, stage.epochs, learner.detail(entry))

    def _keep_best(self) -> float:
        """Keep the current network if it is the best yet; return its accuracy."""
        learner = self.learner
        learner.set_training(False)
        result = learner.result()
        score = learner.score(result)
        if self.best is None or score > self.best.score:
            self.best = Trained(result, score)
        return score.accuracy

    def _not_finite(self, stage: Stage, epoch: int, step: int) -> SqhwError:
        file = self.checkpoint
        return SqhwError(
            f"{self.learner.subject}: the loss is not finite in stage {stage.name!r}, epoch "
            f"{epoch + 1}, step {step + 1}; "
            f"{self.learner.remedy(file if file and file.is_file() else None)}"
        )

    def _write(self, stage: int, epoch: int, optimizer: Optimizer) -> None:
        """Write the checkpoint, if one is wanted."""
        if self.checkpoint is None:
            return
        learner, best = self.learner, self.best
        found = dict(learner.state())
        found |= {f"optimizer.{name}": tensor for name, tensor in optimizer.tensors().items()}
        found["generator"] = learner.generator.get_state()
        if best is not None:
            found |= {f"best.{name}": tensor for name, tensor in best.result.items()}
        header = {
            "stage": stage,
            "epoch": epoch,
            "score": list(best.score) if best is not None else None,
            "history": learner.history,
            "notes": learner.notes,
            "facts": learner.facts(),
        }
        Checkpoint(self.key, header, found).write(self.checkpoint)
