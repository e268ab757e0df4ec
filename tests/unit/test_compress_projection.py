"""Floors, stream choice and Fisher: the parts that the projection is made of."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from float_networks import conv
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compiler.format_choice import cheapest_stream
from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.choice.fisher import fisher_diagonal
from sqhw.compress.choice.floor import floor_masks
from sqhw.compress.choice.masked import masked_network
from sqhw.compress.choice.options import LayerState, layer_options
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.network import QatNetwork
from sqhw.cost_models.knapsack import Option
from sqhw.cost_models.rom import rom_cost
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Places, formats_for, max_gap_bits
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.quantized import Conv

ENGINE = EngineConfig()


def test_the_floor_is_one_unbroken_path_for_every_output():
    print("seed 0")
    rng = np.random.default_rng(0)
    shapes = ((9, 2, 3, 3), (12, 9, 3, 3), (4, 12, 2, 2))
    sources = ("input", "0", "1")
    layers = tuple(
        FloatConv(str(at), sources[at], np.ones(shape, np.float32), np.zeros(shape[0], np.float32))
        for at, shape in enumerate(shapes)
    )
    chain = FloatNetwork("chain", (2, 6, 6), 255, (0.0,), (1.0,), layers)
    masks = floor_masks(chain, [rng.random(shape) for shape in shapes])
    assert masks[-1].any(axis=(1, 2, 3)).all()
    for before, after in pairwise(masks):
        assert np.array_equal(before.any(axis=(1, 2, 3)), after.any(axis=(0, 2, 3)))
    for mask in masks:
        assert mask.reshape(mask.shape[0], -1).sum(axis=1).max() == 1


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_no_stream_is_cheaper_and_the_weights_survive(seed):
    rng = np.random.default_rng(seed)
    outputs, inputs = (int(n) for n in rng.integers(1, 12, 2))
    weight = rng.integers(-3, 4, (outputs, inputs, 2, 3)) * (
        rng.random((outputs, inputs, 2, 3)) < rng.random()
    )
    layer = Conv(
        name="a",
        source="input",
        weight=weight.astype(np.int8),
        bias=np.zeros(outputs, np.int32),
        multiplier=np.ones(outputs, np.int32),
        shift=np.zeros(outputs, np.int32),
        stride=1,
        padding=(0, 0, 0, 0),
        codebook=tuple(range(-3, 4)),
        stream=Dense(3),
        output=ActivationFormat(8, False),
        weight_scale=np.ones(outputs),
        output_scale=1.0,
    )
    engine = EngineConfig(taps_per_entry=int(rng.integers(1, 3)))
    best = cheapest_stream(layer, engine)
    entries = best.stream.encode(best.weight, best.codebook)
    assert np.array_equal(best.stream.decode(entries, best.codebook, weight.shape), weight)
    values = np.unique(weight)
    bits = int(entries.counts.sum()) * best.stream.entry_bits + 8 * len(best.codebook)
    formats = formats_for(engine, inputs, 3)
    assert len(formats) == 1 + max_gap_bits(inputs, 3, engine.taps_per_entry, 8)
    for form in formats:
        book = len(values) if form.stores_zeros else max(1, int(np.count_nonzero(values)))
        entries = int(form.counts(Places.of(weight)).sum())
        assert bits <= entries * form.coded(book).entry_bits + 8 * book


def test_fisher_of_a_linear_layer_is_the_closed_form():
    print("seed 0")
    generator = torch.Generator().manual_seed(0)
    weight = torch.zeros(3, 2, requires_grad=True)  # softmax is uniform: covariance known
    images = torch.randn(400, 8, 2, generator=generator)
    (found,) = fisher_diagonal(lambda x: x @ weight.T, [weight], images, generator)
    variance = 1 / 3 - 1 / 9
    expected = variance * images.pow(2).mean((0, 1)).expand(3, 2)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=0.3)


@pytest.mark.parametrize("levels", [2, 4, 32])
def test_a_layer_with_every_weight_kept_has_no_code_for_zero(levels):
    print("seed 0")
    rng = np.random.default_rng(0)
    layers = (
        conv(rng, "a", "input", 6, 3),
        conv(rng, "b", "a", 8, 6),
        conv(rng, "c", "b", 4, 8, relu=False),
    )
    chain = FloatNetwork("chain", (3, 8, 8), 255, (0.0,), (0.25,), layers)
    model = QatNetwork(chain)
    rows = [np.ones(len(layer.bias), dtype=bool) for layer in layers]
    rows[0][[0, 4]] = rows[1][3] = False  # channels that are not stored
    inputs = [np.ones(3, dtype=bool), rows[0], rows[1]]
    width = (levels - 1).bit_length()
    masks, costs = [], []
    for layer, row, column in zip(model.layers(), rows, inputs, strict=True):
        weight = layer.weight.detach().numpy()
        floor = np.zeros(weight.shape, dtype=bool)
        state = LayerState(weight, np.ones_like(weight), floor, 16, all_rows=False)
        table = layer_options(state, row, column, ENGINE)
        size = int(row.sum() * column.sum()) * 9
        full = (table.stored.nonzeros == size) & (table.stored.levels == levels)
        costs.append(size * width + 8 * levels)
        assert table.costs("stream")[full].min() == costs[-1]
        assert table.costs("rom")[full].min() == costs[-1] + 16 * row.sum()
        assert table.costs("payload")[full].min() == size * width
        option = Option(0, 0.0, size, levels, int(np.flatnonzero(full)[0]))
        masks.append(table.mask(option, weight.shape))
        assert masks[-1].sum() == masks[-1][np.ix_(row, column)].size == size
    counts = [levels] * 3
    whole = masked_network(model, masks, counts, 10, ENGINE)
    for layer, mask in zip(model.layers(), masks, strict=True):
        layer.set_projection(mask, np.linspace(-0.3, 0.3, levels))
        layer.freeze()
    pixels = torch.from_numpy(rng.integers(0, 256, (8, 3, 8, 8))).float()
    calibrate(model, pixels, ENGINE, 10, trained=True)
    exported = export(model, ENGINE, {})
    for network in (whole, exported):
        assert [layer.stream for layer in network.convs] == [Dense(width)] * 3
        # Of 32 values some may be no weight's.
        unused = [levels - layer.codebook_size for layer in network.convs]
        found = [layer.stream for layer in rom_cost(network, ENGINE).layers]
        assert [bits + 8 * n for bits, n in zip(found, unused, strict=True)] == costs
    assert {layer.codebook_size for layer in whole.convs} == {levels}
    assert all((layer.weight != 0).all() for layer in exported.convs)
