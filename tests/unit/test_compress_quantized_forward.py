"""The torch forward pass of integer networks against reference and simulator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks_with_images

from sqhw.compress import torch_logits
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.sim import reference
from sqhw.sim.simulator import Simulator


def make_conv(rng, name, source, inputs, outputs, kernel, signed, top=127):
    weight = rng.integers(-top, top + 1, (outputs, inputs, *kernel))
    weight[rng.random(weight.shape) < 0.5] = 0
    book = tuple(int(value) for value in np.unique(np.append(weight, 0)))
    return Conv(
        name=name,
        source=source,
        weight=weight.astype(np.int8),
        bias=rng.integers(-5000, 5000, outputs).astype(np.int32),
        multiplier=rng.integers(1, 256, outputs).astype(np.int32),
        shift=rng.integers(0, 20, outputs).astype(np.int32),
        stride=int(rng.integers(1, 3)),
        padding=tuple(int(n) for n in rng.integers(0, 3, 4)),
        codebook=book,
        stream=Dense(8),
        output=ActivationFormat(int(rng.integers(4, 9)), signed),
        weight_scale=np.ones(outputs),
        output_scale=1.0,
    )


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_equals_the_reference(seed):
    rng = np.random.default_rng(seed)
    a, b, c = (int(n) for n in rng.integers(1, 5, 3))
    layers = (
        make_conv(rng, "a", "input", a, b, (3, 2), bool(rng.integers(2))),
        MaxPool("pool", "a", 2, 1),
        make_conv(rng, "b", "pool", b, c, (1, 2), bool(rng.integers(2))),
    )
    network = QuantizedNetwork("random", (a, 9, 8), ActivationFormat(8, False), layers)
    images = rng.integers(0, 256, (2, a, 9, 8))
    expected = [reference.run(network, image)["b"].reshape(-1) for image in images]
    assert np.array_equal(torch_logits(network, images, batch=1), expected)


def test_sums_beyond_float32_stay_exact():
    print("seed 1")
    rng = np.random.default_rng(1)
    layer = make_conv(rng, "a", "input", 300, 3, (5, 5), True)
    layer.weight[...] = 127
    layer.weight[:, 0, 0, 0] = 126
    layer = Conv(**{**vars(layer), "codebook": (126, 127), "stride": 1, "padding": (0,) * 4})
    network = QuantizedNetwork("wide", (300, 5, 5), ActivationFormat(8, False), (layer,))
    assert layer.acc_bound(network.input_format).max() > 1 << 24
    images = rng.integers(0, 256, (3, 300, 5, 5))
    images[:, 0, 0, 0] = 255  # an odd total for some, which float32 cannot hold
    assert np.array_equal(torch_logits(network, images), Simulator(network).logits(images))


def test_no_images_give_no_logits():
    rng = np.random.default_rng(2)
    layer = Conv(**{**vars(make_conv(rng, "a", "input", 1, 3, (2, 2), True)), "stride": 1})
    network = QuantizedNetwork("none", (1, 2, 2), ActivationFormat(8, False), (layer,))
    width = int(np.prod(network.shapes()["a"]))
    assert torch_logits(network, np.empty((0, 1, 2, 2), np.uint8)).shape == (0, width)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_the_batch_size_does_not_matter(batch):
    rng = np.random.default_rng(3)
    layer = make_conv(rng, "a", "input", 2, 3, (3, 3), False)
    network = QuantizedNetwork("batch", (2, 6, 6), ActivationFormat(8, False), (layer,))
    images = rng.integers(0, 256, (20, 2, 6, 6))
    assert np.array_equal(torch_logits(network, images, batch=batch), torch_logits(network, images))


@settings(deadline=None, max_examples=60)
@given(networks_with_images(branches=True, min_code_bits=0))
def test_groups_and_residuals_equal_the_reference(case):
    network, images = case
    last = network.layers[-1].name
    expected = [reference.run(network, image)[last].reshape(-1) for image in images]
    assert np.array_equal(torch_logits(network, images), expected)
