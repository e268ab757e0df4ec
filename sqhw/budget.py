"""Budgets: what a compressed network may take, on one basis or on several at once."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from sqhw.errors import SqhwError, unknown_name

#: Sizes of a network.
BASES = ("payload", "stream", "rom", "blocks")
#: What a budget can limit.
LIMITS = (*BASES, "cycles", "energy")
#: Each contains the one before.
_NESTED = ("payload", "stream", "rom")


@dataclass(frozen=True)
class Budget:
    """A limit on a compressed network.

    Parameters
    ----------
    basis : str
        ``payload``, ``stream`` or ``rom`` (unit: bit), ``blocks`` (unit: block RAM primitive),
        ``cycles`` of an image's run, or ``energy`` of an image (unit: uJ, estimated).
    limit : int, or float for ``energy``
        At least 1; an energy is above 0.

    Raises
    ------
    SqhwError
        If the basis is unknown or the limit too small.
    """

    basis: str
    limit: float

    def __post_init__(self) -> None:
        if self.basis not in LIMITS:
            raise unknown_name("budget basis", self.basis, LIMITS)
        if self.basis == "energy":
            if not self.limit > 0:
                raise SqhwError(f"budget energy must be above 0, not {self.limit}")
        elif self.limit < 1:
            raise SqhwError(f"budget {self.basis} must be at least 1, not {self.limit}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``basis=limit``, for example ``blocks=22`` or ``rom=48000`` (unit: bit).

        Raises
        ------
        SqhwError
            If the text has another form.
        """
        match = re.fullmatch(r"\s*([a-z]+)\s*=\s*(-?\d+(?:\.\d+)?)\s*", text)
        if not match or ("." in match[2] and match[1] != "energy"):
            raise SqhwError(
                f"budget {text!r} must read basis=limit with a whole number, "
                f"for example blocks=22; bases: {', '.join(LIMITS)}"
            )
        return cls(match[1], float(match[2]) if match[1] == "energy" else int(match[2]))

    def __str__(self) -> str:
        return f"{self.basis}={self.limit if self.basis == 'energy' else int(self.limit)}"


@dataclass(frozen=True)
class Budgets:
    """Limits that hold together.

    Parameters
    ----------
    items : tuple of Budget
        One or more, each on a basis of its own.

    Raises
    ------
    SqhwError
        If there is none, a basis is limited twice, or one limit makes another meaningless.
    """

    items: tuple[Budget, ...]

    def __post_init__(self) -> None:
        if not self.items:
            raise SqhwError("a budget must limit something, for example rom=48000")
        found: dict[str, Budget] = {}
        for item in self.items:
            if item.basis in found:
                raise SqhwError(
                    f"budget {str(self)!r} limits {item.basis} twice, {found[item.basis]} and "
                    f"{item}; state one"
                )
            found[item.basis] = item
        sizes = [found[basis] for basis in _NESTED if basis in found]
        for part, whole in pairwise(sizes):
            if part.limit > whole.limit:
                raise SqhwError(
                    f"budget {str(self)!r} contradicts itself: {part} exceeds {whole}, which "
                    f"contains the {part.basis}; leave out one or lower {part.basis}"
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one or several budgets, for example ``rom=345000,cycles=900000,energy=50``.

        Raises
        ------
        SqhwError
            If the text has another form or the budgets contradict each other.
        """
        parts = text.split(",")
        if not all(part.strip() for part in parts):
            raise SqhwError(
                f"budget {text!r} has an empty part; it must read basis=limit, or several of them "
                "with commas between, for example rom=345000,cycles=900000"
            )
        return cls(tuple(Budget.parse(part) for part in parts))

    @classmethod
    def of(cls, budget: "Budget | Budgets") -> "Budgets":
        """Return one budget, or several, as several."""
        return budget if isinstance(budget, Budgets) else Budgets((budget,))

    def __str__(self) -> str:
        return ",".join(str(item) for item in self.items)
