"""The constants of a layer's arithmetic on integers."""

from dataclasses import dataclass

from sqhw.machine.number import ActivationFormat
from sqhw.network.activations import TABLE_INDEX


@dataclass
class IntegerPlan:
    """The constants of a layer on integers.

    Parameters
    ----------
    source, output : ActivationFormat
        Formats of input and output.
    in_scale, weight_scale, output_scale : float
        Real values of one unit.
    top : int
        Largest magnitude of an integer weight.
    multiplier : float
        Requantization multiplier of all channels, a whole number. With gains (`QatConv`) it is
        that of a channel of gain 1.
    shift : int
        Requantization shift of all channels.
    top_multiplier : int
        Largest multiplier of a channel with a gain; 0 until it is fixed.
    bias_shift, bias_bits : int
        Biases are multiples of ``2**bias_shift`` that fit `bias_bits` bits without the shift.
    skip : ActivationFormat, optional
        Format of the tensor that the residual adds.
    skip_weight : int, 1 to 127
        Accumulator units of one unit of that tensor.
    table : tuple of int
        Table of the activation function; empty if there is none.
    index_scale : float
        Real value of one unit of the table's index.
    """

    source: ActivationFormat
    output: ActivationFormat
    in_scale: float
    weight_scale: float
    top: int
    output_scale: float = 1.0
    multiplier: float = 1
    shift: int = 0
    top_multiplier: int = 0
    bias_shift: int = 0
    bias_bits: int = 32
    skip: ActivationFormat | None = None
    skip_weight: int = 1
    table: tuple[int, ...] = ()
    index_scale: float = 1.0

    @property
    def sum_scale(self) -> float:
        """Real value of one unit of the requantized sums."""
        return self.index_scale if self.table else self.output_scale

    @property
    def clamped(self) -> ActivationFormat:
        """Format to which sums are requantized: that of the output, or of the table's index."""
        return TABLE_INDEX if self.table else self.output
