"""The functions of the machine code: which there are, and the shape of their vectors."""

from itertools import product
from typing import NamedTuple

from sqhw.sim.plan_layout import BLOCK_FIELDS

#: Operations: sums of products, the maximum, and the entries of a table.
SUM, MAXIMUM, LOOKUP = range(3)
#: Largest number of segments of a block: each needs a register for its address.
MAX_SEGMENTS = 8
#: Size of the offsets of a segment (unit: byte).
SEGMENT_BYTES = 8 * len(BLOCK_FIELDS)
#: Numbers of neighbouring columns in a segment of a block.
COLUMNS = (8, 4, 2, 1)
STRIDES = (1, 2)


class Shape(NamedTuple):
    """Shape of vectors.

    Parameters
    ----------
    lanes : int
        Images of a vector.
    width : int
        Lanes of the instruction that multiplies pairs, 0 if the target has none.
    vectors : int
        Largest number of accumulator vectors of a block. Half of the target's registers: an
        instruction with a latency of five cycles, two of which begin in each, wants ten or more.
    """

    lanes: int
    width: int
    vectors: int = 8


def shape_of(features: set[str]) -> Shape:
    """Return the shape of vectors that suits a target.

    Parameters
    ----------
    features : set of str
        LLVM's names of the features that the target has.
    """
    if "avx512bw" in features:
        return Shape(16, 16, 16)
    if "avx2" in features:
        return Shape(8, 8)
    return Shape(8, 4 if "sse2" in features else 0)


class Variant(NamedTuple):
    """The constants of one function."""

    operation: int
    stride: int
    columns: int
    vectors: int = 8

    @property
    def segments(self) -> int:
        """Number of segments of a block."""
        return self.vectors // self.columns

    @property
    def symbol(self) -> str:
        """Name of the function in the machine code."""
        return f"sqhw_layer_{self.operation}_{self.stride}_{self.columns}"


def variants_of(shape: Shape) -> tuple[Variant, ...]:
    """Return the functions for a shape of vectors."""
    kinds = [*product((SUM, MAXIMUM), STRIDES, COLUMNS), *product((LOOKUP,), (1,), COLUMNS)]
    return tuple(
        Variant(operation, stride, columns, min(shape.vectors, MAX_SEGMENTS * columns))
        for operation, stride, columns in kinds
    )
