"""A run of the joint compressor: pruning, then fine-tuning of integers, stage by stage."""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sqhw.compress.calibration.calibrate import CALIBRATION_IMAGES, calibrate
from sqhw.compress.choice.rounds import Rounds
from sqhw.compress.choice.target import Target
from sqhw.compress.joint.objective import Objective
from sqhw.compress.joint.relative_adam import RelativeAdam
from sqhw.compress.joint.schedule import Schedule
from sqhw.compress.joint.settings import CompressSettings
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.compact import compact, on_codebooks, stored_channels
from sqhw.compress.qat.float_simplify import cut
from sqhw.compress.qat.integers import held_gain_bits
from sqhw.compress.qat.invariants import Frozen, check_invariants, fits_accumulator, frozen
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.qat.state import load_state, stage_facts
from sqhw.compress.training.accelerator import find_accelerator
from sqhw.compress.training.checkpoint import ANEW, Checkpoint, fingerprint
from sqhw.compress.training.samples import SMALL_SET, Progress, batches, check_shape, tensors
from sqhw.cost_models.budget import BASES
from sqhw.data import Dataset
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.network.floats import FloatNetwork
from sqhw.network.graph import Mask
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized import QuantizedNetwork
from sqhw.planner.placement import place

LOOP = 13  # raised with every change of the loop: a checkpoint of another loop is of another run
#: Share of the pruning stage in which weights move to their codebooks. Masks then are chosen among
#: weights of few values: those that are chosen for real ones are not the best for these.
QUANTIZE = 0.1
FEW = 5  # steps of a round below which gradual pruning gets nowhere
#: Rows times the cubed weights of one, over all layers, up to which one-shot pruning is chosen:
#: it then takes a minute or two.
SURGERY = 1e11

Surgeon = Callable[[FloatNetwork, Dataset, Target, CompressSettings, Progress], FloatNetwork]


def at_once(network: FloatNetwork, target: Target, pruning: str) -> bool:
    """Return whether a network is pruned without training: by default where that is quick.

    Parameters
    ----------
    network : FloatNetwork
    target : Target
        One-shot pruning knows sizes; cycles and energy it only checks.
    pruning : str
        See `CompressSettings`.
    """
    if pruning != "auto":
        return pruning == "oneshot"
    work = sum(
        len(layer.weight) * (layer.weight.size / len(layer.weight)) ** 3
        for layer in network.convs
        if layer.trained
    )
    return work <= SURGERY and set(target.limits) <= set(BASES)


class Compression:
    """One run of the joint compressor; see `sqhw.compress.compress`.

    Parameters
    ----------
    network : FloatNetwork
    data : Dataset
    target : Target
    settings : CompressSettings
    surgeon : callable
        Prunes without training: from a network, data, a target, settings and a report of progress
        to a network that meets the budgets.
    progress : callable
    resume : Path, optional
    accelerator : str

    Attributes
    ----------
    history : list of dict
        Facts of every epoch so far.
    notes : list of str
        What the user should know.

    Raises
    ------
    SqhwError
        See `sqhw.compress.compress`.
    """

    def __init__(
        self,
        network: FloatNetwork,
        data: Dataset,
        target: Target,
        settings: CompressSettings,
        surgeon: Surgeon,
        progress: Progress,
        resume: Path | None,
        accelerator: str = "cpu",
    ) -> None:
        outputs = int(np.prod(network.shapes()[network.layers[-1].name]))
        check_shape(network.name, network.input_shape, outputs, data)
        place(with_input_stage(network), target.engine)  # refuses before training
        self.network, self.target, self.settings = network, target, settings
        self.surgeon, self.progress, self.resume = surgeon, progress, resume
        self.device = find_accelerator(accelerator)
        self.data = data
        options = asdict(settings)
        del options["rate"]  # a run that was stopped may go on with another
        self.key = fingerprint(
            network,
            data,
            [
                LOOP,
                options,
                str(target.budget),
                target.engine.to_dict(),
                target.device.name,
                self.device.type,
            ],
        )
        self.small = len(data.train) <= SMALL_SET
        self.batch = settings.batch or (64 if self.small else 256)
        self.per_epoch = math.ceil(len(data.train) / self.batch)
        self.at_once = at_once(network, target, settings.pruning)
        self.schedule = Schedule.of(
            settings, small=self.small, at_once=self.at_once, per_epoch=self.per_epoch
        )
        self.found = Checkpoint.read(resume, self.key)  # refused before anything is computed
        if self.found:
            self._check_state(self.found)
        self.held_images, self.held_labels = tensors(data.validation)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.objective = Objective(network, data.train, settings, self.generator, self.device)
        images = self.objective.images
        self.model = self._with_gains(QatNetwork(network))
        self.rounds = Rounds(
            self.model,
            target,
            images,
            self.generator,
            settings.bias_bits,
            settings.rounds,
            settings.ramp,
        )
        if not target.admits(self.rounds.smallest.costs):
            raise target.refusal(network.name, self.rounds.smallest.costs)
        self.stage, self.epoch = 0, 0
        self.channels: dict[str, Mask] = {}
        self.fixed: list[Frozen] = []
        self.best, self.kept = (-1.0, -math.inf), self.model.state_dict()
        self.history: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def run(self) -> QuantizedNetwork:
        """Run all stages, from the checkpoint on if there is one, and return the network."""
        found = self.found
        if found:
            with found.restoring():
                self._restore(found)
        if self.stage == 0:
            self._prune(found)
            self._note_floors()
            self._export({})
            self.best = self._score()
            self.kept = copy.deepcopy(self.model.state_dict())
            self.stage, self.epoch = 1, 0
            found = None
        self._tune(found)
        self.model.load_state_dict(self.kept)
        return self._result()

    def _with_gains(self, model: QatNetwork) -> QatNetwork:
        """Return the model on the accelerator, with gains of its channels if it may have any."""
        for layer in model.layers():
            layer.learn_gains(held_gain_bits(self.settings.gain_bits, self.target.engine))
        return model.to(self.device)

    def _prune(self, found: Checkpoint | None) -> None:
        """Come down to the budget, gradually or at once, with masks that stay free to the end."""
        if self.at_once and not found:
            network = self.surgeon(
                self.network, self.data, self.target, self.settings, self.progress
            )
            self.model = self._with_gains(on_codebooks(network))
            self.rounds.hold(self.model)
        epochs, rounds = self.schedule.prune, self.rounds
        optimizer = self._optimizer(found)
        steps = epochs * self.per_epoch
        if not self.at_once and not found and steps < FEW * rounds.count:
            self.notes.append(
                f"{steps} steps of gradual pruning are few: more epochs (--prune-epochs) or "
                "one-shot pruning (--pruning oneshot) would keep more accuracy"
            )
        starts = {done * steps // rounds.count: done for done in range(rounds.count)}

        def before(step: int) -> None:
            for layer in self.model.layers():
                layer.share = 1.0 if self.at_once else min(1.0, step / (QUANTIZE * steps))
            if step in starts:
                rounds.project(starts[step])
                optimizer.measure()
            else:
                rounds.refresh()

        self._train("prune", epochs, optimizer, before=before)
        for layer in self.model.layers():
            layer.share = 1.0
        rounds.project(rounds.count)
        self._fix()

    def _fix(self) -> None:
        """Fix the masks, cut out the channels that they leave dead, and go to integers."""
        model = self.model.cpu()
        self.channels = stored_channels(self.network, model)
        self.model = compact(self.network, model, self.channels)
        for layer in self.model.layers():
            layer.freeze()
        order = torch.randperm(len(self.objective.images), generator=self.generator)
        calibrate(
            self.model,
            self.objective.images[order[:CALIBRATION_IMAGES]],
            self.target.engine,
            self.settings.bias_bits,
            trained=True,
        )
        self.model.to(self.device)
        self.fixed = frozen(self.model)

    def _note_floors(self) -> None:
        """Say which layers keep no more than the path of weights that every layer keeps."""
        least = [int(mask.sum()) for mask in self.rounds.smallest.masks]
        for layer, count in zip(self.model.layers(), least, strict=True):
            if layer.mask.sum() <= count:
                self.notes.append(
                    f"layer {layer.layer.name!r}: the budget would have emptied it; it keeps one "
                    "weight for each channel that is needed"
                )

    def _tune(self, found: Checkpoint | None) -> None:
        """Fine-tune the integers; keep the best epoch."""

        def keep_best() -> str:
            self._export({})
            score = self._score()
            if score > self.best and fits_accumulator(self.model, self.target.engine):
                self.best, self.kept = score, copy.deepcopy(self.model.state_dict())
            self.history[-1]["validation_accuracy"] = score[0]
            return f", validation {score[0]:.2%}"

        optimizer = self._optimizer(found)
        self._train("tune", self.schedule.tune, optimizer, after=keep_best)

    def _result(self) -> QuantizedNetwork:
        """Return the quantized network."""
        target = self.target
        teacher = FloatModule(self.network).eval()
        notes = [*self.network.metadata.get("notes", "").splitlines(), *self.notes]  # the import's
        metadata = {
            **self.network.metadata,
            "data": self.data.name,
            "method": self.settings.method,
            "budget": str(target.budget),
            "device": target.device.name,
            "pruning": "oneshot" if self.at_once else "gradual",
            "compress_seed": str(self.settings.seed),
            **self.network.size_labels,
            "float_validation_accuracy": (
                f"{_accuracy(predict(teacher, self.held_images), self.held_labels):.6f}"
            ),
            "validation_accuracy": f"{self.best[0]:.6f}",
            **({"notes": "\n".join(notes)} if notes else {}),
        }
        return self._export(metadata)

    def _export(self, metadata: dict[str, str]) -> QuantizedNetwork:
        """Return the network as it is now; that it meets the budget is asserted, and the rest."""
        check_invariants(self.model, self.fixed)
        for objective in ("rom", "cycles"):  # fewer values than allowed may suit other streams
            network = export(self.model, self.target.engine, metadata, objective)
            costs = self.target.costs(network)
            if self.target.admits(costs):
                return network
        raise AssertionError(f"budget {self.target.budget} missed after all: {costs}")

    def _train(
        self,
        stage: str,
        epochs: int,
        optimizer: RelativeAdam,
        *,
        before: Callable[[int], None] = lambda step: None,
        after: Callable[[], str] = lambda: "",
    ) -> None:
        """Train the rest of a stage; the rate falls to 0 over both (`Schedule`).

        `before` is called ahead of every step with its number, `after` behind every epoch.
        """
        count = len(self.objective.images)
        step = self.epoch * self.per_epoch
        for epoch in range(self.epoch, epochs):
            total = 0.0
            self.model.set_exact(False)
            for chosen in batches(count, self.batch, self.generator):
                before(step)
                loss = self.objective.loss(self.model, chosen)
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise self._not_finite(stage, epoch, step)
                optimizer.step(loss, self.schedule.rate(stage, step))
                total += value
                step += 1
            self.model.set_exact(True)
            if not all(bool(part.isfinite().all()) for part in self.model.parameters()):
                raise self._not_finite(stage, epoch, step - 1)
            self.epoch = epoch + 1
            mean = total / self.per_epoch
            self.history.append({"stage": stage, "epoch": self.epoch, "loss": mean})
            shown = after()
            self._write(optimizer)
            self.progress(stage, self.epoch, epochs, f"loss {mean:.4f}{shown}")

    def _optimizer(self, found: Checkpoint | None) -> RelativeAdam:
        """Return an optimizer of the model, in the state of a checkpoint if there is one."""
        optimizer = RelativeAdam(self.model)
        if found:
            with found.restoring():
                optimizer.load(found.part("optimizer"), found.header["spread"])
        return optimizer

    def _not_finite(self, stage: str, epoch: int, step: int) -> SqhwError:
        kept = "with a checkpoint to resume from, the last good epoch would not be lost"
        if self.resume and self.resume.is_file():
            kept = (
                f"{self.resume} holds the last good epoch, and resumes with the lower rate from it"
            )
        return SqhwError(
            f"network {self.network.name!r}: the loss is not finite in stage {stage!r}, epoch "
            f"{epoch + 1}, step {step + 1}; take a lower learning rate "
            f"(rate, --rate) than {self.settings.rate:g}; {kept}"
        )

    def _write(self, optimizer: RelativeAdam) -> None:
        """Write the checkpoint, if one is wanted."""
        if self.resume is None:
            return
        found = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        found |= {f"kept.{name}": t for name, t in self.kept.items()}
        found |= {f"optimizer.{name}": t for name, t in optimizer.tensors().items()}
        found |= {f"channels.{name}": torch.from_numpy(m) for name, m in self.channels.items()}
        if self.stage == 0:
            found |= {f"rounds.{name}": tensor for name, tensor in self.rounds.tensors().items()}
        found["generator"] = self.generator.get_state()
        header = {
            "stage": self.stage,
            "epoch": self.epoch,
            "best": list(self.best),
            "spread": optimizer.spread,
            "facts": stage_facts(self.model),
            "history": self.history,
            "notes": self.notes,
            "rate": self.settings.rate,
        }
        Checkpoint(self.key, header, found).write(self.resume)

    def _restore(self, found: Checkpoint) -> None:
        """Go back to where a checkpoint was written."""
        header = found.header
        self.channels = {name: t.numpy() for name, t in found.part("channels").items()}
        if self.channels:
            self.model = QatNetwork(cut(self.network, self.channels)).to(self.device)
        load_state(self.model, found.part("model"), header["facts"], self.target.engine)
        self.fixed = frozen(self.model)
        self.stage, self.epoch = header["stage"], header["epoch"]
        self.best = (header["best"][0], header["best"][1])
        self.kept = found.part("kept")
        if self.stage == 0:
            self.rounds.load(found.part("rounds"))
        self.generator.set_state(found.tensors["generator"])
        self.history[:], self.notes[:] = header["history"], header["notes"]
        self._take_up(header["rate"])

    def _check_state(self, found: Checkpoint) -> None:
        """Refuse a checkpoint of what the run does not have, or of one ended at another rate."""
        state = found.state(_State)
        stage = "tune" if state.stage else "prune"
        if state.stage not in (0, 1) or not 0 <= state.epoch <= self.schedule.epochs(stage):
            raise SqhwError(
                f"{self.resume} is of stage {state.stage}, epoch {state.epoch}, which its run does "
                f"not have; {ANEW}"
            )
        ended = state.stage and state.epoch == self.schedule.tune
        if ended and state.rate != self.settings.rate:
            raise SqhwError(
                f"{self.resume} holds a run that has ended, at rate {state.rate:g}, not "
                f"{self.settings.rate:g}; remove it or name another file"
            )

    def _take_up(self, rate: float) -> None:
        """Tell where the run goes on, and note a rate that was another before."""
        stage = "tune" if self.stage else "prune"
        epochs = self.schedule.epochs(stage)
        if rate != self.settings.rate:
            self.notes.append(
                f"rate {rate:g} up to epoch {self.epoch} of stage {stage!r}, "
                f"{self.settings.rate:g} behind it"
            )
        self.progress("resumed", self.epoch, epochs, f"of stage {stage!r}, from {self.resume}")

    def _score(self) -> tuple[float, float]:
        """Return validation accuracy, and the negative loss to break ties."""
        logits = predict(self.model, self.held_images, self.device)
        loss = float(functional.cross_entropy(logits, self.held_labels))
        return _accuracy(logits, self.held_labels), -loss


@dataclass(frozen=True)
class _State:
    """The header of a checkpoint; `facts` are those of `sqhw.compress.qat.state.stage_facts`."""

    stage: int
    epoch: int
    best: tuple[float, float]
    spread: tuple[float, ...]
    facts: list[Any]
    history: list[Any]
    notes: tuple[str, ...]
    rate: int | float


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())
