"""Channels that go as a whole: they leave the export, and never those that are needed."""

import numpy as np
import pytest
from float_networks import chain_network, mobile_network, residual_network

from sqhw.compress.choice.after_training import expected_error
from sqhw.compress.choice.channels import ChannelGraph, ChannelShares, without_channels
from sqhw.compress.choice.masked import masked_network
from sqhw.compress.choice.options import LayerState, layer_options
from sqhw.compress.choice.projection import Projector
from sqhw.compress.choice.target import Target
from sqhw.compress.qat.network import QatNetwork
from sqhw.cost_models.budget import Budget
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_cost
from sqhw.machine.config import EngineConfig

ENGINE = EngineConfig(groups=True, residuals=True, mult_bits=12, word_bits=18)
DEVICE = find_device("iCE40UP5K")


def test_the_graph_passes_pools_and_stops_at_skips_groups_and_the_output():
    graph = ChannelGraph.of(QatNetwork(chain_network()))
    assert graph.producers == (None, 0, 1)
    assert graph.removable == (True, True, False)
    residual = QatNetwork(residual_network())
    graph = ChannelGraph.of(residual)
    names = [layer.layer.name for layer in residual.layers()]
    assert [n for n, can_go in zip(names, graph.removable, strict=True) if can_go] == [
        "a1",
        "b1",
        "c1",
    ]
    assert graph.readers(names.index("a1")) == [names.index("a2")]
    mobile = QatNetwork(mobile_network())
    removable = ChannelGraph.of(mobile).removable
    names = [layer.layer.name for layer in mobile.layers()]
    assert [n for n, can_go in zip(names, removable, strict=True) if can_go] == ["stem"]


def test_a_channel_goes_if_it_is_worth_less_than_its_cost():
    graph = ChannelGraph((None, 0), (True, False))
    rows = [np.ones(4, dtype=bool), np.ones(2, dtype=bool)]
    needed = [np.array([True, False, False, False]), np.ones(2, dtype=bool)]
    first = ChannelShares(np.full(4, 10.0), np.zeros(3), np.array([0.0, 3, 30, 1]), np.zeros(3))
    second = ChannelShares(np.zeros(2), np.full(4, 5.0), np.zeros(2), np.array([0.0, 4, 16, 15]))
    # Together 0 (but needed), 7, 46 and 16 at a cost of 15.
    kept = without_channels(graph, rows, needed, [first, second], 1.0)
    assert kept[0].tolist() == [True, False, True, True]
    assert kept[1].all()


@pytest.mark.parametrize("seed", range(3))
def test_all_that_a_layer_loses_counts_by_one_formula(seed):
    """The loss is that of normal weights, for their share of all that are alive."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    shape = (6, 5, 3, 3)
    weight = rng.normal(size=shape).astype(np.float32)
    worth = rng.exponential(size=shape).astype(np.float32)
    state = LayerState(weight, worth, np.zeros(shape, dtype=bool), 16, all_rows=False)
    rows, inputs = (rng.random(count) < 0.7 for count in shape[:2])
    rows[0] = inputs[0] = True
    table = layer_options(state, rows, inputs, ENGINE)
    score = worth * weight * weight
    whole = float(score.sum(dtype=np.float64))
    size = int((score > 1e-9 * score.mean()).sum())
    share = np.minimum(1.0, table.stored.nonzeros / size)
    left = 1 - expected_error(share, table.stored.levels)
    some = left > 1e-3
    assert some.sum() > 100
    assert table.distortion[some] == pytest.approx(-whole * np.log(left[some]), rel=1e-4)
    assert table.slope[some] == pytest.approx(1 / left[some], rel=1e-4)


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize(("make", "share"), [(chain_network, 0.4), (residual_network, 0.35)])
def test_dropped_channels_leave_the_network_and_the_budget_is_met(make, share, seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    model = QatNetwork(make(seed))
    importance = []
    for layer in model.layers():
        shape = layer.weight.shape
        importance.append(rng.exponential(size=shape))
    graph = ChannelGraph.of(model)
    for at in np.flatnonzero(graph.removable):  # half of the channels are worth next to nothing
        importance[at][::2] *= 1e-12
        for reader in graph.readers(at):
            importance[reader][:, ::2] *= 1e-12
    free = Projector(model, importance, Target(Budget("rom", 1 << 30), ENGINE, DEVICE), 10)
    limit = int(share * free.fitting().costs["rom"])
    target = Target(Budget("rom", limit), ENGINE, DEVICE)
    projector = Projector(model, importance, target, 10)
    found = projector.fitting()
    network = masked_network(model, found.masks, found.levels, 10, ENGINE)
    assert rom_cost(network, ENGINE).rom == found.costs["rom"] <= limit
    assert sum(found.dropped) > 0
    by_name = {layer.name: layer for layer in network.convs}
    for layer, mask, dropped, state in zip(
        model.layers(), found.masks, found.dropped, projector.states, strict=True
    ):
        assert (mask | ~state.floor).all()
        assert by_name[layer.layer.name].weight.shape[0] <= mask.shape[0] - dropped
