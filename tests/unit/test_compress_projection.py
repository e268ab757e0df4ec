"""Floors, stream choice and Fisher: the parts that the projection is made of."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compress.fisher import fisher_diagonal
from sqhw.compress.float_network import FloatConv, FloatNetwork
from sqhw.compress.floor import floor_masks
from sqhw.engine import EngineConfig
from sqhw.format_choice import cheapest_stream
from sqhw.network import Conv
from sqhw.number import ActivationFormat
from sqhw.stream import StreamFormat, channel_order, count_entries, decode, encode, max_gap_bits


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
        stream=StreamFormat(0, 3),
        output=ActivationFormat(8, False),
        weight_scale=np.ones(outputs),
        output_scale=1.0,
    )
    engine = EngineConfig(taps_per_entry=int(rng.integers(1, 3)))
    best = cheapest_stream(layer, engine)
    entries = encode(best.weight, best.codebook, best.stream)
    assert np.array_equal(decode(entries, best.codebook, best.stream, weight.shape), weight)
    values = np.unique(weight)
    bits = int(entries.counts.sum()) * best.stream.entry_bits + 8 * len(best.codebook)
    for gap_bits in range(max_gap_bits(inputs, 3, engine.taps_per_entry, 8) + 1):
        book = len(values) if gap_bits == 0 else max(1, int(np.count_nonzero(values)))
        count = int(count_entries(channel_order(weight) != 0, gap_bits).sum())
        assert bits <= count * (gap_bits + max(1, (book - 1).bit_length())) + 8 * book


def test_fisher_of_a_linear_layer_is_the_closed_form():
    print("seed 0")
    generator = torch.Generator().manual_seed(0)
    weight = torch.zeros(3, 2, requires_grad=True)  # softmax is uniform: covariance known
    images = torch.randn(400, 8, 2, generator=generator)
    (found,) = fisher_diagonal(lambda x: x @ weight.T, [weight], images, generator)
    variance = 1 / 3 - 1 / 9
    expected = variance * images.pow(2).mean((0, 1)).expand(3, 2)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=0.3)
