"""Operators that put several tensors together, and those whose slope changes at 0."""

from dataclasses import dataclass

from sqhw.errors import SqhwError
from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.operators import Operator, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Concatenation(Operator):
    """The channels of two or more tensors of one height and width, in their order."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape with all channels."""
        if len({shape[1:] for shape in shapes}) != 1:
            listed = " and ".join(str(shape) for shape in shapes)
            raise SqhwError(f"it joins the channels of maps of different sizes, {listed}")
        return sum(shape[0] for shape in shapes), *shapes[0][1:]


@dataclass(frozen=True, eq=False, kw_only=True)
class Leaky(Operator):
    """Negative values times a slope, others as they are.

    Parameters
    ----------
    slope : Constant, shape (1, 1, 1) or (channels, 1, 1)
    """

    slope: Constant

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The slopes."""
        return (self.slope,)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the input."""
        shape = self.slope.values.shape
        if len(shape) != 3 or shape[0] not in (1, shapes[0][0]) or shape[1:] != (1, 1):
            raise SqhwError(f"its slopes have shape {shape}, its input is {shapes[0]}")
        return shapes[0]
