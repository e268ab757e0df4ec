"""Several budgets at once, against every choice there is."""

import re
from itertools import product

import numpy as np
import pytest
from small_networks import DEVICE, ENGINE, network, prices

from sqhw.cost_models.budget import LIMITS, Budget, Budgets
from sqhw.cost_models.choice import choose_options, least_cost
from sqhw.cost_models.network_options import NetworkTable, network_table
from sqhw.errors import SqhwError


@pytest.fixture(scope="module")
def table():
    """A few options of each layer: all can be tried."""
    costs = prices(ENGINE, {"weights": 4096, "params": 512, "codebook": 256})
    counts = {layer.name: np.array([layer.weight.size // 2]) for layer in network().convs}
    full = network_table(network(), ENGINE, DEVICE, costs, counts, bits=(2, 5))
    return NetworkTable(
        tuple(layer.only(np.arange(len(layer))[:6]) for layer in full.layers), ENGINE, DEVICE
    )


@pytest.fixture(scope="module")
def every(table):
    return [table.cost(choice) for choice in product(*(range(len(t)) for t in table.layers))]


def of(**limits):
    return Budgets(tuple(Budget(basis, limit) for basis, limit in limits.items()))


def admits(budgets, cost):
    return all(getattr(cost, basis) <= limit for basis, limit in budgets.limits.items())


@pytest.mark.parametrize("seed", range(24))
def test_what_is_found_is_near_the_best_of_all_choices(table, every, seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    one = every[int(rng.integers(len(every)))]
    slack = 1 + 0.1 * rng.random()
    budgets = of(blocks=one.blocks, cycles=int(one.cycles * slack), energy=one.energy * slack)
    if seed % 3 == 1:  # without the coarse steps of blocks
        budgets = of(stream=int(one.stream * slack), cycles=int(one.cycles * slack))
    if seed % 3 == 2:
        budgets = of(payload=one.payload, rom=one.rom)
    allowed = [cost for cost in every if admits(budgets, cost)]
    objective = str(rng.choice(["rom", "cycles", "energy"]))
    found = table.cost(choose_options(table, budgets, objective=objective))
    assert admits(budgets, found)
    best = min(getattr(cost, objective) for cost in allowed)
    worst = max(getattr(cost, objective) for cost in every)
    least = min(getattr(cost, objective) for cost in every)
    assert getattr(found, objective) - best <= 0.01 * (worst - least)


@pytest.mark.parametrize("resource", LIMITS)
def test_least_costs_are_those_of_all_choices(table, every, resource):
    best = min(getattr(cost, resource) for cost in every)
    assert least_cost(table, resource) == pytest.approx(best)


def test_a_budget_below_the_least_says_the_least(table, every):
    blocks = min(cost.blocks for cost in every)
    rom = min(cost.rom for cost in every)
    with pytest.raises(SqhwError) as caught:
        choose_options(table, of(blocks=blocks, rom=rom - 1, cycles=10**9))
    message = f"budget blocks={blocks},rom={rom - 1},cycles=1000000000 is too small: "
    assert str(caught.value) == message + f"the least feasible is rom={rom}"
    choose_options(table, of(blocks=blocks, rom=rom, cycles=10**9))


def test_a_budget_that_contradicts_itself_says_the_least_of_each(table, every):
    rom = min(cost.rom for cost in every)
    cycles = min(cost.cycles for cost in every)
    small = min(cost.cycles for cost in every if cost.rom <= rom)
    assert small > cycles + 1
    limits = of(rom=rom, cycles=int(np.ceil(cycles)))
    with pytest.raises(SqhwError) as caught:
        choose_options(table, limits)
    message = str(caught.value)
    assert message.startswith(f"budget {limits} contradicts itself, though each limit alone can be")
    assert f"within rom={rom} the least found is cycles={int(np.ceil(small))}" in message
    most = int(limits.limits["cycles"])
    (found,) = re.findall(rf"within cycles={most} the least found is rom=(\d+)", message)
    assert int(found) >= min(cost.rom for cost in every if cost.cycles <= most)
    choose_options(table, of(rom=int(found), cycles=most))


def test_the_least_within_the_others_is_a_choice(table, every):
    cycles = int(np.ceil(min(cost.cycles for cost in every)))
    blocks = min(cost.blocks for cost in every if cost.cycles <= cycles)
    limits = of(blocks=blocks, cycles=cycles)
    assert admits(limits, table.cost(choose_options(table, limits)))
