"""How the joint compressor compresses: its options, from the command line to the loop."""

from dataclasses import dataclass

from sqhw.compress.qat.integers import BIAS_BITS, GAIN_BITS, MOST_GAIN_BITS
from sqhw.compress.training.bounds import check_bias_bits, check_least
from sqhw.compress.training.options import TrainingOptions
from sqhw.errors import SqhwError, unknown_name
from sqhw.names import PRUNING


@dataclass(frozen=True, kw_only=True)
class CompressSettings(TrainingOptions):
    """Options of the joint compressor; see `TrainingOptions` for those of every training.

    Distillation from a network that was trained on shifted images suits no shift best.

    Parameters
    ----------
    epochs : int, 0 or at least 2
        Passes over the training split in both stages together. With 0 they are those of
        `prune_epochs` and `tune_epochs`, or 65, 16 for more than 10,000 images. A twelfth of them
        tunes, or half of them after one-shot pruning.
    prune_epochs, tune_epochs : int, optional
        Passes over the training split with masks that are free, and afterwards on integers.
    rate : float, above 0, at most 1
        Peak learning rate of Adam, relative to the root mean square of the weights a layer
        keeps. It falls to 0 over both stages; tuning begins with a fifth of it at least.
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
    """

    epochs: int = 0
    prune_epochs: int | None = None
    tune_epochs: int | None = None
    rate: float = 5e-3
    distill: float = 0.7
    pruning: str = "auto"
    rounds: int = 40
    ramp: float = 0.5
    bias_bits: int = BIAS_BITS
    gain_bits: int = GAIN_BITS

    def __post_init__(self) -> None:
        if self.pruning not in PRUNING:
            raise unknown_name("pruning", self.pruning, PRUNING)
        check_least("epochs", self.epochs, 0)
        if self.epochs == 1:
            raise SqhwError("epochs of method 'joint' must be 0, for its own, or at least 2, not 1")
        for name in ("prune_epochs", "tune_epochs"):
            value = getattr(self, name)
            if value is not None:
                check_least(name, value, 1)
                if self.epochs:
                    raise SqhwError(
                        f"epochs of method 'joint' are those of both stages, now {self.epochs}; "
                        f"leave out {name!r}, or set epochs to 0"
                    )
        check_least("rounds", self.rounds, 1)
        if not 0 < self.rate <= 1:
            raise SqhwError(
                f"rate must be above 0 and at most 1, not {self.rate}; it is relative to a layer's "
                "weights"
            )
        super().__post_init__()
        check_bias_bits(self.bias_bits)
        if not 0 <= self.gain_bits <= MOST_GAIN_BITS:
            raise SqhwError(f"gain_bits must be 0 to {MOST_GAIN_BITS}, not {self.gain_bits}")
        if not 0 <= self.ramp <= 1:
            raise SqhwError(f"ramp must be 0 to 1, not {self.ramp}")
