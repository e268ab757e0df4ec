"""Training a network of the zoo from scratch."""

import copy
import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from sqhw.compress.training.bounds import check_least, check_not_negative, check_positive
from sqhw.compress.training.samples import (
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
from sqhw.data import Dataset
from sqhw.frontends.torch_module import import_module
from sqhw.frontends.torch_module.float_module import predict
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.frontends.zoo.catalogue import entry
from sqhw.network.floats import FloatNetwork
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
        If the network is unknown or the data does not suit it.
    """
    settings = settings or TrainSettings()
    with torch_threads(settings.threads):
        return _train(network_name, data, settings, progress)


def _train(
    network_name: str, data: Dataset, settings: TrainSettings, progress: Progress
) -> FloatNetwork:
    zoo = entry(network_name)
    check_shape(network_name, zoo.input_shape, zoo.outputs, data)
    images, labels = tensors(data.train)
    held_images, held_labels = tensors(data.validation)
    small = len(images) <= SMALL_SET
    epochs = settings.epochs or (40 if small else 6)
    size = settings.batch or (64 if small else 256)
    generator = torch.Generator().manual_seed(settings.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        module = zoo.make()

    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (zoo.mean, zoo.std))

    def forward(raw: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = module((channels_last(raw) / data.input_max - mean) / std)
        return logits

    optimizer = torch.optim.AdamW(
        module.parameters(), lr=settings.rate, weight_decay=settings.decay
    )
    per_epoch = math.ceil(len(images) / size)
    total = epochs * per_epoch
    best = (-1.0, -math.inf)
    kept = copy.deepcopy(module.state_dict())
    step = 0
    for epoch in range(epochs):
        module.train()
        for chosen in batches(len(images), size, generator):
            warm = min(1.0, (step + 1) / per_epoch)
            rate = settings.rate * warm * 0.5 * (1 + math.cos(math.pi * step / total))
            for group in optimizer.param_groups:
                group["lr"] = rate
            x = shifted(images[chosen], zoo.shift, generator)
            if settings.flip:
                x = flipped(x, generator)
            loss = functional.cross_entropy(forward(x), labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        module.eval()
        logits = predict(forward, held_images)
        right = float((logits.argmax(1) == held_labels).double().mean())
        score = (right, -float(functional.cross_entropy(logits, held_labels)))
        if score > best:
            best, kept = score, copy.deepcopy(module.state_dict())
        progress("train", epoch + 1, epochs, f"validation {100 * right:.2f} %")
    module.load_state_dict(kept)
    return import_module(
        module,
        zoo.input_shape,
        name=network_name,
        input_max=data.input_max,
        mean=zoo.mean,
        std=zoo.std,
        metadata={
            "data": data.name,
            "seed": str(settings.seed),
            "epochs": str(epochs),
            "float_validation_accuracy": f"{best[0]:.6f}",
        },
    )
