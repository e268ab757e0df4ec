"""How a network is compressed."""

from dataclasses import dataclass

from sqhw.compress.qat.integers import BIAS_BITS, GAIN_BITS, MOST_GAIN_BITS
from sqhw.compress.training.bounds import check_bias_bits, check_least, check_positive
from sqhw.errors import SqhwError, unknown_name
from sqhw.names import PRECISIONS, PRUNING
from sqhw.seeds import check_seed

METHODS = ("hardware",)


@dataclass(frozen=True)
class CompressSettings:
    """Settings of the joint compressor.

    Parameters
    ----------
    method : {"hardware"}
        Pruning and bit widths chosen together by the exact ROM cost.
    prune_epochs, tune_epochs : int, optional
        Passes over the training split with masks that are free, and afterwards on integers; by
        default 65 in all, 16 for more than 10,000 images, of which a twelfth tunes, or half of them
        after one-shot pruning.
    batch : int, optional
        Images a step; by default 64, or 256 for more than 10,000 images.
    rate : float, above 0, at most 1
        Peak learning rate of Adam, relative to the root mean square of the weights a layer
        keeps. It falls to 0 over both stages; tuning begins with a fifth of it at least.
    precision : {"float32", "bf16"}
        Of the products in training; evaluation is exact.
    temperature : float
        Of the distillation from the float network.
    distill : float, 0 to 1
        Share of the distillation in the loss, the labels have the rest.
    pruning : {"auto", "gradual", "oneshot"}
        How weights go: gradually, by the Fisher; or at once by the method ``oneshot`` (optimal
        brain surgeon), which then fixes channels, numbers of values and how many weights layers
        have relative to each other, and training only which weights. That ends better where about a
        tenth of the weights stays, worse where next to none do, and its work grows with the cube of
        a row of weights: by default it is taken where that is a minute or two and the budgets are
        of sizes.
    rounds : int
        Times that masks are projected while they are free; on the ramp to more than the budget.
    ramp : float, 0 to 1
        Share of `rounds` after which every layer is down to its number of weights, where weights go
        gradually.
    bias_bits : int, 4 to 16
        Width that biases are rounded to at most.
    gain_bits : int, 0 to 8
        Width of what the multipliers of a layer's channels differ by; with 0 they are the same.
    shift : int
        Pixels that training images are moved by at most. With distillation from a network
        that was trained on shifted images, none is better.
    flip : bool
        Whether half of the training images are mirrored left to right.
    seed : int, 0 to 2^64 - 1
        Fixes order and augmentation.
    threads : int
        Cores to use; see `TrainSettings`.
    """

    method: str = "hardware"
    prune_epochs: int | None = None
    tune_epochs: int | None = None
    batch: int | None = None
    rate: float = 5e-3
    precision: str = "float32"
    temperature: float = 4.0
    distill: float = 0.7
    pruning: str = "auto"
    rounds: int = 40
    ramp: float = 0.5
    bias_bits: int = BIAS_BITS
    gain_bits: int = GAIN_BITS
    shift: int = 0
    flip: bool = False
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("compression method", self.method, METHODS)
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)
        if self.pruning not in PRUNING:
            raise unknown_name("pruning", self.pruning, PRUNING)
        for name in ("prune_epochs", "tune_epochs", "batch", "rounds", "threads"):
            value = getattr(self, name)
            if value is not None:
                check_least(name, value, 1)
        if not 0 < self.rate <= 1:
            raise SqhwError(
                f"rate must be above 0 and at most 1, not {self.rate}; it is relative to a layer's "
                "weights"
            )
        check_positive("temperature", self.temperature)
        check_least("shift", self.shift, 0)
        check_seed(self.seed)
        check_bias_bits(self.bias_bits)
        if not 0 <= self.gain_bits <= MOST_GAIN_BITS:
            raise SqhwError(f"gain_bits must be 0 to {MOST_GAIN_BITS}, not {self.gain_bits}")
        for name in ("distill", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise SqhwError(f"{name} must be 0 to 1, not {getattr(self, name)}")
