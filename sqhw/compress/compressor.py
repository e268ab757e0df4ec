"""The joint compressor: pruning, bit widths and integer arithmetic under one exact budget."""

import copy
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from sqhw.budget import Budget, Budgets
from sqhw.compress.assemble import export
from sqhw.compress.calibrate import acc_limit, calibrate
from sqhw.compress.fisher import fisher_diagonal
from sqhw.compress.float_network import FloatNetwork, predict
from sqhw.compress.input_stage import with_input_stage
from sqhw.compress.projection import Projection, Projector
from sqhw.compress.qat import QatNetwork
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
from sqhw.network import QuantizedNetwork
from sqhw.placement import place

FISHER_BATCHES = (32, 6)  # at the start, and at every later projection
FISHER_KEEP = 0.6  # share of the old estimate in the new one
CALIBRATION_IMAGES = 512


def compress(
    network: FloatNetwork,
    data: Dataset,
    *,
    engine: EngineConfig,
    device: Device,
    budget: Budget | Budgets,
    settings: CompressSettings | None = None,
    progress: Progress = silent,
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

    Returns
    -------
    QuantizedNetwork
        Its exact costs on the bases of the budget (`sqhw.compress.target.Target.costs`) are within
        the limits.

    Raises
    ------
    SqhwError
        If the engine cannot run this topology, or no network of it meets the budget; the message
        then has the smallest that would.
    """
    settings = settings or CompressSettings()
    outputs = int(np.prod(network.shapes()[network.layers[-1].name]))
    check_shape(network.name, network.input_shape, outputs, data)
    place(topology(with_input_stage(network)), engine)  # refuses before anything is trained
    with torch_threads(settings.threads):
        run = _Run(network, data, Target(budget, engine, device), settings, progress)
        run.prune()
        run.tune()
        return run.result()


class _Run:
    """One compression: the model, its data and its budget."""

    def __init__(
        self,
        network: FloatNetwork,
        data: Dataset,
        target: Target,
        settings: CompressSettings,
        progress: Progress,
    ) -> None:
        self.network, self.target, self.settings = network, target, settings
        self.progress = progress
        self.data_name = data.name
        self.images, self.labels = tensors(data.train)
        self.held_images, self.held_labels = tensors(data.validation)
        self.small = len(self.images) <= SMALL_SET
        self.batch = settings.batch or (64 if self.small else 256)
        self.per_epoch = math.ceil(len(self.images) / self.batch)
        self.generator = torch.Generator().manual_seed(settings.seed)
        teacher = network.to_module().eval()
        self.teacher: Callable[[Tensor], Tensor] = teacher
        self.model = QatNetwork(network)
        self.importance = self._fisher(FISHER_BATCHES[0])
        projector = self._projector()
        self.smallest = projector.floor()
        if not target.admits(self.smallest.costs):
            raise target.refusal(network.name, self.smallest.costs)
        self.first_bits = min(
            projector.most_bits, 2 * self._fit(projector).bits + projector.most_bits // 8
        )

    def prune(self) -> None:
        """Shrink the budget round by round; dropped weights keep learning and may come back."""
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
            found = self._fit(projector)
            left = max(0.0, 1 - (done + 1) / ramp) ** 3
            if left > 0 and self.first_bits > found.bits:
                found = projector.at_most(round(found.bits + left * (self.first_bits - found.bits)))
            self._apply(projector, found)

        steps = epochs * self.per_epoch
        starts = {done * steps // rounds: done for done in range(rounds)}

        def before(step: int) -> None:
            if step in starts:
                project(starts[step])

        self._train("prune", epochs, self.settings.prune_rate, 0.1, before=before)
        project(rounds)

    def tune(self) -> None:
        """Fix the masks, go to integers and fine-tune them; keep the best epoch."""
        epochs = self.settings.tune_epochs or (40 if self.small else 3)
        for layer in self.model.layers():
            layer.freeze()
        order = torch.randperm(len(self.images), generator=self.generator)
        calibrate(
            self.model,
            self.images[order[:CALIBRATION_IMAGES]],
            self.target.engine,
            self.settings.bias_bits,
        )
        self.best = self._score()
        self.kept = copy.deepcopy(self.model.state_dict())

        def keep_best() -> None:
            score = self._score()
            if score > self.best and self._fits_accumulator():
                self.best, self.kept = score, copy.deepcopy(self.model.state_dict())

        self._train("tune", epochs, self.settings.tune_rate, 0.0, after=keep_best)
        self.model.load_state_dict(self.kept)

    def result(self) -> QuantizedNetwork:
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
            "float_bits": str(self.network.float_bits),
            "float_weights": str(self.network.weights),
            "float_validation_accuracy": f"{_accuracy(float_logits, self.held_labels):.6f}",
            "validation_accuracy": f"{self.best[0]:.6f}",
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
        *,
        before: Callable[[int], None] = lambda step: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Train with distillation; a cosine takes the rate from `peak` to ``end * peak``.

        `before` is called ahead of every step with its number, `after` behind every epoch.
        """
        optimizer = torch.optim.Adam(
            [
                parameter
                for layer in self.model.layers()
                for parameter in (layer.weight, layer.bias, layer.codebook)
                if parameter.requires_grad
            ],
            lr=peak,
        )
        step = 0
        for epoch in range(epochs):
            total = 0.0
            for chosen in batches(len(self.images), self.batch, self.generator):
                before(step)
                wave = 0.5 * (1 + math.cos(math.pi * step / (epochs * self.per_epoch)))
                for group in optimizer.param_groups:
                    group["lr"] = peak * (end + (1 - end) * wave)
                pixels = shifted(self.images[chosen], self.settings.shift, self.generator)
                if self.settings.flip:
                    pixels = flipped(pixels, self.generator)
                loss = self._loss(channels_last(pixels), self.labels[chosen])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += float(loss.detach())
                step += 1
            after()
            self.progress(stage, epoch + 1, epochs, f"loss {total / self.per_epoch:.4f}")

    def _loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.teacher(pixels)
        logits = self.model(pixels)
        t = self.settings.temperature
        soft = functional.kl_div(
            functional.log_softmax(logits / t, 1),
            functional.log_softmax(wanted / t, 1),
            reduction="batchmean",
            log_target=True,
        )
        share = self.settings.distill
        return share * t * t * soft + (1 - share) * functional.cross_entropy(logits, labels)

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
        size = min(self.batch, len(self.images))
        chosen = torch.randint(0, len(self.images), (count * size,), generator=self.generator)
        found = fisher_diagonal(
            self.model,
            [layer.weight for layer in self.model.layers()],
            self.images[chosen].view(count, size, *self.images.shape[1:]),
            self.generator,
        )
        return [diagonal.numpy().astype(np.float64) for diagonal in found]

    def _projector(self) -> Projector:
        return Projector(self.model, self.importance, self.target, self.settings.bias_bits)

    def _fit(self, projector: Projector) -> Projection:
        """Return the best projection within the budget; at worst the smallest of the start."""
        return projector.fitting() or self.smallest

    def _apply(self, projector: Projector, found: Projection) -> None:
        books = projector.codebooks(found)
        for layer, mask, book in zip(self.model.layers(), found.masks, books, strict=True):
            layer.set_projection(mask, book)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())
