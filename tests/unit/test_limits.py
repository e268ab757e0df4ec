"""Several budgets at once, against every choice there is."""

import re
from itertools import product

import numpy as np
import pytest
from small_networks import DEVICE, ENGINE, network, prices

from sqhw.cost_models.choice import RESOURCES, Limits, choose_options, least_cost
from sqhw.cost_models.layer_options import NetworkTable, network_table
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


@pytest.mark.parametrize("seed", range(12))
def test_what_is_found_is_near_the_best_of_all_choices(table, every, seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    one = every[int(rng.integers(len(every)))]
    slack = 1 + 0.1 * rng.random()
    limits = Limits(blocks=one.blocks, cycles=int(one.cycles * slack), energy=one.energy * slack)
    allowed = [cost for cost in every if limits.admits(cost)]
    worth = str(rng.choice(["rom", "cycles", "energy"]))
    found = table.cost(choose_options(table, limits, worth))
    assert limits.admits(found)
    best = min(getattr(cost, worth) for cost in allowed)
    worst = max(getattr(cost, worth) for cost in every)
    least = min(getattr(cost, worth) for cost in every)
    assert getattr(found, worth) - best <= 0.1 * (worst - least)


@pytest.mark.parametrize("resource", RESOURCES)
def test_least_costs_are_those_of_all_choices(table, every, resource):
    best = min(getattr(cost, resource) for cost in every)
    assert least_cost(table, resource) == pytest.approx(best)


def test_a_budget_below_the_least_says_the_least(table, every):
    blocks = min(cost.blocks for cost in every)
    rom = min(cost.rom for cost in every)
    with pytest.raises(SqhwError) as caught:
        choose_options(table, Limits(blocks=blocks, rom=rom - 1, cycles=10**9))
    message = f"budget rom={rom - 1},blocks={blocks},cycles=1000000000 is too small: "
    assert str(caught.value) == message + f"the least feasible is rom={rom}"
    choose_options(table, Limits(blocks=blocks, rom=rom, cycles=10**9))


def test_a_budget_that_contradicts_itself_says_the_least_of_each(table, every):
    rom = min(cost.rom for cost in every)
    cycles = min(cost.cycles for cost in every)
    small = min(cost.cycles for cost in every if cost.rom <= rom)
    assert small > cycles + 1
    limits = Limits(rom=rom, cycles=int(np.ceil(cycles)))
    with pytest.raises(SqhwError) as caught:
        choose_options(table, limits)
    message = str(caught.value)
    assert message.startswith(f"budget {limits} contradicts itself, though each limit alone can be")
    assert f"within rom={rom} the least found is cycles={int(np.ceil(small))}" in message
    (found,) = re.findall(rf"within cycles={limits.cycles} the least found is rom=(\d+)", message)
    assert int(found) >= min(cost.rom for cost in every if cost.cycles <= limits.cycles)
    choose_options(table, Limits(rom=int(found), cycles=limits.cycles))


def test_parse():
    limits = Limits.parse("blocks=22, cycles=60000,energy=1.5")
    assert limits == Limits(blocks=22, cycles=60000, energy=1.5)
    assert str(limits) == "blocks=22,cycles=60000,energy=1.5"
    assert Limits.parse(str(limits)) == limits


FORM = (
    "budget 'blocks' must read basis=limit with a whole number, for example blocks=22; bases: "
    "rom, blocks, cycles, energy"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blocks", FORM),
        ("block=3", "unknown budget basis 'block'; did you mean 'blocks'?"),
        ("payload=3", "budget payload cannot be given here; bases: rom, blocks, cycles, energy"),
        ("rom=1,rom=2", "budget 'rom=1,rom=2' limits rom twice, rom=1 and rom=2; state one"),
        ("cycles=-5", "budget cycles must be at least 1, not -5"),
        ("blocks=2.5", "budget blocks must be a whole number, not 2.5"),
    ],
)
def test_parse_refuses(text, message):
    with pytest.raises(SqhwError) as caught:
        Limits.parse(text)
    assert str(caught.value) == message


def test_the_least_within_the_others_is_a_choice(table, every):
    cycles = int(np.ceil(min(cost.cycles for cost in every)))
    blocks = min(cost.blocks for cost in every if cost.cycles <= cycles)
    limits = Limits(blocks=blocks, cycles=cycles)
    assert limits.admits(table.cost(choose_options(table, limits)))
