"""Several budgets at once: parsing, refusal, and projections that meet all of them."""

import numpy as np
import pytest
from float_networks import residual_network

from sqhw.compress.choice.masked import masked_network
from sqhw.compress.choice.options import layer_options
from sqhw.compress.choice.projection import Projector
from sqhw.compress.choice.target import IMPOSSIBLE, Target
from sqhw.compress.qat.network import QatNetwork
from sqhw.cost_models.budget import Budget, Budgets
from sqhw.cost_models.device import find_device
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError, shown
from sqhw.machine.config import EngineConfig

ENGINE = EngineConfig(groups=True, residuals=True, mult_bits=12, word_bits=18)
DEVICE = find_device("iCE40UP5K")


def test_budgets_are_read_and_written():
    budgets = Budgets.parse("rom=345000, cycles=900000,blocks=30,energy=2.5")
    assert [item.limit for item in budgets.items] == [345000, 900000, 30, 2.5]
    assert Budgets.parse(str(budgets)) == budgets
    assert Budgets.of(Budget("rom", 5)) == Budgets.parse("rom=5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rom=100000.0", "budget rom must be a whole number, not 100000.0"),
        ("rom=" + "9" * 5000, f"budget rom has too many digits; it must be at most {10**15}"),
        (
            "rom=1,energy=" + "9" * 5000,
            "budget energy has too many digits; it must be at most 1",
        ),
        ("energy=1000000000000000.5", f"budget energy must be at most {10**15}"),
        ("energy=0." + "0" * 5000 + "1", "budget energy must be above 0, not 0.0"),
        (
            "cycles=-" + "9" * 5000,
            "budget cycles has too many digits; it must be at most 1",
        ),
        ("energy=1e400", "budget 'energy=1e400' must read basis=limit with a whole number"),
        ("energy=nan", "budget 'energy=nan' must read basis=limit"),
        ("rom=٣٢", "budget 'rom=٣٢' must read basis=limit"),
        ("rom=1_000", "budget 'rom=1_000' must read basis=limit"),
        ("x" * 5000, f"budget {shown('x' * 5000)} must read basis=limit"),
        ("x" * 5000 + "=3", f"unknown budget basis {shown('x' * 5000)}"),
        ("rom=5," * 50 + "rom=5", f"budget {shown('rom=5,' * 50 + 'rom=5')} limits rom"),
        ("rom=5, ,", "budget 'rom=5, ,' has an empty part"),
    ],
)
def test_one_vocabulary_of_budgets(text, message):
    with pytest.raises(SqhwError) as error:
        Budgets.parse(text)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("text", ["energy=0.0000001", "energy=1000000000000000", "rom=0048000"])
def test_budgets_that_python_would_write_otherwise(text):
    budgets = Budgets.parse(text)
    assert Budgets.parse(str(budgets)) == budgets


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), 2e15, 0])
def test_a_limit_that_is_none(limit):
    for basis in ("rom", "energy"):
        with pytest.raises(SqhwError, match=f"^budget {basis} must be a"):
            Budget(basis, limit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rom=5,rom=6", "limits rom twice, rom=5 and rom=6"),
        ("rom=50,", "budget 'rom=50,' has an empty part"),
        ("", "budget '' has an empty part"),
        ("payload=9,rom=8", "payload=9 exceeds rom=8"),
        ("stream=9,payload=10", "payload=10 exceeds stream=9"),
        ("rom=5,", "must read basis=limit"),
        ("rom=5.5", "whole number"),
        ("energy=0", "above 0"),
        ("area=5", "area"),
    ],
)
def test_budgets_that_contradict_themselves_are_refused(text, message):
    with pytest.raises(SqhwError, match=message):
        Budgets.parse(text)


@pytest.fixture(scope="module")
def case():
    print("seed 0")
    rng = np.random.default_rng(0)
    model = QatNetwork(residual_network())
    return model, [rng.exponential(size=layer.weight.shape) for layer in model.layers()]


def test_cycles_of_the_table_are_those_of_the_schedule(case):
    model, importance = case
    projector = Projector(model, importance, Target(Budget("cycles", 1 << 30), ENGINE, DEVICE), 10)
    found = projector.fitting()
    network = masked_network(model, found.masks, found.levels, 10, ENGINE)
    cycles = {layer.name: layer.cycles for layer in schedule(network, ENGINE).layers}
    sizes = {layer.name: layer.weight.shape for layer in network.convs}
    for state, layer, mask, levels in zip(
        projector.states, model.layers(), found.masks, found.levels, strict=True
    ):
        if sizes[layer.layer.name] != mask.shape:
            continue  # it lost channels
        rows, inputs = (np.ones(n, dtype=bool) for n in mask.shape[:2])
        table = layer_options(state, rows, inputs, ENGINE)
        stream = next(c.stream for c in network.convs if c.name == layer.layer.name)
        same = (
            (table.stored.nonzeros == mask.sum())
            & (table.stored.levels == levels)
            & table.stored.has_format(stream)
        )
        if same.any():
            assert table.cycles[same][0] == cycles[layer.layer.name]


@pytest.mark.parametrize(
    "text",
    ["rom={rom},cycles={cycles}", "energy={energy}", "cycles={cycles}", "blocks=3,rom={rom}"],
)
def test_all_budgets_are_met_on_the_exact_cost(case, text):
    model, importance = case
    every = Target(Budgets.parse("rom=1,cycles=1,energy=1"), ENGINE, DEVICE)
    least = Projector(model, importance, every, 10).floor().costs
    loose = Target(Budgets.parse("rom=9999999,cycles=9999999,energy=9999"), ENGINE, DEVICE)
    most = Projector(model, importance, loose, 10).fitting().costs
    limits = {basis: int(least[basis] + 0.4 * (most[basis] - least[basis])) for basis in least}
    limits["energy"] = least["energy"] + 0.4 * (most["energy"] - least["energy"])
    target = Target(Budgets.parse(text.format(**limits)), ENGINE, DEVICE)
    found = Projector(model, importance, target, 10).fitting()
    costs = target.costs(masked_network(model, found.masks, found.levels, 10, ENGINE))
    assert costs == found.costs
    assert all(costs[item.basis] <= item.limit for item in Budgets.of(target.budget).items)
    assert target.excess(costs) > 0.5


def test_a_refusal_names_each_basis_that_lacks(case):
    model, importance = case
    target = Target(Budgets.parse("rom=10,cycles=20,blocks=30"), ENGINE, DEVICE)
    projector = Projector(model, importance, target, 10)
    assert projector.fitting() is None
    least = projector.floor().costs
    message = str(target.refusal("residual", least))
    assert f"rom={int(least['rom'])},cycles={int(least['cycles'])}" in message
    assert "blocks=3," not in message.split(";")[1]
    beyond = dict.fromkeys(target.limits, float(IMPOSSIBLE))
    message = str(target.refusal("residual", beyond))
    assert "needs more words of ROM than the engine addresses (weight_addr_bits" in message
