"""How a method trains: the options that every training has, each checked in one place."""

from dataclasses import dataclass

from sqhw.compress.training.bounds import check_least, check_not_negative, check_positive
from sqhw.errors import SqhwError, unknown_name
from sqhw.names import OPTIMIZERS, PRECISIONS
from sqhw.seeds import check_seed


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options that the training of every method has.

    Parameters
    ----------
    batch : int, optional
        Images a step; by default 64, or 256 for more than 10,000 images.
    rate : float
        Peak learning rate; a cosine takes it to 0 over all steps.
    distill : float, 0 to 1
        Share of the knowledge distillation from the network before compression (Hinton et al.,
        2015) in the loss, the labels have the rest.
    temperature : float
        Temperature of the distillation; its loss is multiplied by the square.
    shift : int
        Pixels that training images are moved by at most.
    flip : bool
        Whether half of the training images are mirrored left to right.
    precision : {"auto", "float32", "bf16"}
        Number format of the products in training, see `products`; evaluation is in float32.
    seed : int, 0 to 2^64 - 1
        Fixes order and augmentation.
    threads : int
        Cores to use; with another number, other last digits.
    """

    batch: int | None = None
    rate: float = 1e-3
    distill: float = 0.0
    temperature: float = 4.0
    shift: int = 0
    flip: bool = False
    precision: str = "auto"
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)
        check_least("shift", self.shift, 0)
        check_seed(self.seed)
        check_least("threads", self.threads, 1)
        if self.batch is not None:
            check_least("batch", self.batch, 1)
        if not 0 <= self.distill <= 1:
            raise SqhwError(f"distill must be 0 to 1, not {self.distill}")
        for name in ("rate", "temperature"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Recipe(TrainingOptions):
    """Options of a stage that trains weights by a usual optimizer; see `TrainingOptions`.

    Parameters
    ----------
    epochs : int
        Passes over the training split; 0 leaves the stage out.
    batch : int
        Images a step.
    optimizer : {"sgd", "adam"}
    momentum : float, 0 to below 1
        Momentum of SGD; the first moment of Adam.
    decay : float
        Weight decay, added to the gradients of weights, not of biases.
    warmup : int
        Epochs of a linear rise before the cosine.
    """

    epochs: int = 10
    batch: int = 256
    optimizer: str = "adam"
    momentum: float = 0.9
    decay: float = 0.0
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS)
        super().__post_init__()
        for name in ("epochs", "warmup"):
            check_least(name, getattr(self, name), 0)
        if not 0 <= self.momentum < 1:
            raise SqhwError(f"momentum must be 0 to below 1, not {self.momentum}")
        check_not_negative("decay", self.decay)
