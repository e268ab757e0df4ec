"""The knapsack against exact dynamic programming."""

import numpy as np
import pytest

from sqhw.cost_models import knapsack
from sqhw.cost_models.knapsack import Option, choose, hull


def exact(groups, budget):
    """Return the least distortion within the budget, by dynamic programming over bits."""
    best = np.full(budget + 1, np.inf)
    best[:] = 0.0
    for options in groups:
        new = np.full(budget + 1, np.inf)
        for option in options:
            if option.bits <= budget:
                moved = best[: budget + 1 - option.bits] + option.distortion
                new[option.bits :] = np.minimum(new[option.bits :], moved)
        best = new
    return best[budget]


def layer(rng, size, counts=25):
    """Return options like those of a layer: many numbers of weights, four bit widths."""
    energy = np.sort(rng.exponential(size=size))[::-1] ** 2
    dropped = np.concatenate((np.cumsum(energy[::-1])[::-1], [0.0]))
    return [
        Option(
            count * (bits + 3) + 2**bits,
            float(dropped[count] + energy[:count].sum() / 4**bits / 3),
            count,
            2**bits,
        )
        for count in sorted({int(n) for n in np.geomspace(2, size, counts)})
        for bits in range(1, 5)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_a_choice_is_within_one_percent_of_the_optimum(seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    groups = [layer(rng, size) for size in (60, 200, 400, 300)]
    most = sum(max(option.bits for option in options) for options in groups)
    for share in (0.1, 0.3, 0.6):
        budget = int(share * most)
        chosen = choose([hull(options) for options in groups], budget)
        assert sum(option.bits for option in chosen) <= budget
        total = sum(option.distortion for option in chosen)
        assert total <= 1.01 * exact(groups, budget)


def test_hull_drops_dominated_and_concave_options():
    a, b, c, d = Option(0, 10.0), Option(10, 9.0), Option(20, 2.0), Option(30, 2.5)
    assert hull([d, c, b, a]) == [a, c]
    assert hull([Option(5, 1.0), Option(5, 2.0)]) == [Option(5, 1.0)]


def test_a_budget_below_the_cheapest_options_gives_none():
    assert choose([[Option(5, 1.0)], [Option(6, 1.0)]], 10) is None


def test_one_large_step_does_not_end_the_others():
    big = [Option(0, 100.0), Option(1000, 0.0)]
    small = [Option(0, 1.0), Option(20, 0.5)]
    assert choose([big, small], 50) == [big[0], small[1]]


def test_fine_steps_need_no_dynamic_programme(monkeypatch):
    """Many options a layer leave the choice by gain within the bound, which is of all mixtures."""
    rng = np.random.default_rng(0)
    hulls = [hull(layer(rng, 2000, 400)) for _ in range(16)]
    budget = sum(options[-1].bits for options in hulls) // 3
    best = choose(hulls, budget)
    with monkeypatch.context() as patch:
        patch.setattr(knapsack, "NEAR", 0.0)
        programmed = choose(hulls, budget)
    assert sum(o.distortion for o in best) <= 1.005 * sum(o.distortion for o in programmed)
    calls = []
    monkeypatch.setattr(knapsack, "_programmed", lambda *a: calls.append(a) or [])
    choose(hulls, budget)
    assert not calls


def test_coarse_steps_are_programmed():
    """By gain a bit the second layer would come first, and the better option no longer fit."""
    first = [Option(0, 100.0), Option(60, 0.0)]
    second = [Option(0, 100.0), Option(50, 10.0)]
    assert choose([first, second], 60) == [first[1], second[0]]
