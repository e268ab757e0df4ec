"""Masks that follow the weights, and the rounds that keep them within a budget."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from float_networks import chain_network
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compress.choice.free_masks import largest, refresh
from sqhw.compress.choice.masked import masked_network
from sqhw.compress.choice.rounds import FEW_PLACES, Rounds
from sqhw.compress.choice.target import Target
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.training.checkpoint import load_module
from sqhw.cost_models.budget import Budget
from sqhw.cost_models.device import find_device
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import Rice

ENGINE = EngineConfig()
DEVICE = find_device("LFE5U-85F")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Keep small operations from waiting for a core that another program holds."""
    with torch_threads(1):
        yield


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_the_largest_weights_of_the_room_are_found(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 6, 4))
    weight = rng.normal(size=shape).astype(np.float32) * (rng.random(shape) < 0.9)
    room = rng.random(shape) < 0.7
    count = int(rng.integers(1, weight.size + 2))
    found = largest(torch.from_numpy(weight), torch.from_numpy(room), count).numpy()
    inside = np.sort(np.abs(weight[room & (weight != 0)]))[::-1]
    assert found.sum() == min(count, len(inside))
    assert not (found & ~room).any()
    assert np.array_equal(np.sort(np.abs(weight[found]))[::-1], inside[: found.sum()])


def test_of_equal_weights_the_first_are_taken_and_floors_before_all():
    weight = torch.tensor([0.0, 0.5, -0.5, 0.5, 0.1, 0.5]).view(6, 1, 1, 1)
    room = torch.ones_like(weight, dtype=torch.bool)
    assert largest(weight, room, 2).flatten().tolist() == [False, True, True, False, False, False]
    always = torch.zeros_like(room)
    always[4] = True
    assert largest(weight, room, 2, always=always).flatten().nonzero().flatten().tolist() == [1, 4]
    assert largest(weight, room, 6).sum() == 5


def rounds_of(model, budget, count=4, engine=ENGINE):
    generator = torch.Generator().manual_seed(0)
    shape = (64, *model.network.input_shape)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    target = Target(Budget.parse(budget), engine, DEVICE)
    return Rounds(model, target, images, generator, 10, count)


def test_a_weight_that_has_grown_takes_the_place_of_another():
    model = QatNetwork(chain_network())
    layer = model.layers()[1]
    weight = layer.weight.detach()
    mask = largest(weight, torch.ones_like(weight), 40)
    layer.set_projection(mask.numpy(), np.array([-0.3, 0.3]))
    smallest = torch.where(mask, weight.abs(), torch.inf).argmin()
    grown = torch.where(mask, torch.inf, weight.abs()).argmin()
    weight.view(-1)[grown] = 9.0
    refresh(layer, largest(weight, torch.ones_like(mask), 40))
    assert layer.mask.view(-1)[grown] == 1
    assert layer.mask.view(-1)[smallest] == 0
    assert layer.mask.sum() == 40
    kept = weight[layer.mask > 0]
    for value, side in zip(layer.codebook, (kept < 0, kept >= 0), strict=True):
        assert float(value) == pytest.approx(float(kept[side].mean()), rel=1e-5)


@pytest.mark.parametrize("budget", ["rom=3500", "payload=900", "blocks=1"])
def test_every_round_meets_the_budget_whatever_has_changed(budget):
    print("seed 0")
    torch.manual_seed(0)
    model = QatNetwork(chain_network())
    rounds = rounds_of(model, budget)
    for _ in range(rounds.count + 1):
        rounds.project()
        masks = [layer.mask.numpy() > 0 for layer in model.layers()]
        assert rounds.target.admits(rounds.costs(masks))
        for layer in model.layers():
            layer.weight.data += 0.1 * layer.weight.std() * torch.randn_like(layer.weight)
        before = [int(layer.mask.sum()) for layer in model.layers()]
        rounds.refresh()
        after = [int(layer.mask.sum()) for layer in model.layers()]
        assert after == before


@pytest.mark.parametrize("budget", ["rom=3500", "payload=900"])
def test_coded_streams_are_the_rate_of_every_round(budget):
    print("seed 0")
    torch.manual_seed(0)
    model = QatNetwork(chain_network())
    rounds = rounds_of(model, budget, engine=replace(ENGINE, quotient_ones=8))
    forms = []
    for _ in range(rounds.count + 1):
        rounds.project()
        masks = [layer.mask.numpy() > 0 for layer in model.layers()]
        assert rounds.target.admits(rounds.costs(masks))
        engine = rounds.target.engine
        network = masked_network(model, masks, rounds._levels, rounds.bias_bits, engine)
        forms += [type(layer.stream) for layer in network.convs]
        for layer in model.layers():
            layer.weight.data += 0.1 * layer.weight.std() * torch.randn_like(layer.weight)
    assert Rice in forms


@pytest.mark.parametrize("quotient_ones", [0, 8])
def test_a_fit_exchanges_no_weights_of_the_masks_that_training_has(quotient_ones):
    print("seed 0")
    torch.manual_seed(0)
    model = QatNetwork(chain_network())
    rounds = rounds_of(model, "rom=3500", engine=replace(ENGINE, quotient_ones=quotient_ones))
    rounds.project()
    for layer in model.layers():
        layer.weight.data += 0.1 * layer.weight.std() * torch.randn_like(layer.weight)
    rounds.refresh()
    before = [layer.mask.numpy() > 0 for layer in model.layers()]
    rounds.project()  # only the numbers of weights may change
    for layer, mask in zip(model.layers(), before, strict=True):
        now = layer.mask.numpy() > 0
        assert not (now & ~mask).any() or not (mask & ~now).any()


def test_channels_that_the_first_round_drops_stay_away():
    print("seed 0")
    torch.manual_seed(0)
    model = QatNetwork(chain_network())
    rounds = rounds_of(model, "rom=1500")
    rounds.project()
    dead = [layer.mask.amax(dim=(1, 2, 3)) == 0 for layer in model.layers()]
    levels = [len(layer.codebook) for layer in model.layers()]
    assert any(gone.any() for gone in dead)
    for _ in range(3):
        for layer in model.layers():
            layer.weight.data += torch.randn_like(layer.weight)
        rounds.refresh()
        rounds.project()
        for layer, gone in zip(model.layers(), dead, strict=True):
            assert layer.mask[gone].sum() == 0
        assert [len(layer.codebook) for layer in model.layers()] == levels
    assert model.layers()[1].mask[:, dead[0]].sum() == 0  # and nothing reads them


@pytest.mark.parametrize(("budget", "again"), [("rom=1500", True), ("rom=6000", False)])
def test_numbers_are_chosen_anew_for_the_channels_of_a_layer_that_loses_most(
    budget, again, monkeypatch
):
    model = QatNetwork(chain_network())
    rounds = rounds_of(model, budget)
    places = []
    honest = Rounds._projector

    def projector(self):
        places.append([layer.mask.numpy() > 0 for layer in self.model.layers()])
        return honest(self)

    monkeypatch.setattr(Rounds, "_projector", projector)
    rounds.project()
    assert all(mask.all() for mask in places[0])
    assert len(places) == 1 + again
    least = min(room.double().mean() for room in rounds._room)
    assert (least <= FEW_PLACES) == again
    for layer, stored in zip(model.layers(), places[-1], strict=True):
        assert not (layer.mask.numpy() > 0)[~stored].any()
    assert rounds.target.admits(rounds.costs([layer.mask.numpy() > 0 for layer in model.layers()]))


def test_the_state_goes_on_where_it_was():
    models = [QatNetwork(chain_network()) for _ in range(2)]
    first, second = (rounds_of(model, "rom=3500") for model in models)
    for _ in range(2):
        first.project()
    second.load(first.tensors())
    second.generator.set_state(first.generator.get_state())
    state = {name: tensor.clone() for name, tensor in models[0].state_dict().items()}
    load_module(models[1], state, torch.device("cpu"))
    for _ in range(3):
        first.project()
        second.project()
        for layer, other in zip(models[0].layers(), models[1].layers(), strict=True):
            assert torch.equal(layer.mask, other.mask)
            assert torch.equal(layer.codebook, other.codebook)


def test_fewer_weights_than_the_path_to_every_output_are_never_kept():
    rounds = rounds_of(QatNetwork(chain_network()), "rom=6000")
    rounds.project()
    for at, floor in enumerate(rounds._floors):  # a mask of one weight more than its floor
        mask = floor.copy()
        mask.reshape(-1)[np.flatnonzero(~floor)[:1]] = True
        rounds._masks[at] = mask
    for factor in (0.2, 0.9):
        for mask, floor in zip(rounds._largest(factor), rounds._floors, strict=True):
            assert not (floor & ~mask).any()
