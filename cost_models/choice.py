"""Several budgets at once, and the options of all layers that meet them.

The budgets become one by a scale of weighted shares; on it the knapsack of
`sqhw.cost_models.knapsack` chooses one option a layer, for the largest budget that the exact costs
admit. Then the limits that are exceeded, or nearly so, get more weight in the scale, and the choice
is made again. In the end single layers are improved by their exact marginal costs. The result meets
the budgets exactly. A search without a result is no proof that none exists; its message has the
nearest costs found.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from sqhw.arrays import Numbers
from sqhw.cost_models.budget import Budget, Budgets
from sqhw.cost_models.knapsack import Option, front, hull, richest
from sqhw.cost_models.network_options import NetworkTable
from sqhw.cost_models.scale import POWER, Scale
from sqhw.errors import SqhwError

#: Number of scales that are tried under several budgets.
SCALE_STEPS = 16
#: Share of the budgets that a search may leave unused.
CLOSE = 1e-3
#: Weight of the second cost, so that the cheaper of options with equal objectives is taken.
TIE = 1e-10

Limits = Mapping[str, float]


def choose_options(
    table: NetworkTable,
    budgets: Budgets | None = None,
    *,
    objective: str | Sequence[Numbers] = "rom",
) -> list[int]:
    """Return one option a layer that meets all budgets, of a small objective.

    Parameters
    ----------
    table : NetworkTable
    budgets : Budgets, optional
    objective : str, or sequence of ndarray of shape (options,)
        Objective to minimise: a basis of budgets, or an array a layer, for example the expected
        loss of accuracy.

    Returns
    -------
    list of int
        Index of the option of each layer.

    Raises
    ------
    SqhwError
        If no options were found that meet the budgets. The message has the least cost on each
        basis or, if each limit could be met alone, the least within the others.
    """
    limits = {} if budgets is None else budgets.limits
    if isinstance(objective, str):
        others = _costs(table, "rom" if objective == "cycles" else "cycles")
        parts = zip(_costs(table, objective), others, strict=True)
        wanted = [part + TIE * other for part, other in parts]
    else:
        wanted = list(objective)
    chosen = _search(table, limits, wanted)
    for basis in limits:
        if chosen is None:  # the least on one basis within the other limits may do
            least = _search(table, _without(limits, basis), _costs(table, basis))
            if least is not None and _excess(table, limits, least) <= 1:
                chosen = _improve(table, limits, wanted, least)
    if chosen is None:
        assert budgets is not None
        raise SqhwError(_refusal(table, budgets))
    return chosen


def least_cost(table: NetworkTable, basis: str, budgets: Budgets | None = None) -> float | None:
    """Return the least cost on a basis found within budgets, or None if there is none.

    Without budgets it is the least of all. For blocks it is that of the options with the fewest
    words.

    Parameters
    ----------
    table : NetworkTable
    basis : str
    budgets : Budgets, optional
        Budgets on other bases.
    """
    limits = {} if budgets is None else budgets.limits
    chosen = _search(table, limits, _costs(table, basis))
    return None if chosen is None else float(getattr(table.cost(chosen), basis))


def _search(table: NetworkTable, limits: Limits, objective: list[Numbers]) -> list[int] | None:
    best = _cheapest(objective)
    if not limits or _excess(table, limits, best) <= 1:
        return best
    # A tight limit may be met by its own basis alone, which mixtures never quite reach.
    ends = [_cheapest(_costs(table, basis)) for basis in limits]
    good = [chosen for chosen in ends if _excess(table, limits, chosen) <= 1]
    scale = Scale.even(limits, table.device.bram.bits)
    for step in range(SCALE_STEPS if len(limits) > 1 else 1):
        found, relaxed = _within(table, limits, objective, scale)
        if found is not None:
            good.append(found)
        heavier = scale.towards(_shares(table, limits, relaxed), POWER / (1 + step) ** 0.5)
        if heavier.near(scale):
            break
        scale = heavier
    if not good:
        return None
    better = [_improve(table, limits, objective, chosen) for chosen in good]
    return min(better, key=lambda chosen: _sum(objective, chosen))


def _within(
    table: NetworkTable, limits: Limits, objective: list[Numbers], scale: Scale
) -> tuple[list[int] | None, list[int]]:
    """Return the best choice found on a scale whose exact costs meet the limits, and a bound.

    The bound is the best choice under the limit of the scale alone. The limits that it exceeds need
    more weight.
    """
    hulls = [
        hull([Option(int(costs[at]), float(part[at]), index=int(at)) for at in front(costs, part)])
        for costs, part in zip(_scaled(table, scale), objective, strict=True)
    ]

    tried: list[list[int]] = []

    def take(options: list[Option], bits: int) -> tuple[float, list[int]]:
        tried.append([option.index for option in options])
        return _filled(table, limits, tried[-1]), tried[-1]

    found = richest(hulls, scale.whole, take, CLOSE)
    return found, tried[0]


def _improve(
    table: NetworkTable, limits: Limits, objective: list[Numbers], chosen: list[int]
) -> list[int]:
    """Improve single layers as long as all limits hold."""
    chosen, changed = list(chosen), True
    while changed:
        changed = False
        for layer, part in enumerate(objective):
            tried = table.marginal(chosen, layer)
            allowed = np.all([tried[basis] <= limit for basis, limit in limits.items()], axis=0)
            at = int(np.argmin(np.where(allowed, part, math.inf)))
            if allowed[at] and part[at] < part[chosen[layer]]:
                chosen[layer], changed = at, True
    return chosen


def _cheapest(costs: list[Numbers]) -> list[int]:
    return [int(np.argmin(part)) for part in costs]


def _costs(table: NetworkTable, basis: str) -> list[Numbers]:
    return [table.costs(layer, basis) for layer in range(len(table.layers))]


def _scaled(table: NetworkTable, scale: Scale) -> list[Numbers]:
    """Return the cost of every option of each layer on a scale."""
    return [scale.costs(partial(table.costs, layer)) for layer in range(len(table.layers))]


def _shares(table: NetworkTable, limits: Limits, chosen: list[int]) -> dict[str, float]:
    """Return the share of each limit that a choice takes."""
    cost = table.cost(chosen)
    return {basis: getattr(cost, basis) / limit for basis, limit in limits.items()}


def _filled(table: NetworkTable, limits: Limits, chosen: list[int]) -> float:
    """Return the largest share of a limit that a choice takes; for blocks, the share of their bits.

    A block with one bit counts as a full one, so a limit of blocks would seem to be reached as soon
    as the last block is begun.
    """
    shares = _shares(table, limits, chosen)
    if shares.get("blocks", math.inf) <= 1:
        room = limits["blocks"] * table.device.bram.bits
        shares["blocks"] = min(1.0, table.cost(chosen).rom / room)
    return max(shares.values())


def _excess(table: NetworkTable, limits: Limits, chosen: list[int]) -> float:
    """Return the largest ratio of a cost to its limit."""
    return max(_shares(table, limits, chosen).values())


def _without(limits: Limits, basis: str) -> dict[str, float]:
    return {name: limit for name, limit in limits.items() if name != basis}


def _sum(objective: list[Numbers], chosen: list[int]) -> float:
    return sum(float(part[at]) for part, at in zip(objective, chosen, strict=True))


def _refusal(table: NetworkTable, budgets: Budgets) -> str:
    """Return the reason why nothing meets the budgets: one of them alone, or all together."""
    least = {basis: least_cost(table, basis) or 0.0 for basis in budgets.limits}
    alone = [
        _amount(basis, least[basis])
        for basis, limit in budgets.limits.items()
        if least[basis] > limit
    ]
    if alone:
        return f"budget {budgets} is too small: the least feasible is {' and '.join(alone)}"
    found = []
    for basis in budgets.limits:
        rest = budgets.without(basis)
        value = least_cost(table, basis, rest)
        if value is not None:
            found.append(f"within {rest} the least found is {_amount(basis, value)}")
    return f"budget {budgets} contradicts itself, though each limit alone can be met: " + (
        "; ".join(found) or "no two of them together"
    )


def _amount(basis: str, value: float) -> str:
    """Return a least amount as a budget, rounded up so that it can be met as a limit."""
    if basis == "energy":
        return str(Budget(basis, math.ceil(value * 1e3) / 1e3))
    return str(Budget(basis, max(1, math.ceil(value - 1e-9))))
