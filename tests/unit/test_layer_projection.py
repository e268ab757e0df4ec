"""Each of the three rules that drop small weights, with the others out of the way."""

import numpy as np
import pytest
import torch
from float_networks import conv

from sqhw.compress.calibration.equalise import map_facts, telling_channels, worth_keeping
from sqhw.compress.calibration.layer_projection import project_layer
from sqhw.compress.qat.network import QatNetwork
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv, FloatNetwork

ENGINE = EngineConfig(mult_bits=12, word_bits=18)
SMALL = 1e-3


def linear_layer(weight):
    """Return the layer of a linear network."""
    bias = np.zeros(len(weight), np.float32)
    layer = FloatConv("fc", "input", weight[:, :, None, None], bias, kind="linear")
    network = FloatNetwork("linear", (weight.shape[1], 1, 1), 255, (0.0,), (1.0,), (layer,))
    return next(iter(QatNetwork(network).learning_layers()))


def projected(weight, bits):
    """Return mask and codebook of a layer all of whose weights may be kept."""
    layer = linear_layer(weight.astype(np.float32))
    worth = np.ones(layer.weight.shape, dtype=bool)
    project_layer(layer, 1.0, bits, None, worth, ENGINE)
    return layer.mask.numpy()[:, :, 0, 0] > 0, np.sort(layer.codebook.detach().numpy())


def test_weights_of_channels_without_information_go_before_they_have_a_scale():
    rng = np.random.default_rng(0)
    layers = (conv(rng, "a", "input", 4, 3), conv(rng, "b", "a", 5, 4))
    layers[0].weight[1] *= SMALL  # next to nothing reaches b
    layers[0].bias[1] = 0.0
    layers[0].weight[2] *= SMALL  # b makes up for it
    layers[0].bias[2] *= SMALL
    layers[1].weight[:, 2] /= SMALL
    network = FloatNetwork("two", (3, 8, 8), 255, (0.0,), (0.25,), layers)
    pixels = torch.from_numpy(rng.integers(0, 256, (20, 3, 8, 8)).astype(np.float32))
    facts = map_facts(network, pixels)
    worth = worth_keeping(network, telling_channels(network, facts))["a"]
    assert not worth[1].any()
    assert worth[2].all()
    rows = []
    for kept in (worth, np.ones_like(worth)):
        layer = next(iter(QatNetwork(network).learning_layers()))
        project_layer(layer, 1.0, 8, float(facts["a"].largest.max()), kept, ENGINE)
        rows.append(layer.mask.numpy().any(axis=(1, 2, 3)))
    assert rows[0].tolist() == [True, False, True, True]
    assert rows[1].all()  # no later rule drops a channel that has a gain


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_below_half_of_a_step_go(bits):
    weight = np.linspace(-1.0, 1.0, 64).reshape(2, 32)
    weight[:, ::2] = 0.49 / 127
    weight[0, 0] = 0.51 / 127
    mask, _ = projected(weight, bits)
    assert not mask[:, 2::2].any()
    if bits == 8:
        assert mask[0, 0]


def test_weights_below_half_of_a_step_take_no_value_of_others():
    large = np.random.default_rng(1).uniform(0.2, 1.0, (4, 16))
    small = np.full((4, 200), 0.49 / 127)
    _, alone = projected(large, 3)
    mask, together = projected(np.concatenate((large, small), axis=1), 3)
    assert np.array_equal(together, alone)
    assert mask[:, :16].all()
    assert not mask[:, 16:].any()


def test_weights_go_that_are_nearer_to_zero_than_to_a_value():
    weight = np.array([[1.0, 0.9, 0.3, 0.6, -1.0, -0.9, -0.3, -0.6]])
    mask, values = projected(weight, 1)
    assert np.allclose(values, [-2.5 / 3, 2.5 / 3])
    assert mask[0].tolist() == [True, True, False, True, True, True, False, True]
