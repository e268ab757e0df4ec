"""Simplification changes no output, on random small networks."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks_with_images

from sqhw.compiler.format_choice import cheapest_streams
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat, distinct_bytes
from sqhw.machine.stream import Dense, Gap, max_gap_bits
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.network.simplify import simplify
from sqhw.sim import reference


def make_conv(rng, name, source, shape, density, signed):
    out, inputs = shape[:2]
    weight = rng.integers(-3, 4, shape) * (rng.random(shape) < density)
    weight[rng.random(out) < 0.4] = 0  # channels without weights ...
    weight[:, rng.random(inputs) < 0.3] = 0  # ... and channels that nothing reads
    book = tuple(int(value) for value in np.unique(weight[weight != 0])) or (1,)
    gap_bits = int(rng.integers(1, max_gap_bits(inputs, shape[3], 2) + 1))
    bias = rng.integers(-6, 7, out) * (rng.random(out) < 0.5)
    return Conv(
        name=name,
        source=source,
        weight=weight.astype(np.int8),
        bias=bias.astype(np.int32),
        multiplier=rng.integers(1, 4, out).astype(np.int32),
        shift=rng.integers(0, 4, out).astype(np.int32),
        stride=1,
        padding=(1, 1, 1, 1),
        codebook=book,
        stream=Gap(gap_bits, 3),
        output=ActivationFormat(8, signed=signed),
        weight_scale=np.ones(out),
        output_scale=1.0,
    )


def make_network(seed):
    rng = np.random.default_rng(seed)
    channels = [int(n) for n in rng.integers(1, 7, 4)]
    layers = []
    source = "input"
    for index in range(3):
        shape = (channels[index + 1], channels[index], 3, 3)
        signed = bool(rng.integers(2))
        layers.append(make_conv(rng, f"conv{index}", source, shape, 0.2, signed))
        source = layers[-1].name
        if rng.random() < 0.4:
            layers.append(MaxPool(f"pool{index}", source, 2, 1))
            source = layers[-1].name
    shape = (channels[0], 5, 5)
    return QuantizedNetwork("random", shape, ActivationFormat(8, False), tuple(layers)), rng


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_every_output_is_the_same(seed):
    network, rng = make_network(seed)
    small = simplify(network)
    image = rng.integers(0, 256, network.input_shape)
    before, after = reference.run(network, image), reference.run(small, image)
    last = network.layers[-1].name
    assert np.array_equal(before[last], after[last])
    assert small.input_shape == network.input_shape
    assert small.nonzeros <= network.nonzeros
    assert [layer.name for layer in small.layers] == [layer.name for layer in network.layers]


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_nothing_is_left_to_remove(seed):
    small = simplify(make_network(seed)[0])
    assert simplify(small) is small


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_entries_pass_no_more_taps_than_before(seed):
    network, _ = make_network(seed)
    for before, after in zip(network.convs, simplify(network).convs, strict=True):
        assert isinstance(before.stream, Gap)
        taps = -(-before.stream.step // before.weight.shape[1])
        assert after.stream.step <= taps * after.weight.shape[1]


def chain(first, second):
    def conv(name, source, weight, bias):
        out = weight.shape[0]
        return Conv(
            name=name,
            source=source,
            weight=weight.astype(np.int8),
            bias=np.array(bias, dtype=np.int32),
            multiplier=np.ones(out, dtype=np.int32),
            shift=np.full(out, 2, dtype=np.int32),
            stride=1,
            padding=(0, 0, 0, 0),
            codebook=(1,),
            stream=Gap(1, 1),
            output=ActivationFormat(8, False),
            weight_scale=np.ones(out),
            output_scale=1.0,
        )

    layers = (conv("a", "input", *first), conv("b", "a", *second))
    return QuantizedNetwork("chain", (1, 2, 2), ActivationFormat(8, False), layers)


def test_a_bias_that_rounds_to_zero_is_dead_and_one_that_does_not_stays():
    first = (np.array([1, 0, 0, 0]).reshape(4, 1, 1, 1), [0, 1, 2, -9])  # 1/4 is 0, 2/4 is 1
    second = (np.ones((1, 4, 1, 1)), [0])
    small = simplify(chain(first, second))
    assert [layer.weight.shape[0] for layer in small.convs] == [2, 1]
    assert list(small.convs[0].bias) == [0, 2]


def test_an_unread_channel_goes_although_it_has_weights():
    first = (np.ones((3, 1, 1, 1)), [0, 0, 0])
    second = (np.array([1, 0, 1]).reshape(1, 3, 1, 1), [0])
    small = simplify(chain(first, second))
    assert small.convs[0].weight.shape == (2, 1, 1, 1)


def test_outputs_of_the_network_stay_even_if_dead():
    first = (np.ones((1, 1, 1, 1)), [0])
    second = (np.array([1, 0]).reshape(2, 1, 1, 1), [0, 0])
    assert simplify(chain(first, second)).convs[1].weight.shape[0] == 2


@settings(deadline=None, max_examples=100)
@given(networks_with_images(branches=True, min_code_bits=0))
def test_groups_residuals_and_branches_stay_exact(case):
    network, images = case
    smaller = simplify(network)
    last = network.layers[-1].name
    for image in images:
        expected = reference.run(network, image)[last]
        np.testing.assert_array_equal(reference.run(smaller, image)[last], expected)


def dense(network):
    """Return the network as `sqhw.compress.qat.assemble` makes it: dense streams only."""
    layers = []
    for layer in network.layers:
        if isinstance(layer, Conv) and layer.stream.entry_bits > 0:
            book = tuple(int(value) for value in distinct_bytes(layer.weight))
            layer = replace(layer, codebook=book, stream=Dense().coded(len(book)))
        layers.append(layer)
    return replace(network, layers=tuple(layers))


def assert_that_one_choice_does(network, engine):
    """Check that streams chosen before simplification too would be the same in the end."""
    before = dense(network)
    once = cheapest_streams(simplify(before), engine)
    twice = cheapest_streams(simplify(cheapest_streams(before, engine)), engine)
    for one, two in zip(once.convs, twice.convs, strict=True):
        assert (one.stream, one.codebook) == (two.stream, two.codebook)
        np.testing.assert_array_equal(one.weight, two.weight)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(networks_with_images(branches=True, min_code_bits=0), st.integers(1, 2))
def test_one_choice_of_streams_does_for_groups_residuals_and_branches(case, taps):
    assert_that_one_choice_does(case[0], EngineConfig(taps_per_entry=taps))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2))
def test_one_choice_of_streams_does_where_channels_go(seed, taps):
    assert_that_one_choice_does(make_network(seed)[0], EngineConfig(taps_per_entry=taps))
