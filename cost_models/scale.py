"""One scale for the knapsack from the costs on several bases."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

#: Cost of all of every limit on a scale that is not counted in bits.
FINE = 1 << 24
#: Difference of weights below which two scales are the same.
NEAR = 0.02
#: Power with which an excess moves the weights.
POWER = 4


@dataclass(frozen=True)
class Scale:
    """Costs as weighted shares of their limits.

    Parameters
    ----------
    limits : dict of str to float
        Limit by basis, that of ``blocks`` in bits.
    weights : dict of str to float
        Multiplier of each basis; their sum is 1.
    whole : float
        Cost of a choice that takes all of every limit.
    """

    limits: dict[str, float]
    weights: dict[str, float]
    whole: float

    @classmethod
    def even(cls, limits: Mapping[str, float], block_bits: int) -> Self:
        """Return the scale on which all limits count the same.

        Parameters
        ----------
        limits : mapping of str to float
            Limit by basis.
        block_bits : int
            Bits that a block RAM holds.
        """
        own = {
            basis: limit * (block_bits if basis == "blocks" else 1)
            for basis, limit in limits.items()
        }
        bits = len(own) == 1 and not {"cycles", "energy"} & set(own)
        whole = next(iter(own.values())) if bits else float(FINE)
        return cls(own, dict.fromkeys(own, 1 / len(own)), whole)

    def costs(self, on: Callable[[str], npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Return the cost of every option of a layer, shape (options,).

        Parameters
        ----------
        on : callable
            Function that returns the costs of the options on a basis; those on ``blocks`` are bits.
        """
        parts = [
            self.weights[basis] * self.whole / limit * on(basis)
            for basis, limit in self.limits.items()
        ]
        total: npt.NDArray[np.float64] = np.round(np.sum(parts, axis=0))
        return total

    @property
    def a_record_bit(self) -> float:
        """Cost of a bit of a channel record, that in cycles and energy aside."""
        return sum(
            self.weights[basis] * self.whole / limit
            for basis, limit in self.limits.items()
            if basis in ("rom", "blocks")
        )

    def towards(self, taken: Mapping[str, float], power: float = POWER) -> Self:
        """Return the scale with more weight on budgets that are taken to a larger share.

        Parameters
        ----------
        taken : mapping of str to float
            Share of each limit that a choice takes.
        power : float
            Power of the shares, which sets the change of the weights.
        """
        shares = {basis: weight * taken[basis] ** power for basis, weight in self.weights.items()}
        total = sum(shares.values())
        weights = {basis: share / total for basis, share in shares.items()}
        return type(self)(self.limits, weights, self.whole)

    def near(self, other: "Scale") -> bool:
        """Return whether the weights are nearly the same."""
        return all(abs(self.weights[basis] - other.weights[basis]) < NEAR for basis in self.weights)
