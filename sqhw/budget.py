"""Budgets: one size basis and a limit."""

import re
from dataclasses import dataclass
from typing import Self

from sqhw.errors import SqhwError, unknown_name

BASES = ("payload", "stream", "rom", "blocks")


@dataclass(frozen=True)
class Budget:
    """A limit on the size of a compressed network.

    Parameters
    ----------
    basis : str
        ``payload``, ``stream`` or ``rom`` (unit: bit), or ``blocks`` (unit: block RAM primitive).
    limit : int
        At least 1.

    Raises
    ------
    SqhwError
        If the basis is unknown or the limit below 1.
    """

    basis: str
    limit: int

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            raise unknown_name("budget basis", self.basis, BASES)
        if self.limit < 1:
            raise SqhwError(f"budget {self.basis} must be at least 1, not {self.limit}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``basis=limit``, for example ``blocks=22`` or ``rom=48000`` (unit: bit).

        Raises
        ------
        SqhwError
            If the text has another form.
        """
        match = re.fullmatch(r"\s*([a-z]+)\s*=\s*(-?\d+)\s*", text)
        if not match:
            raise SqhwError(
                f"budget {text!r} must read basis=limit with a whole number, "
                f"for example blocks=22; bases: {', '.join(BASES)}"
            )
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.basis}={self.limit}"
