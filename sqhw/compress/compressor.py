"""The joint compressor: pruning, bit widths and integer arithmetic under one exact budget."""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from sqhw.budget import Budget, Budgets
from sqhw.compress.assemble import export
from sqhw.compress.calibrate import acc_limit, calibrate
from sqhw.compress.checkpoint import (
    Checkpoint,
    fingerprint,
    load_optimizer,
    optimizer_tensors,
)
from sqhw.compress.distillation import distillation_loss
from sqhw.compress.fisher import fisher_diagonal
from sqhw.compress.float_network import FloatNetwork, predict
from sqhw.compress.input_stage import with_input_stage
from sqhw.compress.projection import CLOSE, Projection, Projector
from sqhw.compress.qat import QatNetwork
from sqhw.compress.qat_state import load_state, stage_facts
from sqhw.compress.samples import (
    SMALL_SET,
    Progress,
    batches,
    channels_last,
    check_shape,
    flipped,
    shifted,
    silent,
    tensors,
)
from sqhw.compress.settings import CompressSettings
from sqhw.compress.target import Target
from sqhw.compress.threads import torch_threads
from sqhw.compress.topology import topology
from sqhw.cost_models.device import Device
from sqhw.data import Dataset
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.network import QuantizedNetwork
from sqhw.placement import place

FISHER_BATCHES = (32, 12)  # at the start, and at every later projection
FISHER_IMAGES = 64  # of a batch; the estimate gains more by batches than by images
#: Of the logarithm of the numbers of weights over the share of the ramp that is left.
SLOPE = 1.5
#: How far a layer's Fisher is taken relative to what the layer keeps: 0 trusts the local estimate
#: of the loss across layers, 1 takes from every layer the same share of its signal.
RELATIVE = 0.5
FISHER_KEEP = 0.8  # share of the old estimate in the new one
CALIBRATION_IMAGES = 512
LOOP = 2  # raised with every change of the loop: a checkpoint of another loop is of another run
#: Shares of the pruning stage between which weights move to their codebooks.
QUANTIZE = (0.5, 0.95)
NEAR = 0.02  # of the budget: what a projection that is not the last may leave of it
DROPPED_DECAY = 0.5  # of a dropped weight in a step, times the rate
BIAS_RATE = 0.1  # of the rate, which is relative to the spread of a layer's weights


def compress(
    network: FloatNetwork,
    data: Dataset,
    *,
    engine: EngineConfig,
    device: Device,
    budget: Budget | Budgets,
    settings: CompressSettings | None = None,
    progress: Progress = silent,
    resume: Path | None = None,
) -> QuantizedNetwork:
    """Compress a trained network until it meets a budget.

    Parameters
    ----------
    network : FloatNetwork
        Left as it is.
    data : Dataset
        The training split is trained on, checkpoints are chosen on the validation split; the test
        split is not read.
    engine : EngineConfig
    device : Device
        Its block RAM gives the sizes on the basis ``blocks``.
    budget : Budget or Budgets
    settings : CompressSettings, optional
    progress : callable
        Called with (stage, done, total, detail).
    resume : Path, optional
        Checkpoint file: continued from if it exists, written after every epoch. An interrupted and
        resumed run returns what an uninterrupted one does.

    Returns
    -------
    QuantizedNetwork
        Its exact costs on the bases of the budget (`sqhw.compress.target.Target.costs`) are within
        the limits.

    Raises
    ------
    SqhwError
        If the engine cannot run this topology, or no network of it meets the budget; the message
        then has the smallest that would. If the loss ceases to be finite, or the checkpoint is of
        another run.
    """
    settings = settings or CompressSettings()
    with torch_threads(settings.threads):
        target = Target(budget, engine, device)
        return Compression(network, data, target, settings, progress, resume).run()


class Compression:
    """One run of the joint compressor; see `compress`.

    Parameters
    ----------
    network : FloatNetwork
    data : Dataset
    target : Target
    settings : CompressSettings
    progress : callable
    resume : Path, optional

    Attributes
    ----------
    history : list of dict
        Facts of every epoch so far.
    notes : list of str
        What the user should know.

    Raises
    ------
    SqhwError
        See `compress`.
    """

    def __init__(
        self,
        network: FloatNetwork,
        data: Dataset,
        target: Target,
        settings: CompressSettings,
        progress: Progress,
        resume: Path | None,
    ) -> None:
        outputs = int(np.prod(network.shapes()[network.layers[-1].name]))
        check_shape(network.name, network.input_shape, outputs, data)
        place(topology(with_input_stage(network)), target.engine)  # refuses before training
        self.network, self.target, self.settings = network, target, settings
        self.progress, self.resume = progress, resume
        self.data_name = data.name
        self.images, self.labels = tensors(data.train)
        self.held_images, self.held_labels = tensors(data.validation)
        self.small = len(self.images) <= SMALL_SET
        self.batch = settings.batch or (64 if self.small else 256)
        self.per_epoch = math.ceil(len(self.images) / self.batch)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.teacher: Callable[[Tensor], Tensor] = network.to_module().eval()
        self.model = QatNetwork(network)
        self.spread = self._spread()
        self.importance = self._fisher(FISHER_BATCHES[0])
        projector = self._projector()
        self.smallest = projector.floor()
        if not target.admits(self.smallest.costs):
            raise target.refusal(network.name, self.smallest.costs)
        self.stage, self.epoch = 0, 0
        self.best, self.kept = (-1.0, -math.inf), self.model.state_dict()
        self.history: list[dict[str, Any]] = []
        self.notes: list[str] = []
        engine, device = target.engine.to_dict(), target.device.name
        self.key = fingerprint(
            network, data, [LOOP, asdict(settings), str(target.budget), engine, device]
        )

    def run(self) -> QuantizedNetwork:
        """Run all stages, from the checkpoint on if there is one, and return the network."""
        found = Checkpoint.read(self.resume, self.key)
        if found:
            self._restore(found)
        whole = self.settings.distill > 0 and not (self.settings.shift or self.settings.flip)
        self.wanted = predict(self.teacher, self.images) if whole else None
        if self.stage == 0:
            self._prune(found)
            self._fix()
        self._tune(found if found and found.header["stage"] == 1 else None)
        self.model.load_state_dict(self.kept)
        return self._result()

    def _prune(self, found: Checkpoint | None) -> None:
        """Thin the layers out to the budget round by round; dropped weights may come back."""
        epochs = self.settings.prune_epochs or (25 if self.small else 4)
        rounds = self.settings.rounds
        ramp = max(1, round(self.settings.ramp * rounds))

        def project(done: int) -> None:
            if done > 0:
                new = self._fisher(FISHER_BATCHES[1])
                self.importance = [
                    FISHER_KEEP * old + (1 - FISHER_KEEP) * now
                    for old, now in zip(self.importance, new, strict=True)
                ]
            projector = self._projector()
            chosen = self._fit(projector, CLOSE if done == rounds else NEAR)
            left = max(0.0, 1 - (done + 1) / ramp) ** SLOPE
            self._apply(projector, projector.thinned(chosen, left))
            self.spread = self._spread()
            if done == rounds:
                self._note_floors(projector, chosen)

        steps = epochs * self.per_epoch
        starts = {done * steps // rounds: done for done in range(rounds)}

        def before(step: int) -> None:
            share = (step / steps - QUANTIZE[0]) / (QUANTIZE[1] - QUANTIZE[0])
            for layer in self.model.layers():
                layer.share = min(1.0, max(0.0, share))
            if step in starts:
                project(starts[step])

        self._train("prune", epochs, self.settings.prune_rate, 0.3, found, before=before)
        for layer in self.model.layers():
            layer.share = 1.0
        project(rounds)

    def _note_floors(self, projector: Projector, found: Projection) -> None:
        """Say which layers keep no more than the path of weights that every layer keeps."""
        floored = [
            layer.layer.name
            for layer, state, mask in zip(
                self.model.layers(), projector.states, found.masks, strict=True
            )
            if mask.sum() <= state.floor.sum()
        ]
        for name in floored:
            self.notes.append(
                f"layer {name!r}: the budget would have emptied it; it keeps one weight for each "
                "channel that is needed"
            )

    def _fix(self) -> None:
        """Fix the masks and go to integers."""
        for layer in self.model.layers():
            layer.freeze()
        order = torch.randperm(len(self.images), generator=self.generator)
        calibrate(
            self.model,
            self.images[order[:CALIBRATION_IMAGES]],
            self.target.engine,
            self.settings.bias_bits,
        )
        self._check_invariants()
        self.best = self._score()
        self.kept = copy.deepcopy(self.model.state_dict())
        self.stage, self.epoch = 1, 0

    def _tune(self, found: Checkpoint | None) -> None:
        """Fine-tune the integers; keep the best epoch."""
        epochs = self.settings.tune_epochs or (40 if self.small else 3)

        def keep_best() -> str:
            self._check_invariants()
            score = self._score()
            if score > self.best and self._fits_accumulator():
                self.best, self.kept = score, copy.deepcopy(self.model.state_dict())
            self.history[-1]["validation_accuracy"] = score[0]
            return f", validation {score[0]:.2%}"

        self._train("tune", epochs, self.settings.tune_rate, 0.0, found, after=keep_best)

    def _result(self) -> QuantizedNetwork:
        """Return the quantized network, its budget checked once more on the exact cost."""
        target = self.target
        with torch.no_grad():
            float_logits = predict(self.teacher, self.held_images)
        metadata = {
            **self.network.metadata,
            "data": self.data_name,
            "method": self.settings.method,
            "budget": str(target.budget),
            "device": target.device.name,
            "compress_seed": str(self.settings.seed),
            **self.network.size_labels,
            "float_validation_accuracy": f"{_accuracy(float_logits, self.held_labels):.6f}",
            "validation_accuracy": f"{self.best[0]:.6f}",
            **({"notes": "; ".join(self.notes)} if self.notes else {}),
        }
        network = export(self.model, target.engine, metadata)
        costs = target.costs(network)
        if not target.admits(costs):
            raise AssertionError(f"budget {target.budget} missed after all: {costs}")
        return network

    def _train(
        self,
        stage: str,
        epochs: int,
        peak: float,
        end: float,
        found: Checkpoint | None,
        *,
        before: Callable[[int], None] = lambda step: None,
        after: Callable[[], str] = lambda: "",
    ) -> None:
        """Train with distillation; a cosine takes the rate from `peak` to ``end * peak``.

        `before` is called ahead of every step with its number, `after` behind every epoch.
        """
        optimizer = self._optimizer()
        if found:
            load_optimizer(optimizer, found.part("optimizer"))
        step = self.epoch * self.per_epoch
        for epoch in range(self.epoch, epochs):
            total = 0.0
            self.model.set_exact(False)
            for chosen in batches(len(self.images), self.batch, self.generator):
                before(step)
                wave = 0.5 * (1 + math.cos(math.pi * step / (epochs * self.per_epoch)))
                rates = (*self.spread, BIAS_RATE)
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * peak * (end + (1 - end) * wave)
                loss = self._loss(chosen)
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise self._not_finite(stage, epoch, step)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                self._decay_dropped(optimizer)
                total += value
                step += 1
            self.model.set_exact(True)
            self.epoch = epoch + 1
            mean = total / self.per_epoch
            self.history.append({"stage": stage, "epoch": self.epoch, "loss": mean})
            shown = after()
            self._write(optimizer)
            self.progress(stage, self.epoch, epochs, f"loss {mean:.4f}{shown}")

    def _optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, with a group for each layer and one for all biases."""
        groups = []
        for layer in self.model.layers():
            learned = (layer.weight, layer.codebook)
            groups.append({"params": [p for p in learned if p.requires_grad]})
        groups.append({"params": [layer.bias for layer in self.model.layers()]})
        return torch.optim.Adam(groups, lr=1e-3)

    def _spread(self) -> list[float]:
        """Return the root mean square of each layer's kept weights: what its rate is relative to.

        Adam changes every weight by about the rate in a step, and the weights of layers may differ
        a hundredfold, those that are kept at last ten times from the others.
        """
        found = []
        for layer in self.model.layers():
            weight, mask = layer.weight.detach(), layer.mask
            kept = float((weight * weight * mask).sum() / mask.sum().clamp(min=1))
            found.append(max(math.sqrt(kept), 1e-12))
        return found

    def _decay_dropped(self, optimizer: torch.optim.Optimizer) -> None:
        """Draw dropped weights towards 0: only a steady gradient brings one back, not noise."""
        with torch.no_grad():
            for layer, group, spread in zip(
                self.model.layers(), optimizer.param_groups, self.spread, strict=False
            ):
                if layer.quantized and not layer.frozen:
                    layer.weight.mul_(1 - DROPPED_DECAY * group["lr"] / spread * (1 - layer.mask))

    def _loss(self, chosen: Tensor) -> Tensor:
        settings = self.settings
        pixels = shifted(self.images[chosen], settings.shift, self.generator)
        if settings.flip:
            pixels = flipped(pixels, self.generator)
        pixels = channels_last(pixels)
        with torch.autocast("cpu", torch.bfloat16, settings.precision == "bf16"):
            if self.wanted is not None:
                wanted = self.wanted[chosen]
            else:
                with torch.no_grad():
                    wanted = self.teacher(pixels).float()
            logits = self.model(pixels).float()
        if settings.distill == 0:
            return functional.cross_entropy(logits, self.labels[chosen])
        return distillation_loss(
            logits, wanted, self.labels[chosen], settings.distill, settings.temperature
        )

    def _not_finite(self, stage: str, epoch: int, step: int) -> SqhwError:
        kept = (
            f"; the checkpoint in {self.resume} is that of the last good epoch"
            if self.resume and self.resume.is_file()
            else ""
        )
        return SqhwError(
            f"network {self.network.name!r}: the loss is not finite in stage {stage!r}, epoch "
            f"{epoch + 1}, step {step + 1}; take a lower {stage}_rate{kept}"
        )

    def _check_invariants(self) -> None:
        """Assert that dropped weights are 0, and that codebooks have the size that was paid for."""
        for layer in self.model.layers():
            with torch.no_grad():
                weight = layer.real_weight()
            if bool((weight[layer.mask == 0] != 0).any()):
                raise AssertionError(f"layer {layer.layer.name!r}: a dropped weight is not 0")
            values = len(torch.unique(weight[layer.mask != 0]))
            if values > len(layer.codebook):
                raise AssertionError(f"layer {layer.layer.name!r}: {values} values")

    def _write(self, optimizer: torch.optim.Optimizer) -> None:
        """Write the checkpoint, if one is wanted."""
        if self.resume is None:
            return
        found = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        found |= {f"kept.{name}": t for name, t in self.kept.items()}
        found |= {f"optimizer.{name}": t for name, t in optimizer_tensors(optimizer).items()}
        for index, array in enumerate(self.importance):
            found[f"importance.{index}"] = torch.from_numpy(array)
        found["generator"] = self.generator.get_state()
        header = {
            "stage": self.stage,
            "epoch": self.epoch,
            "best": list(self.best),
            "spread": self.spread,
            "facts": stage_facts(self.model),
            "history": self.history,
            "notes": self.notes,
        }
        Checkpoint(self.key, header, found).write(self.resume)

    def _restore(self, found: Checkpoint) -> None:
        """Go back to where a checkpoint was written."""
        header = found.header
        load_state(self.model, found.part("model"), header["facts"], self.target.engine)
        self.stage, self.epoch = header["stage"], header["epoch"]
        self.best = (header["best"][0], header["best"][1])
        self.spread = list(header["spread"])
        self.kept = found.part("kept")
        self.importance = [tensor.numpy() for tensor in found.numbered("importance")]
        self.generator.set_state(found.tensors["generator"])
        self.history[:], self.notes[:] = header["history"], header["notes"]

    def _score(self) -> tuple[float, float]:
        """Return validation accuracy, and the negative loss to break ties."""
        logits = predict(self.model, self.held_images)
        loss = float(functional.cross_entropy(logits, self.held_labels))
        return _accuracy(logits, self.held_labels), -loss

    def _fits_accumulator(self) -> bool:
        limit = acc_limit(self.target.engine)
        for layer in self.model.layers():
            whole = layer.integers()
            weight, bias = (
                torch.from_numpy(part.astype(np.float64)) for part in (whole.weight, whole.bias)
            )
            if layer.bound(weight, bias) > limit:
                return False
        return True

    def _fisher(self, count: int) -> list[npt.NDArray[np.float64]]:
        size = min(FISHER_IMAGES, len(self.images))
        chosen = torch.randint(0, len(self.images), (count * size,), generator=self.generator)
        found = fisher_diagonal(
            self.model,
            [layer.weight for layer in self.model.layers()],
            self.images[chosen].view(count, size, *self.images.shape[1:]),
            self.generator,
        )
        return [diagonal.numpy().astype(np.float64) for diagonal in found]

    def _projector(self) -> Projector:
        """Return the projection to the budget.

        The importances are half way between the Fisher and one that is relative to what each layer
        keeps, which takes the same share of signal from all layers (as Lee et al., "Layer-adaptive
        sparsity for the magnitude-based pruning", ICLR 2021). The Fisher alone, a local estimate,
        gives small layers near the outputs more bits than training has use for.
        """
        importance = []
        for layer, worth in zip(self.model.layers(), self.importance, strict=True):
            weight, mask = (part.detach().numpy() for part in (layer.weight, layer.mask))
            kept = float(np.sum(worth * weight * weight * mask, dtype=np.float64))
            importance.append(worth / max(kept, 1e-300) ** RELATIVE)
        return Projector(self.model, importance, self.target, self.settings.bias_bits)

    def _fit(self, projector: Projector, close: float = NEAR) -> Projection:
        """Return the best projection within the budget; at worst the smallest of the start."""
        return projector.fitting(close) or self.smallest

    def _apply(self, projector: Projector, found: Projection) -> None:
        books = projector.codebooks(found)
        for layer, mask, book in zip(self.model.layers(), found.masks, books, strict=True):
            layer.set_projection(mask, book)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())
