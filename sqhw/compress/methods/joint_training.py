"""The joint compressor: pruning, then fine-tuning of integers, as stages of the training loop."""

import math
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sqhw.arrays import Mask
from sqhw.compress.calibration.calibrate import CALIBRATION_IMAGES, calibrate
from sqhw.compress.choice.rounds import Rounds
from sqhw.compress.choice.target import Target
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.joint_result import accuracy, result_metadata, within_budget
from sqhw.compress.methods.joint_schedule import JointStage, Schedule
from sqhw.compress.methods.joint_settings import CompressSettings
from sqhw.compress.methods.objective import Objective
from sqhw.compress.methods.relative_adam import RelativeAdam
from sqhw.compress.qat.compact import compact, stored_channels
from sqhw.compress.qat.float_simplify import cut
from sqhw.compress.qat.integers import held_gain_bits
from sqhw.compress.qat.invariants import Frozen, fits_accumulator, frozen
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.qat.normalised_network import fold_network, normalise_network
from sqhw.compress.qat.state import load_state, stage_facts
from sqhw.compress.training.checkpoint import Checkpoint, fingerprint
from sqhw.compress.training.learner import Learner, Score, Stage, State
from sqhw.compress.training.loop import run_stages
from sqhw.compress.training.samples import SMALL_SET, tensors
from sqhw.errors import SqhwError
from sqhw.files.plain import located, typed
from sqhw.frontends.torch_module.float_module import predict
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized import QuantizedNetwork
from sqhw.planner.placement import place

#: Version of the method in results and checkpoints, raised with every change of results.
VERSION = 19
#: Share of the pruning stage in which weights move to their codebooks. Masks are then chosen for
#: weights of few values: masks that are chosen for real weights are not the best for these.
QUANTIZE = 0.1
#: Numbers of training images for the statistics of normalisations: of all, and of a batch.
STATISTICS, STATISTICS_BATCH = 5120, 256
MIN_STEPS = 200  # fewest steps of the first stage; fewer lose much accuracy


class JointTraining(Learner):
    """One run of the joint compressor.

    It has two stages: ``prune``, with masks that stay free to the end, and ``tune``, on integers.

    Parameters
    ----------
    job : Job
    target : Target
    settings : CompressSettings

    Raises
    ------
    SqhwError
        In the cases of `sqhw.compress.compress`.
    """

    model: QatNetwork

    def __init__(self, job: Job, target: Target, settings: CompressSettings) -> None:
        network, data = job.network, job.data
        place(with_input_stage(network), target.engine)  # refuses before training
        self.job, self.target, self.settings = job, target, settings
        self.network, self.data = network, data
        self.subject = f"network {network.name!r}"
        self.device = torch.device(job.accelerator)
        small = len(data.train) <= SMALL_SET
        self.batch = settings.batch or (64 if small else 256)
        self.per_epoch = math.ceil(len(data.train) / self.batch)
        self.schedule = Schedule.of(settings, small=small)
        self.held_images, self.held_labels = tensors(data.validation)
        generator = torch.Generator().manual_seed(settings.seed)
        model = self._with_gains(QatNetwork(network))
        super().__init__(model, len(data.train), generator, job.progress)
        self.stage = 0
        self.starts: set[int] = set()  # steps of the first stage at which rounds begin
        self.channels: dict[str, Mask] = {}
        self.fixed: list[Frozen] = []

    def run(self) -> QuantizedNetwork:
        """Run all stages, from the checkpoint on if there is one, and return the network."""
        done = run_stages(self, key=self._key(), checkpoint=self.job.resume)
        self.model.load_state_dict(done.result)
        facts = result_metadata(
            self.job, self.target, self.settings, self.notes, done.score.accuracy
        )
        return within_budget(self.model, self.fixed, self.target, facts)

    def stages(self) -> list[Stage]:
        """Return pruning and tuning."""
        epochs = {JointStage.PRUNE: self.schedule.prune, JointStage.TUNE: self.schedule.tune}
        return [
            Stage(
                stage.value,
                count,
                self.batch,
                partial(self.schedule.rate, stage),
                scored_first=stage is JointStage.TUNE,
            )
            for stage, count in epochs.items()
        ]

    def begin(self, stage: int) -> None:
        """Normalise the network, or fix masks and channels and go to integers."""
        self.stage = stage
        if stage == 1:
            self._fix()
            return
        self._prepare()
        if self.settings.normalise:
            normalise_network(self.model, self._sample())
        steps = self.schedule.prune * self.per_epoch
        if steps < MIN_STEPS:
            self.notes.append(
                f"{steps} steps with free masks are few: more epochs (--epochs) would keep more "
                f"accuracy; with {MIN_STEPS} steps and more, training makes up for most of the loss"
            )

    def resume(self, stage: int) -> None:
        """Prepare the model that `restore` goes on with."""
        self.stage = stage
        self._prepare()

    def optimizer(self, stage: int) -> RelativeAdam:
        """Return an optimizer of the model."""
        self.relative_adam = RelativeAdam(self.model)
        return self.relative_adam

    def set_training(self, training: bool) -> None:
        """Compute integers exactly, but in steps, where that takes too long."""
        super().set_training(training)
        self.model.set_exact(not training)

    def before_step(self, step: int, share: float) -> None:
        """Project to the budget, or give the places of each layer to its largest weights."""
        if self.stage == 1:
            return
        steps = self.schedule.prune * self.per_epoch
        for layer in self.model.learning_layers():
            layer.share = min(1.0, step / (QUANTIZE * steps))
        if step in self.starts:
            self.rounds.project()
            self.relative_adam.measure()
        else:
            self.rounds.refresh()

    def loss(self, stage: int, chosen: Tensor) -> Tensor:
        """Return the loss of a batch; see `Objective`."""
        return self.objective.loss(self.model, chosen)

    def score(self, result: dict[str, Tensor]) -> Score:
        """Return the score of the integers; one that overflows the accumulator has the worst."""
        within_budget(self.model, self.fixed, self.target, {})
        logits = predict(self.model, self.held_images, self.device)
        loss = float(functional.cross_entropy(logits, self.held_labels))
        fits = fits_accumulator(self.model, self.target.engine)
        return Score(0.0 if fits else -math.inf, accuracy(logits, self.held_labels), -loss)

    def remedy(self, checkpoint: Path | None) -> str:
        """Return the advice on a loss that is not finite."""
        kept = "with a checkpoint to resume from, the last good epoch would not be lost"
        if checkpoint:
            kept = (
                f"{checkpoint} holds the last good epoch, and resumes with the lower rate from it"
            )
        rate = self.settings.rate
        return f"take a lower learning rate (rate, --rate) than {rate:g}; {kept}"

    def state(self) -> dict[str, Tensor]:
        """Return the model, and the rounds or the channels that they have left."""
        found = super().state()
        found |= {f"channels.{name}": torch.from_numpy(m) for name, m in self.channels.items()}
        if self.stage == 0:
            found |= {f"rounds.{name}": tensor for name, tensor in self.rounds.tensors().items()}
        return found

    def facts(self) -> dict[str, Any]:
        """Return the stage of each layer, and the learning rate."""
        return {"layers": stage_facts(self.model), "rate": self.settings.rate}

    def check(self, found: Checkpoint, state: State) -> None:
        """Refuse the checkpoint of a run that has ended at another rate."""
        with located(found.path):
            rate = typed(_Facts, state.facts).rate
        ended = state.stage and state.epoch == self.schedule.tune
        if ended and rate != self.settings.rate:
            raise SqhwError(
                f"{found.path} holds a run that has ended, at rate {rate:g}, not "
                f"{self.settings.rate:g}; remove it or name another file"
            )

    def restore(self, found: Checkpoint, state: State) -> None:
        """Restore the state of a checkpoint; note a learning rate that was different."""
        facts = typed(_Facts, state.facts)
        self.channels = {name: t.numpy() for name, t in found.part("channels").items()}
        if self.channels:
            self.model = QatNetwork(cut(self.network, self.channels)).to(self.device)
        load_state(self.model, found.part("model"), facts.layers, self.target.engine)
        if self.stage == 0:
            self.rounds.load(found.part("rounds"))
        else:
            self.fixed = frozen(self.model)
        if facts.rate != self.settings.rate:
            stage = self.stages()[state.stage].name
            self.notes.append(
                f"rate {facts.rate:g} up to epoch {state.epoch} of stage {stage!r}, "
                f"{self.settings.rate:g} after it"
            )

    def _key(self) -> str:
        """Return the key of the run: with another rate it may go on."""
        options = asdict(self.settings)
        del options["rate"]
        target = self.target
        return fingerprint(
            self.network,
            self.data,
            [
                VERSION,
                options,
                str(target.budget),
                target.engine.to_dict(),
                target.device.name,
                self.device.type,
            ],
        )

    def _prepare(self) -> None:
        """Prepare the data of the stage."""
        settings, generator = self.settings, self.generator
        self.objective = Objective(self.network, self.data.train, settings, generator, self.device)
        if self.stage == 1:
            return
        self.rounds = Rounds(
            self.model,
            self.target,
            self.objective.images,
            generator,
            settings.bias_bits,
            settings.rounds,
        )
        if not self.target.admits(self.rounds.smallest.costs):
            raise self.target.refusal(self.network.name, self.rounds.smallest.costs)
        steps, count = self.schedule.prune * self.per_epoch, self.rounds.count
        self.starts = {done * steps // count for done in range(count)}

    def _sample(self) -> list[Tensor]:
        """Return batches of training images for statistics, augmented as in training."""
        order = torch.randperm(self.count, generator=self.generator)[:STATISTICS]
        return [self.objective.pixels(part) for part in torch.split(order, STATISTICS_BATCH)]

    def _with_gains(self, model: QatNetwork) -> QatNetwork:
        """Return the model on the accelerator, with gains where its channels may have them."""
        for layer in model.learning_layers():
            layer.learn_gains(held_gain_bits(self.settings.gain_bits, self.target.engine))
        return model.to(self.device)

    def _fix(self) -> None:
        """Fix the masks, remove the channels that they leave dead, and go to integers."""
        for layer in self.model.learning_layers():
            layer.share = 1.0
        self.rounds.project()
        fold_network(self.model, self._sample())
        model = self.model.cpu()
        self.channels = stored_channels(self.network, model)
        self.model = compact(self.network, model, self.channels)
        for layer in self.model.learning_layers():
            layer.freeze()
        order = torch.randperm(self.count, generator=self.generator)
        calibrate(
            self.model,
            self.objective.images[order[:CALIBRATION_IMAGES]],
            self.target.engine,
            self.settings.bias_bits,
            trained=True,
        )
        self.model.to(self.device)
        self.fixed = frozen(self.model)
        self._note_floors()

    def _note_floors(self) -> None:
        """Note the layers that keep only the path of weights that every layer keeps."""
        least = [int(mask.sum()) for mask in self.rounds.smallest.masks]
        for layer, count in zip(self.model.layers(), least, strict=True):
            if layer.mask.sum() <= count:
                self.notes.append(
                    f"layer {layer.layer.name!r}: the budget would have emptied it; it keeps one "
                    "weight for each channel that is needed"
                )


@dataclass(frozen=True)
class _Facts:
    """The facts of a checkpoint; `layers` are those of `sqhw.compress.qat.state.stage_facts`."""

    layers: list[Any]
    rate: int | float
