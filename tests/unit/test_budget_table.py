"""The table of options: exact for known weights, the mean of drawn ones for a number of them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_networks import DEVICE, ENGINE, network, prices

from sqhw.cost_models.activity import activity
from sqhw.cost_models.device import find_device, load_devices
from sqhw.cost_models.layer_options import layer_table
from sqhw.cost_models.layer_shape import layer_shapes
from sqhw.cost_models.layer_weights import (
    layer_weights,
    masked_weights,
    random_weights,
)
from sqhw.cost_models.network_options import NetworkTable, network_table, nonzero_grid
from sqhw.cost_models.rom import rom_blocks, rom_cost
from sqhw.cost_models.schedule import schedule
from sqhw.machine.stream import Dense, StreamRecord
from sqhw.network.quantized import Conv


def weights(rng, layer, density, levels):
    """Return random weights with at most so many values, 127 and -128 among them."""
    values = np.linspace(-128, 127, levels + 1).astype(np.int8)
    values = values[values != 0][:levels] if levels > 1 else np.array([127], dtype=np.int8)
    mask = rng.random(layer.weight.shape) < density
    mask.reshape(-1)[: min(levels, mask.size)] = True
    weight = np.zeros(layer.weight.shape, dtype=np.int8)
    weight[mask] = values[np.arange(np.count_nonzero(mask)) % levels]
    return weight


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_known_weights_cost_what_their_network_costs(seed, batch):
    """ROM, blocks, cycles and energy of a choice are those of the network that it stands for."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    shapes = layer_shapes(network(), ENGINE, batch)
    layers, wanted, masks = [], [], []
    for layer in network().layers:
        if not isinstance(layer, Conv) or layer.stream.entry_bits == 0:
            layers.append(layer)
            wanted.append((Dense(), 0))
            masks.append(np.zeros((1, 1, 1, 1, 1), dtype=bool))
            continue
        bits, density = int(rng.integers(1, 6)), rng.choice([0.05, 0.3, 0.8, 1.0])
        gap_bits = int(rng.integers(0, (layer.weight.shape[1] + 1).bit_length()))
        weight = weights(rng, layer, density, (1 << bits) - (gap_bits == 0))
        book = np.unique(weight if gap_bits == 0 else weight[weight != 0])
        layers.append(
            replace(
                layer,
                weight=weight,
                codebook=tuple(int(value) for value in book),
                stream=StreamRecord(gap_bits, max(1, (len(book) - 1).bit_length())).form(),
            )
        )
        wanted.append((layers[-1].stream, bits))
        masks.append((weight != 0)[None])
    net = replace(network(), layers=tuple(layers))
    cost = rom_cost(net, ENGINE)
    costs = prices(ENGINE, {name: depth for name, depth, _ in cost.memories})
    tables, own, choice = [], [], []
    rows = zip(shapes, layer_shapes(net, ENGINE, batch), masks, wanted, strict=True)
    for shape, known, mask, (form, bits) in rows:
        table = layer_table(shape, ENGINE, costs, masked_weights(mask) if bits else None)
        levels = (1 << bits) - form.stores_zeros
        found = np.flatnonzero(table.stored.has_format(form) & (table.stored.levels == levels))
        tables.append(table)
        choice.append(int(found[0]) if bits else 0)
        exact = layer_table(known, ENGINE, costs, layer_weights(known.layer) if bits else None)
        own.append(exact.only(exact.stored.has_format(form)))
    run = activity(net, ENGINE, batch)
    energy = sum(costs.layer(layer).total.item() for layer in run.layers) * 1e-6 / batch
    found = NetworkTable(tuple(own), ENGINE, DEVICE, batch).cost([0] * len(own))
    assert (found.rom, found.blocks) == (cost.rom, cost.blocks(DEVICE))
    assert (found.payload, found.stream) == (
        cost.size("payload", DEVICE),
        cost.size("stream", DEVICE),
    )
    assert found.cycles == schedule(net, ENGINE, batch).cycles
    assert found.energy == pytest.approx(energy, rel=1e-12)
    found = NetworkTable(tuple(tables), ENGINE, DEVICE, batch).cost(choice)
    assert (found.rom, found.blocks) == (cost.rom, cost.blocks(DEVICE))
    assert (found.payload, found.stream) == (
        cost.size("payload", DEVICE),
        cost.size("stream", DEVICE),
    )
    assert found.cycles == schedule(net, ENGINE, batch).cycles
    # Narrow codebooks toggle fewer bits of a multiplier; a table of masks does not know values.
    assert found.energy >= energy * (1 - 1e-12)


def test_marginal_costs_are_differences_of_whole_networks():
    print("seed 0")
    rng = np.random.default_rng(0)
    costs = prices(ENGINE, {"weights": 2048, "params": 512, "codebook": 256})
    grid = {layer.name: nonzero_grid(layer.weight.size, 12) for layer in network().convs}
    table = network_table(network(), ENGINE, DEVICE, costs, grid)
    choice = [int(rng.integers(len(layer))) for layer in table.layers]
    seen = set()
    for index, layer in enumerate(table.layers):
        tried = table.marginal(choice, index)
        for option in rng.permutation(len(layer))[:40]:
            other = table.cost([*choice[:index], int(option), *choice[index + 1 :]])
            assert tried["rom"][option] == other.rom
            assert tried["blocks"][option] == other.blocks
            assert tried["cycles"][option] == pytest.approx(other.cycles)
            assert tried["energy"][option] == pytest.approx(other.energy)
            seen.add(other.blocks)
    assert len(seen) > 2  # blocks did differ


@pytest.mark.parametrize("name", ["first", "depth", "added", "last"])
@pytest.mark.parametrize("density", [0.05, 0.3, 0.9])
def test_expected_costs_are_near_those_of_drawn_weights(name, density):
    print("seed 0")
    rng = np.random.default_rng(0)
    shape = next(shape for shape in layer_shapes(network(), ENGINE) if shape.name == name)
    count = round(density * shape.weights)
    rank = rng.random((200, shape.weights)).argsort(axis=1).argsort(axis=1)
    masks = (rank < count).reshape(200, *shape.layer.weight.shape)
    costs = prices(ENGINE, {"weights": 2048, "params": 512, "codebook": 256})
    known = layer_table(shape, ENGINE, costs, masked_weights(masks))
    model = layer_table(shape, ENGINE, costs, random_weights(shape.layer, np.array([count])))
    each = len(known) // 200
    assert each == len(model)
    for field in ("form", "code_bits", "levels", "nonzeros", "codebook_words"):
        assert np.array_equal(
            np.tile(getattr(model.stored, field), 200), getattr(known.stored, field)
        )
    mean = known.cycles.reshape(200, each).mean(axis=0)
    assert model.cycles == pytest.approx(mean, rel=0.01)
    mean = known.energy_pj.reshape(200, each).mean(axis=0)
    assert model.energy_pj == pytest.approx(mean, rel=0.01)
    mean = known.weight_words.reshape(200, each).mean(axis=0)
    assert np.all(np.abs(model.weight_words - mean) <= 1 + 0.01 * mean)
    mean = known.param_words.reshape(200, each).mean(axis=0)
    # the count field of a record may be a bit off
    assert np.all(np.abs(model.param_words - mean) <= 1 + 1.5 * shape.outputs / ENGINE.word_bits)


@pytest.mark.parametrize("name", ["iCE40UP5K", "LFE5U-85F", "XC7Z020", "5CEBA4", "CCGM1A1"])
def test_a_deeper_rom_takes_no_fewer_blocks(name):
    """Between two depths with the same number of blocks the table takes that number."""
    print("seed 0")
    device = find_device(name)
    depths = np.sort(np.random.default_rng(0).integers(1, 30_000, 120))
    for rom in ("weights", "codebook"):
        blocks = [rom_blocks(rom, int(depth), ENGINE, device) for depth in depths]
        assert blocks == sorted(blocks)


def test_a_layer_of_maxima_or_averages_has_one_option():
    costs = prices(ENGINE, {"weights": 2048, "params": 512, "codebook": 256})
    table = network_table(network(), ENGINE, DEVICE, costs, {
        layer.name: np.array([1, 5]) for layer in network().convs
    })  # fmt: skip
    sizes = {layer.name: len(layer) for layer in table.layers}
    assert sizes["pool"] == sizes["average"] == 1
    assert sizes["last"] == 2 * 8 * (1 + 4)  # counts, widths, dense and gaps of 1 to 4 bits


def test_grid_has_both_ends_and_no_number_twice():
    assert list(nonzero_grid(1)) == [1]
    assert list(nonzero_grid(5)) == [1, 2, 3, 4, 5]
    grid = nonzero_grid(2_359_296)
    assert (grid[0], grid[-1]) == (1, 2_359_296)
    assert np.all(np.diff(grid) > 0)


@pytest.mark.parametrize("name", sorted(load_devices()))
def test_blocks_of_rising_depths_are_those_of_each(name):
    """Some devices take fewer blocks for a deeper ROM, where synthesis gives a memory up."""
    table = SimpleNamespace(engine=ENGINE, device=load_devices()[name])
    steps = 512 * np.arange(1, 16)
    rng = np.random.default_rng(0)
    depths = np.unique(np.concatenate((steps, steps + 1, rng.integers(1, 8000, 40))))
    found = NetworkTable._rising(table, "weights", depths)
    assert found.tolist() == [
        rom_blocks("weights", int(depth), ENGINE, table.device) for depth in depths
    ]
