"""What the tensors of a file are among the maps of a network that is being made."""

from dataclasses import dataclass, replace
from typing import Self

from sqhw.frontends.neutral import Operator
from sqhw.frontends.quantized.held import Held
from sqhw.network.graph import Padding, Shape

NO_PADDING: Padding = (0, 0, 0, 0)


@dataclass(frozen=True)
class View:
    """A tensor of integers as a map shows it.

    Parameters
    ----------
    map : str
        Name of the map.
    shape : tuple of int (channels, height, width)
        Shape of the map.
    held : Held
    padding : tuple of int (top, bottom, left, right)
        Zeros around the map.
    channels_last : bool, optional
        Order of the map's values in a vector; None if the tensor is the map itself.
    """

    map: str
    shape: Shape
    held: Held
    padding: Padding = NO_PADDING
    channels_last: bool | None = None

    def padded(self, padding: Padding) -> Self:
        """Return the view with more zeros around it."""
        top, bottom, left, right = (a + b for a, b in zip(self.padding, padding, strict=True))
        return replace(self, padding=(top, bottom, left, right))


@dataclass(frozen=True)
class Pending:
    """A tensor of real numbers that no map holds yet.

    Parameters
    ----------
    chain : tuple of Operator
        An operator on integers, and those on real numbers after it. Operators on pixels alone, if
        pixels are real numbers.
    channels_last : bool, optional
        Order of the values in a vector, as of `View`.
    skip : tuple of (View, tuple of Operator), optional
        Map that an Add of the chain adds, and operators on it before.
    """

    chain: tuple[Operator, ...]
    channels_last: bool | None = None
    skip: tuple[View, tuple[Operator, ...]] | None = None

    def followed(self, operator: Operator) -> Self:
        """Return the tensor that an operator on real numbers makes of this one."""
        return replace(self, chain=(*self.chain, operator))
