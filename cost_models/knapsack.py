"""One option a layer under a common budget: a multiple-choice knapsack on convex hulls.

It is the only solver: for `sqhw size` (`sqhw.cost_models.choice`), for the projections of
`sqhw.compress`, and for the methods that choose bits or weights layer by layer. Several budgets
become one by a `sqhw.cost_models.scale.Scale`. The solver minimises the objective.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

#: Largest ratio of a choice to the bound of the optimum with which it is taken as it is.
NEAR = 1.005
#: Number of shares of the budget, to which the dynamic programme rounds costs up.
SHARES = 4000
#: Number of budgets that a search tries.
SEARCH_STEPS = 12

T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """One way to store a layer.

    Parameters
    ----------
    bits : int
        Cost on the budget's basis (unit: bit).
    distortion : float
        Objective, which is minimised in the sum over all layers, for example the expected loss of
        accuracy by the option.
    nonzeros : int
        Weights kept.
    levels : int
        Distinct non-zero values.
    index : int
        Index of the option in the table of its layer.
    """

    bits: int
    distortion: float
    nonzeros: int = 0
    levels: int = 1
    index: int = 0


def hull(options: Sequence[Option]) -> list[Option]:
    """Return the options on the lower convex hull, from the cheapest to the most exact.

    Dominated options, which cost no less and are no better than another, are removed first.
    """
    front: list[Option] = []
    for option in sorted(options, key=lambda o: (o.bits, o.distortion)):
        if front and option.distortion >= front[-1].distortion:
            continue
        while len(front) >= 2 and _gain(front[-2], front[-1]) <= _gain(front[-2], option):
            front.pop()
        front.append(option)
    return front


def front(costs: npt.NDArray[Any], objective: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the options that no other beats in both, from the cheapest to the dearest.

    Parameters
    ----------
    costs, objective : ndarray, shape (options,)

    Returns
    -------
    ndarray of int64
        Indices of the options.
    """
    order = np.lexsort((objective, costs))
    best = np.minimum.accumulate(objective[order])
    found: npt.NDArray[np.int64] = order[np.concatenate(([True], best[1:] < best[:-1]))]
    return found


def choose(hulls: Sequence[Sequence[Option]], budget: int) -> list[Option] | None:
    """Return one option a layer within the budget, or None if the cheapest exceed it.

    Increments along the hulls are taken in the order of falling gain per bit. An increment that
    does not fit closes its layer. The first of these, taken in part, would give the least
    distortion of any mixture of options, hence a bound of the optimum. A choice may be farther than
    `NEAR` from it, as where a layer's steps are large against the budget. It is then compared with
    that of a dynamic programme over costs in shares of the budget, and the better one is taken. In
    the tests, with four layers, the result is at most 1.01 times the optimum.

    Parameters
    ----------
    hulls : sequence of sequence of Option
        Hull of each layer, as `hull` returns it.
    budget : int
        Limit of the sum of costs (unit: bit).
    """
    chosen = [layer[0] for layer in hulls]
    left = budget - sum(option.bits for option in chosen)
    if left < 0:
        return None
    steps = [
        (-_gain(layer[at], layer[at + 1]), index, at)
        for index, layer in enumerate(hulls)
        for at in range(len(layer) - 1)
    ]
    closed: set[int] = set()
    bound = None
    for gain, index, at in sorted(steps):
        cost = hulls[index][at + 1].bits - hulls[index][at].bits
        if index in closed:
            continue
        if cost > left:
            if bound is None:
                bound = _distortion(chosen) + gain * left  # gains are negative here
            closed.add(index)
            continue
        chosen[index] = hulls[index][at + 1]
        left -= cost
    if bound is None or _distortion(chosen) <= NEAR * bound:
        return chosen
    return min((chosen, *_programmed(hulls, budget)), key=_distortion)


def richest(
    hulls: Sequence[Sequence[Option]],
    whole: float,
    take: Callable[[list[Option], int], tuple[float, T]],
    close: float,
) -> T | None:
    """Return the choice of the largest budget found whose exact costs meet the limits.

    Costs of options are estimates where they do not add up, as with block RAMs. So a search finds
    the largest budget of the knapsack that the exact costs admit.

    Parameters
    ----------
    hulls : sequence of sequence of Option
        Hull of each layer.
    whole : float
        Cost of a choice that takes all of every limit.
    take : callable
        Called with a choice and its budget. Returns the largest ratio of an exact cost to its
        limit, and the value to return for the choice.
    close : float
        Share of the limits that may stay unused. A smaller share takes a longer search.
    """
    least = sum(layer[0].bits for layer in hulls)
    most = sum(layer[-1].bits for layer in hulls)

    def chosen_within(bits: int) -> list[Option]:
        chosen = choose(hulls, max(bits, least))
        assert chosen is not None
        return chosen

    low, high = least, most
    best: T | None = None
    exceeded = False  # whether the most exact options are known to be too much
    bits = min(high, round(whole))
    for _ in range(SEARCH_STEPS):
        chosen = chosen_within(bits)
        excess, found = take(chosen, bits)
        left = 1 - excess
        if left >= 0:
            low, best = bits, found
            if left <= close or bits == most:
                break
        else:
            high, exceeded = bits, True
        guess = sum(option.bits for option in chosen) + round(left * whole)
        if not exceeded and guess >= high:
            bits = high
        else:
            bits = guess if low < guess < high else (low + high) // 2
        if bits == low or high - low <= close * whole / 4:
            break
    if best is None:
        excess, found = take(chosen_within(least), least)
        return found if excess <= 1 else None
    return best


def _programmed(hulls: Sequence[Sequence[Option]], budget: int) -> list[list[Option]]:
    """Return the best choice with costs rounded up to shares of the budget, if there is one."""
    share = max(1, -(-budget // SHARES))
    room = budget // share
    least = np.zeros(room + 1)
    taken = []
    for layer in hulls:
        costs = np.array([-(-option.bits // share) for option in layer])
        table = np.full((len(layer), room + 1), np.inf)
        for row, (cost, option) in enumerate(zip(costs, layer, strict=True)):
            if cost <= room:
                table[row, cost:] = least[: room + 1 - cost] + option.distortion
        rows = table.argmin(axis=0)
        least = table[rows, np.arange(room + 1)]
        taken.append((rows, costs))
    if not np.isfinite(least[room]):
        return []
    chosen = []
    for layer, (rows, costs) in zip(reversed(hulls), reversed(taken), strict=True):
        row = rows[room]
        chosen.append(layer[row])
        room -= costs[row]
    return [chosen[::-1]]


def _distortion(chosen: Sequence[Option]) -> float:
    return sum(option.distortion for option in chosen)


def price(hulls: Sequence[Sequence[Option]], chosen: Sequence[Option]) -> float:
    """Return the distortion that the last bits of a choice saved each, 0 if all are cheapest."""
    gains = [
        _gain(layer[at - 1], layer[at])
        for layer, option in zip(hulls, chosen, strict=True)
        if (at := layer.index(option)) > 0
    ]
    return min(gains, default=0.0)


def _gain(a: Option, b: Option) -> float:
    """Return the distortion saved a bit from `a` to the dearer `b`."""
    return (a.distortion - b.distortion) / (b.bits - a.bits) if b.bits > a.bits else 0.0
