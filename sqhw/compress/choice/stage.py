"""Tables of all layers for one set of stored channels, and a choice among their options."""

from dataclasses import dataclass, field

from sqhw.arrays import Mask
from sqhw.compress.choice.options import LayerOptions
from sqhw.cost_models.knapsack import Option


@dataclass(frozen=True, eq=False)
class Stage:
    """Tables of all layers for one set of stored output channels.

    Parameters
    ----------
    rows : list of ndarray of bool, shape (out_channels,)
        Output channels of each layer that are stored.
    tables : list of LayerOptions
        Table of each layer.
    hulls : list of list of Option
        Useful options of each layer, from the cheapest to the most exact.
    """

    rows: list[Mask]
    tables: list[LayerOptions]
    hulls: list[list[Option]]

    @property
    def least_bits(self) -> int:
        """Cost of the cheapest options (unit: bit, or that of the scale of several budgets)."""
        return sum(layer[0].bits for layer in self.hulls)


@dataclass(frozen=True, eq=False)
class Choice:
    """One option for each layer of a stage.

    Parameters
    ----------
    stage : Stage
    chosen : list of Option
        Option of each layer.
    masks : list of ndarray of bool
        Weights that each layer keeps.
    distortion : float
        Expected loss (no unit).
    budget : int
        Budget of the knapsack that chose the options.
    costs : dict of str to float
        Exact cost on each basis of the budget; empty until it is computed.
    """

    stage: Stage
    chosen: list[Option]
    masks: list[Mask]
    distortion: float
    budget: int
    costs: dict[str, float] = field(default_factory=dict)
