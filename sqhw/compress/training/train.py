"""Training a network of the zoo from scratch."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sqhw.compress.training.bounds import check_least, check_not_negative, check_positive
from sqhw.compress.training.checkpoint import fingerprint
from sqhw.compress.training.learner import Learner, Score, Stage
from sqhw.compress.training.loop import run_stages
from sqhw.compress.training.optimizer import Optimizer
from sqhw.compress.training.precision import products
from sqhw.compress.training.samples import (
    SMALL_SET,
    STILL,
    Progress,
    channels_last,
    flipped,
    shifted,
    silent,
    tensors,
)
from sqhw.data import Dataset
from sqhw.data.suits import check_shape
from sqhw.errors import unknown_name
from sqhw.frontends.torch_module import import_module
from sqhw.frontends.torch_module.float_module import predict
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.frontends.zoo.catalogue import ZooEntry, entry
from sqhw.names import OPTIMIZERS, PRECISIONS
from sqhw.network.floats import FloatNetwork, check_input
from sqhw.seeds import check_seed

RATES = {"adam": 2e-3, "sgd": 0.1}
DECAYS = {"adam": 1e-2, "sgd": 5e-4}
MOMENTUM = 0.9  # momentum of SGD
VERSION = 1  # version of the training in checkpoints, raised with every change of results


@dataclass(frozen=True)
class TrainSettings:
    """Options of the training of a float network.

    Parameters
    ----------
    epochs : int, optional
        Passes over the training split; by default 40, or 6 for more than 10,000 images.
    batch : int, optional
        Images a step; by default 64, or 256 for more than 10,000 images.
    optimizer : {"adam", "sgd"}
        Adam with decoupled weight decay, or SGD with Nesterov's momentum of 0.9, which trains large
        networks better and shifts every image.
    rate : float, optional
        Peak learning rate; a cosine takes it to 0. By default 2e-3 for Adam, 0.1 for SGD.
    decay : float, optional
        Weight decay; by default 1e-2 for Adam, 5e-4 for SGD.
    flip : bool
        Whether half of the training images are mirrored left to right.
    mean, std : tuple of float, optional
        Normalisation ``(pixel / input_max - mean) / std``, one value or one a channel; by default
        that of the zoo.
    precision : {"auto", "float32", "bf16"}
        Number format of the products in training, see `products`; evaluation is in float32.
    seed : int, 0 to 2^64 - 1
        Seed of initial weights, order and augmentation.
    threads : int
        Cores to use. With one the result does not depend on the machine's number of cores, and a
        small network does not wait for a core that another program holds.
    """

    epochs: int | None = None
    batch: int | None = None
    optimizer: str = "adam"
    rate: float | None = None
    decay: float | None = None
    flip: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    precision: str = "auto"
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "threads"):
            value = getattr(self, name)
            if value is not None:
                check_least(name, value, 1)
        check_seed(self.seed)
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS)
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)
        check_positive("rate", self.peak)
        check_not_negative("decay", self.weight_decay)

    @property
    def peak(self) -> float:
        """Peak learning rate."""
        return RATES[self.optimizer] if self.rate is None else self.rate

    @property
    def weight_decay(self) -> float:
        """Weight decay."""
        return DECAYS[self.optimizer] if self.decay is None else self.decay


def train(
    network_name: str,
    data: Dataset,
    *,
    settings: TrainSettings | None = None,
    progress: Progress = silent,
    resume: Path | None = None,
) -> FloatNetwork:
    """Train a network of the zoo; the best epoch on the validation split is kept.

    The network has an output for each class of the data.

    Parameters
    ----------
    network_name : str
        Name of the network, see `sqhw.frontends.zoo`.
    data : Dataset
    settings : TrainSettings, optional
    progress : callable
    resume : Path, optional
        Checkpoint that the run continues from if it exists, and writes after every epoch.

    Returns
    -------
    FloatNetwork
        Its metadata has the validation accuracy. Same settings, same network.

    Raises
    ------
    SqhwError
        If the network is unknown, the data does not suit it, the loss ceases to be finite, or the
        checkpoint is of another run.
    """
    settings = settings or TrainSettings()
    with torch_threads(settings.threads):
        return _Training(network_name, data, settings, progress).run(resume)


class _Training(Learner):
    """The training of a network of the zoo from random weights."""

    def __init__(
        self, network_name: str, data: Dataset, settings: TrainSettings, progress: Progress
    ) -> None:
        self.zoo: ZooEntry = entry(network_name)
        check_shape(network_name, self.zoo.input_shape, data)
        self.name, self.data, self.settings = network_name, data, settings
        self.subject = f"network {network_name!r}"
        self.images, self.labels = tensors(data.train)
        self.held_images, self.held_labels = tensors(data.validation)
        self.small = len(self.images) <= SMALL_SET
        self.products = products(settings.precision, torch.device("cpu"), small=self.small)
        generator = torch.Generator().manual_seed(settings.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            module: nn.Module = self.zoo.make(data.classes)
        super().__init__(module, len(self.images), generator, progress)
        self.values = (settings.mean or self.zoo.mean, settings.std or self.zoo.std)
        check_input(network_name, self.zoo.input_shape, data.input_max, *self.values)
        self.mean, self.std = (torch.tensor(values).view(1, -1, 1, 1) for values in self.values)

    @property
    def epochs(self) -> int:
        return self.settings.epochs or (40 if self.small else 6)

    def run(self, resume: Path | None) -> FloatNetwork:
        key = ""
        if resume is not None:  # the network before training stands for its seed
            key = fingerprint(self._imported(), self.data, [VERSION, asdict(self.settings)])
        done = run_stages(self, key=key, checkpoint=resume)
        self.model.load_state_dict(done.result)
        facts = {
            "data": self.data.name,
            "seed": str(self.settings.seed),
            "epochs": str(self.epochs),
            "float_validation_accuracy": f"{done.score.accuracy:.6f}",
        }
        network = self._imported()
        return replace(network, metadata=facts | network.metadata)

    def _imported(self) -> FloatNetwork:
        """Return the current module as a float network."""
        return import_module(
            self.model,
            self.zoo.input_shape,
            name=self.name,
            input_max=self.data.input_max,
            mean=self.values[0],
            std=self.values[1],
        )

    def stages(self) -> list[Stage]:
        batch = self.settings.batch or (64 if self.small else 256)
        return [Stage("train", self.epochs, batch, self._rate)]

    def _rate(self, step: int, per_epoch: int) -> float:
        """Return the rate of a step: a linear rise in the first epoch, under a cosine to 0."""
        warm = min(1.0, (step + 1) / per_epoch)
        total = self.epochs * per_epoch
        return self.settings.peak * warm * 0.5 * (1 + math.cos(math.pi * step / total))

    def optimizer(self, stage: int) -> Optimizer:
        parameters, settings = self.model.parameters(), self.settings
        rate, decay = settings.peak, settings.weight_decay
        if settings.optimizer == "sgd":
            return Optimizer(
                torch.optim.SGD(
                    parameters, lr=rate, momentum=MOMENTUM, weight_decay=decay, nesterov=True
                )
            )
        return Optimizer(torch.optim.AdamW(parameters, lr=rate, weight_decay=decay))

    def forward(self, raw: Tensor) -> Tensor:
        """Return the logits of raw pixels."""
        pixels = (channels_last(raw) / self.data.input_max - self.mean) / self.std
        logits: Tensor = self.model(pixels)
        return logits

    def loss(self, stage: int, chosen: Tensor) -> Tensor:
        settings = self.settings
        still = 0.0 if settings.optimizer == "sgd" else STILL
        x = shifted(self.images[chosen], self.zoo.shift, self.generator, still=still)
        if settings.flip:
            x = flipped(x, self.generator)
        with torch.autocast("cpu", torch.bfloat16, self.products == torch.bfloat16):
            logits = self.forward(x).float()
        return functional.cross_entropy(logits, self.labels[chosen], label_smoothing=0.05)

    def score(self, result: dict[str, Tensor]) -> Score:
        logits = predict(self.forward, self.held_images)
        right = float((logits.argmax(1) == self.held_labels).double().mean())
        return Score(0.0, right, -float(functional.cross_entropy(logits, self.held_labels)))

    def detail(self, entry: dict[str, Any]) -> str:
        return f"validation {100 * entry['validation_accuracy']:.2f} %"
