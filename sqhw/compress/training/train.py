"""Training a network of the zoo from scratch."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sqhw.compress.training.bounds import check_least, check_not_negative, check_positive
from sqhw.compress.training.learner import Learner, Score, Stage
from sqhw.compress.training.loop import run_stages
from sqhw.compress.training.optimizer import Optimizer
from sqhw.compress.training.samples import (
    SMALL_SET,
    Progress,
    channels_last,
    check_shape,
    flipped,
    shifted,
    silent,
    tensors,
)
from sqhw.data import Dataset
from sqhw.frontends.torch_module import import_module
from sqhw.frontends.torch_module.float_module import predict
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.frontends.zoo.catalogue import ZooEntry, entry
from sqhw.network.floats import FloatNetwork, check_input
from sqhw.seeds import check_seed


@dataclass(frozen=True)
class TrainSettings:
    """How a float network is trained.

    Parameters
    ----------
    epochs : int, optional
        Passes over the training split; by default 40, or 6 for more than 10,000 images.
    batch : int, optional
        Images a step; by default 64, or 256 for more than 10,000 images.
    rate : float
        Peak learning rate of Adam; a cosine takes it to 0.
    decay : float
        Decoupled weight decay.
    flip : bool
        Whether half of the training images are mirrored left to right.
    mean, std : tuple of float, optional
        Normalisation ``(pixel / input_max - mean) / std``, one value or one a channel; by default
        that of the zoo.
    seed : int, 0 to 2^64 - 1
        Fixes initial weights, order and augmentation.
    threads : int
        Cores to use. With one the result does not depend on the machine's number of cores, and a
        small network does not wait for a core that another program holds.
    """

    epochs: int | None = None
    batch: int | None = None
    rate: float = 2e-3
    decay: float = 1e-2
    flip: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "threads"):
            value = getattr(self, name)
            if value is not None:
                check_least(name, value, 1)
        check_seed(self.seed)
        check_positive("rate", self.rate)
        check_not_negative("decay", self.decay)


def train(
    network_name: str,
    data: Dataset,
    *,
    settings: TrainSettings | None = None,
    progress: Progress = silent,
) -> FloatNetwork:
    """Train a network of the zoo; the best epoch on the validation split is kept.

    Parameters
    ----------
    network_name : str
        See `sqhw.frontends.zoo`.
    data : Dataset
    settings : TrainSettings, optional
    progress : callable

    Returns
    -------
    FloatNetwork
        Its metadata has the validation accuracy. Same settings, same network.

    Raises
    ------
    SqhwError
        If the network is unknown, the data does not suit it, or the loss ceases to be finite.
    """
    settings = settings or TrainSettings()
    with torch_threads(settings.threads):
        return _Training(network_name, data, settings, progress).run()


class _Training(Learner):
    """The training of a network of the zoo from random weights."""

    def __init__(
        self, network_name: str, data: Dataset, settings: TrainSettings, progress: Progress
    ) -> None:
        self.zoo: ZooEntry = entry(network_name)
        check_shape(network_name, self.zoo.input_shape, self.zoo.outputs, data)
        self.name, self.data, self.settings = network_name, data, settings
        self.subject = f"network {network_name!r}"
        self.images, self.labels = tensors(data.train)
        self.held_images, self.held_labels = tensors(data.validation)
        self.small = len(self.images) <= SMALL_SET
        generator = torch.Generator().manual_seed(settings.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            module: nn.Module = self.zoo.make()
        super().__init__(module, len(self.images), generator, progress)
        self.values = (settings.mean or self.zoo.mean, settings.std or self.zoo.std)
        check_input(network_name, self.zoo.input_shape, data.input_max, *self.values)
        self.mean, self.std = (torch.tensor(values).view(1, -1, 1, 1) for values in self.values)

    @property
    def epochs(self) -> int:
        return self.settings.epochs or (40 if self.small else 6)

    def run(self) -> FloatNetwork:
        done = run_stages(self)
        self.model.load_state_dict(done.result)
        network = import_module(
            self.model,
            self.zoo.input_shape,
            name=self.name,
            input_max=self.data.input_max,
            mean=self.values[0],
            std=self.values[1],
        )
        facts = {
            "data": self.data.name,
            "seed": str(self.settings.seed),
            "epochs": str(self.epochs),
            "float_validation_accuracy": f"{done.score.accuracy:.6f}",
        }
        return replace(network, metadata=facts | network.metadata)

    def stages(self) -> list[Stage]:
        batch = self.settings.batch or (64 if self.small else 256)
        return [Stage("train", self.epochs, batch, self._rate)]

    def _rate(self, step: int, per_epoch: int) -> float:
        """Return the rate of a step: a linear rise in the first epoch, under a cosine to 0."""
        warm = min(1.0, (step + 1) / per_epoch)
        total = self.epochs * per_epoch
        return self.settings.rate * warm * 0.5 * (1 + math.cos(math.pi * step / total))

    def optimizer(self, stage: int) -> Optimizer:
        parameters, settings = self.model.parameters(), self.settings
        return Optimizer(
            torch.optim.AdamW(parameters, lr=settings.rate, weight_decay=settings.decay)
        )

    def forward(self, raw: Tensor) -> Tensor:
        """Return the logits of raw pixels."""
        pixels = (channels_last(raw) / self.data.input_max - self.mean) / self.std
        logits: Tensor = self.model(pixels)
        return logits

    def loss(self, stage: int, chosen: Tensor) -> Tensor:
        x = shifted(self.images[chosen], self.zoo.shift, self.generator)
        if self.settings.flip:
            x = flipped(x, self.generator)
        logits = self.forward(x)
        return functional.cross_entropy(logits, self.labels[chosen], label_smoothing=0.05)

    def score(self, result: dict[str, Tensor]) -> Score:
        logits = predict(self.forward, self.held_images)
        right = float((logits.argmax(1) == self.held_labels).double().mean())
        return Score(0.0, right, -float(functional.cross_entropy(logits, self.held_labels)))

    def detail(self, entry: dict[str, Any]) -> str:
        return f"validation {100 * entry['validation_accuracy']:.2f} %"
