"""One scale for the knapsack from the costs on several bases."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sqhw.compress.choice.options import LayerOptions
from sqhw.compress.choice.target import Target

FINE = 1 << 24  # of the scale, where the only basis is not counted in bits
NEAR = 0.02
POWER = 4  # how strongly an excess moves the weights


@dataclass(frozen=True)
class Scale:
    """Costs as weighted shares of their limits.

    Parameters
    ----------
    limits : dict of str to float
        By basis, those of ``blocks`` in bits.
    weights : dict of str to float
        Multiplier of each basis, together 1.
    whole : float
        Cost of a choice that takes all of every limit.
    """

    limits: dict[str, float]
    weights: dict[str, float]
    whole: float

    @classmethod
    def even(cls, target: Target) -> Self:
        """Return the scale on which all budgets of a target count the same."""
        block = max(depth * width for depth, width in target.device.bram.modes)
        limits = {
            basis: limit * (block if basis == "blocks" else 1)
            for basis, limit in target.limits.items()
        }
        bits = len(limits) == 1 and not {"cycles", "energy"} & set(limits)
        whole = next(iter(limits.values())) if bits else float(FINE)
        return cls(limits, dict.fromkeys(limits, 1 / len(limits)), whole)

    def costs(self, table: LayerOptions) -> npt.NDArray[np.float64]:
        """Return the cost of every option of a layer, shape (options,)."""
        total = np.zeros(len(table.distortion))
        for basis, limit in self.limits.items():
            total += self.weights[basis] * self.whole / limit * table.costs(basis)
        return np.round(total)

    @property
    def a_record_bit(self) -> float:
        """Cost of a bit of a channel record, that in cycles and energy aside."""
        return sum(
            self.weights[basis] * self.whole / limit
            for basis, limit in self.limits.items()
            if basis in ("rom", "blocks")
        )

    def towards(self, taken: Mapping[str, float]) -> Self:
        """Return the scale with more weight on budgets of which more is taken.

        Parameters
        ----------
        taken : mapping of str to float
            Share of each limit that a choice takes.
        """
        shares = {basis: weight * taken[basis] ** POWER for basis, weight in self.weights.items()}
        total = sum(shares.values())
        weights = {basis: share / total for basis, share in shares.items()}
        return type(self)(self.limits, weights, self.whole)

    def near(self, other: "Scale") -> bool:
        """Return whether the weights are all but the same."""
        return all(abs(self.weights[basis] - other.weights[basis]) < NEAR for basis in self.weights)
