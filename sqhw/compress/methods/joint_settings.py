"""How the joint compressor compresses: its options, from the command line to the loop."""

from dataclasses import dataclass

from sqhw.compress.qat.integers import BIAS_BITS, GAIN_BITS, MOST_GAIN_BITS
from sqhw.compress.training.bounds import check_bias_bits, check_least
from sqhw.compress.training.options import TrainingOptions
from sqhw.errors import SqhwError


@dataclass(frozen=True, kw_only=True)
class CompressSettings(TrainingOptions):
    """Options of the joint compressor; see `TrainingOptions` for those of every training.

    Distillation from a network that was trained on shifted images suits no shift best.

    Parameters
    ----------
    epochs : int, 2 or more, optional
        Passes over the training split; by default 65, or 16 for more than 10,000 images. In the
        last eighth of them the network is on integers, in the others its masks are free.
    rate : float, above 0, at most 1
        Peak learning rate of Adam, relative to the root mean square of the weights a layer
        keeps; see `sqhw.compress.methods.joint_schedule`.
    rounds : int
        Times that numbers of weights are fitted to the exact cost of the masks while these are
        free.
    normalise : bool
        Whether the sums of hidden layers are normalised by their batches while masks are free.
        Without it free masks may diverge; it is for comparisons.
    bias_bits : int, 4 to 16
        Width that biases are rounded to at most.
    gain_bits : int, 0 to 8
        Width of the differences of the multipliers of a layer's channels; with 0 they are equal.
    """

    epochs: int | None = None
    rate: float = 5e-3
    distill: float = 0.7
    rounds: int = 40
    normalise: bool = True
    bias_bits: int = BIAS_BITS
    gain_bits: int = GAIN_BITS

    def __post_init__(self) -> None:
        if self.epochs is not None:
            check_least("epochs", self.epochs, 2)
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
