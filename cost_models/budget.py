"""Budgets: limits of a compressed network, on one basis or on several at once."""

import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Self

from sqhw.errors import SqhwError, shown, unknown_name

#: Sizes of a network.
BASES = ("payload", "stream", "rom", "blocks")
#: Bases that a budget can limit.
LIMITS = (*BASES, "cycles", "energy")
#: Bases, each of which contains the one before it.
_NESTED = ("payload", "stream", "rom")
#: Largest limit, above any meaningful one; a float still holds it exactly.
MAX_LIMIT = 10**15
#: Form of one budget: a basis, and the digits of its limit before and after the decimal point.
ITEM = re.compile(r"\s*([a-z]+)\s*=\s*(-?[0-9]+)(\.[0-9]+)?\s*")


@dataclass(frozen=True)
class Budget:
    """A limit on a compressed network.

    Parameters
    ----------
    basis : str
        ``payload``, ``stream`` or ``rom`` (unit: bit), ``blocks`` (unit: block RAM primitive),
        ``cycles`` of an image's run, or ``energy`` of an image (unit: uJ, estimated).
    limit : int, or float for ``energy``
        1 to 10^15; an energy is above 0.

    Raises
    ------
    SqhwError
        If the basis is unknown or the limit out of range.
    """

    basis: str
    limit: float

    def __post_init__(self) -> None:
        if self.basis not in LIMITS:
            raise unknown_name("budget basis", self.basis, LIMITS)
        if self.basis == "energy":
            if not self.limit > 0:
                raise SqhwError(f"budget energy must be above 0, not {self.limit}")
        elif not self.limit >= 1:
            raise SqhwError(f"budget {self.basis} must be at least 1, not {self.limit}")
        if self.limit > MAX_LIMIT:
            raise SqhwError(f"budget {self.basis} must be at most {MAX_LIMIT}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``basis=limit``, for example ``blocks=22`` or ``rom=48000`` (unit: bit).

        Parameters
        ----------
        text : str
            The limit in decimal digits, of ``energy`` also with a decimal point.

        Raises
        ------
        SqhwError
            If the text has another form, or the basis is unknown or the limit out of range.
        """
        match = ITEM.fullmatch(text)
        if not match:
            raise SqhwError(
                f"budget {shown(text)} must read basis=limit with a whole number, "
                f"for example blocks=22; bases: {', '.join(LIMITS)}"
            )
        basis, whole, fraction = match.groups()
        if basis not in LIMITS:
            raise unknown_name("budget basis", basis, LIMITS)
        if fraction and basis != "energy":
            raise SqhwError(f"budget {basis} must be a whole number, not {whole}{fraction}")
        if len(whole.lstrip("-0")) > len(str(MAX_LIMIT)):
            raise SqhwError(f"budget {basis} has too many digits; it must be at most {MAX_LIMIT}")
        return cls(basis, float(whole + (fraction or "")) if basis == "energy" else int(whole))

    def __str__(self) -> str:
        if self.basis == "energy":  # never with an exponent, which is not parsed
            return f"{self.basis}={Decimal(repr(float(self.limit))):f}"
        return f"{self.basis}={int(self.limit)}"


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
                    f"budget {shown(str(self))} limits {item.basis} twice, "
                    f"{found[item.basis]} and {item}; state one"
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

        Parameters
        ----------
        text : str

        Raises
        ------
        SqhwError
            If the text has another form or the budgets contradict each other.
        """
        parts = text.split(",")
        if not all(part.strip() for part in parts):
            raise SqhwError(
                f"budget {shown(text)} has an empty part; it must read basis=limit, "
                "or several of them with commas between, for example rom=345000,cycles=900000"
            )
        return cls(tuple(Budget.parse(part) for part in parts))

    @classmethod
    def of(cls, budget: "Budget | Budgets") -> "Budgets":
        """Return one budget, or several, as several."""
        return budget if isinstance(budget, Budgets) else Budgets((budget,))

    @property
    def limits(self) -> dict[str, float]:
        """Limit by basis."""
        return {item.basis: item.limit for item in self.items}

    def without(self, basis: str) -> "Budgets | None":
        """Return the budgets on other bases, or None if there are none."""
        items = tuple(item for item in self.items if item.basis != basis)
        return Budgets(items) if items else None

    def at(self, basis: str, limit: float) -> "Budgets":
        """Return the budgets with another limit on a basis."""
        return Budgets(tuple(Budget(basis, limit) if x.basis == basis else x for x in self.items))

    def __str__(self) -> str:
        return ",".join(str(item) for item in self.items)
