"""Several budgets at once, and the options that meet all of them.

A multiple-choice knapsack with several constraints, solved by Lagrangian relaxation: each layer
takes the option of least worth plus priced costs, the prices follow what is exceeded, and single
layers are then changed for the better by their exact marginal costs. It is near the optimum, and
what it returns meets the budgets exactly; that it finds nothing proves nothing, and the message
says what was found instead.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.budget import Budgets
from sqhw.cost_models.layer_options import ChoiceCost, NetworkTable
from sqhw.errors import SqhwError, unknown_name

#: What can be limited, with its unit.
RESOURCES = {
    "rom": "bit",
    "blocks": "block RAMs",
    "cycles": "cycles a run",
    "energy": "uJ an image",
}
STEPS = 120
#: Of options of equal cost the one with fewer cycles is taken, or that with fewer bits.
TIE = 1e-10

Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Limits:
    """Limits that hold together; None is no limit.

    Parameters
    ----------
    rom : int, optional
        Bits of the ROM images.
    blocks : int, optional
        Block RAMs that they occupy.
    cycles : int, optional
        Of a run.
    energy : float, optional
        Of an image (unit: uJ).
    """

    rom: int | None = None
    blocks: int | None = None
    cycles: int | None = None
    energy: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one or several limits, for example ``blocks=22,cycles=60000``.

        Raises
        ------
        SqhwError
            As `sqhw.cost_models.budget.Budgets.parse`, whose form it is; the bases are those of
            `RESOURCES`.
        """
        items = Budgets.parse(text, tuple(RESOURCES)).items
        whole = {item.basis: int(item.limit) for item in items if item.basis != "energy"}
        return cls(**whole, energy=next((x.limit for x in items if x.basis == "energy"), None))

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield the name and the limit of every resource that has one."""
        for name in RESOURCES:
            limit = getattr(self, name)
            if limit is not None:
                yield name, limit

    def admits(self, cost: ChoiceCost) -> bool:
        """Return whether a choice meets all limits."""
        return all(getattr(cost, name) <= limit for name, limit in self.items())

    def __str__(self) -> str:
        return ",".join(f"{name}={limit}" for name, limit in self.items())


def choose_options(
    table: NetworkTable, limits: Limits, worth: str | Sequence[Numbers] = "rom"
) -> list[int]:
    """Return one option a layer that meets all limits, of little worth.

    Parameters
    ----------
    table : NetworkTable
    limits : Limits
    worth : str, or sequence of ndarray of shape (options,)
        What is to be small: ``rom``, ``cycles`` or ``energy``, or an array a layer, for example the
        expected loss of accuracy.

    Returns
    -------
    list of int
        Index of the option of each layer.

    Raises
    ------
    SqhwError
        If no options were found that meet the limits; the message has the least of each resource,
        or, if each limit could be met alone, the least with the others held.
    """
    if isinstance(worth, str):
        others = _costs(table, "rom" if worth == "cycles" else "cycles")
        parts = zip(_costs(table, worth), others, strict=True)
        worths = [part + TIE * other for part, other in parts]
    else:
        worths = list(worth)
    chosen = _search(table, limits, worths)
    for name, _ in limits.items():
        if chosen is None:  # the least of one resource within the other limits may do
            least = _search(table, replace(limits, **{name: None}), _costs(table, name))
            if least is not None and limits.admits(table.cost(least)):
                chosen = _improve(table, limits, worths, least)
    if chosen is None:
        raise SqhwError(_refusal(table, limits))
    return chosen


def least_cost(table: NetworkTable, resource: str, limits: Limits | None = None) -> float | None:
    """Return the least of a resource that was found within limits, or None if nothing was.

    Without limits it is the least there is; of blocks, that of the options with the fewest words.

    Parameters
    ----------
    table : NetworkTable
    resource : {"rom", "blocks", "cycles", "energy"}
    limits : Limits, optional
        On other resources.
    """
    chosen = _search(table, limits or Limits(), _costs(table, resource))
    return None if chosen is None else float(getattr(table.cost(chosen), resource))


def _search(table: NetworkTable, limits: Limits, worths: list[Numbers]) -> list[int] | None:
    names = [name for name, _ in limits.items()]
    bounds = np.array([limit for _, limit in limits.items()])
    best = _cheapest(worths)
    if not names or limits.admits(table.cost(best)):
        return best
    # A tight limit is met by what it limits alone, and prices never quite get there.
    ends = [_cheapest(_costs(table, name)) for name in names]
    good = [chosen for chosen in ends if limits.admits(table.cost(chosen))]
    # Relative costs: blocks are priced as the words that they are made of.
    costs = [
        np.stack([_costs(table, name)[i] for name in names]) / _scale(table, names, bounds)
        for i in range(len(worths))
    ]
    spread = sum(float(part.max() - part.min()) for part in worths) or 1.0
    prices = np.zeros(len(names))
    for step in range(STEPS):
        chosen = [
            int(np.argmin(part / spread + prices @ cost))
            for part, cost in zip(worths, costs, strict=True)
        ]
        cost = table.cost(chosen)
        used = np.array([getattr(cost, name) for name in names]) / bounds
        if np.all(used <= 1):
            good.append(chosen)
        prices = np.maximum(0, prices * np.exp(np.clip(used - 1, -1, 1)) + (used - 1) / (step + 2))
    if not good:
        return None
    return _improve(table, limits, worths, min(good, key=lambda chosen: _sum(worths, chosen)))


def _cheapest(costs: list[Numbers]) -> list[int]:
    return [int(np.argmin(part)) for part in costs]


def _improve(
    table: NetworkTable, limits: Limits, worths: list[Numbers], chosen: list[int]
) -> list[int]:
    """Change single layers for the better as long as all limits hold."""
    changed = True
    while changed:
        changed = False
        for layer, part in enumerate(worths):
            tried = table.marginal(chosen, layer)
            allowed = np.all([tried[name] <= limit for name, limit in limits.items()], axis=0)
            at = int(np.argmin(np.where(allowed, part, math.inf)))
            if allowed[at] and part[at] < part[chosen[layer]]:
                chosen[layer], changed = at, True
    return chosen


def _costs(table: NetworkTable, name: str) -> list[Numbers]:
    """Return a resource by layer and option; blocks as the bits that they hold."""
    layers = range(len(table.layers))
    if name in ("rom", "blocks"):
        return [table.words_of(layer).T @ table.widths for layer in layers]
    if name == "cycles":
        return [layer.cycles for layer in table.layers]
    if name == "energy":
        return [layer.energy_pj * 1e-6 / table.batch for layer in table.layers]
    raise unknown_name("cost", name, RESOURCES)


def _scale(table: NetworkTable, names: list[str], bounds: Numbers) -> Numbers:
    """Return the unit in which each resource is priced, shape (resources, 1)."""
    bits = table.device.bram.bits
    blocks = np.array([bits if name == "blocks" else 1 for name in names])
    scale: Numbers = (bounds * blocks)[:, None]
    return scale


def _sum(worths: list[Numbers], chosen: list[int]) -> float:
    return sum(float(part[at]) for part, at in zip(worths, chosen, strict=True))


def _refusal(table: NetworkTable, limits: Limits) -> str:
    """Return why nothing meets the limits: one of them alone, or all together."""
    least = {name: least_cost(table, name) for name, _ in limits.items()}
    alone = [
        f"{name}={_amount(name, least[name])}"
        for name, limit in limits.items()
        if (least[name] or 0) > limit
    ]
    if alone:
        return f"budget {limits} is too small: the least feasible is {' and '.join(alone)}"
    found = []
    for name, _ in limits.items():
        rest = replace(limits, **{name: None})
        value = least_cost(table, name, rest)
        if value is not None:
            found.append(f"within {rest} the least found is {name}={_amount(name, value)}")
    return f"budget {limits} contradicts itself, though each limit alone can be met: " + (
        "; ".join(found) or "no two of them together"
    )


def _amount(name: str, value: float | None) -> str:
    """Return a least amount, rounded up so that it does as a limit."""
    if name == "energy":
        return f"{math.ceil((value or 0) * 1e3) / 1e3:g}"
    return str(math.ceil((value or 0) - 1e-9))
