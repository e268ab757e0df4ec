"""Weights that are next to nothing go, instead of becoming the smallest level."""

import numpy as np
import pytest
import torch
from float_networks import average, conv, residual_network

from sqhw.compress import import_module
from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.compress.calibration.random_network import random_quantized
from sqhw.compress.methods.layer_codebook import whole
from sqhw.compress.methods.result import integer_network
from sqhw.compress.qat.quantized_forward import torch_logits
from sqhw.compress.quantizers.codebook import Codebook
from sqhw.cost_models.rom import rom_cost
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.frontends.zoo.mobilenet import Separable
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv, FloatNetwork

ENGINE = EngineConfig(groups=True, residuals=True, mult_bits=12, word_bits=18, bank_depth=4096)


def linear_network(weight):
    """Return one linear layer on as many pixels as it has columns."""
    bias = np.zeros(len(weight), np.float32)
    layer = FloatConv("fc", "input", weight[:, :, None, None], bias, kind="linear")
    return FloatNetwork("linear", (weight.shape[1], 1, 1), 255, (0.0,), (1.0,), (layer,))


def pixels(network, count=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *network.input_shape))


def tiny_weights(large=(1.0, -0.5), shape=(2, 16)):
    """Return a matrix of some weights and many that are next to nothing."""
    rng = np.random.default_rng(1)
    weight = (1e-6 * rng.choice([-1.0, 1.0], shape)).astype(np.float32)
    weight[np.arange(len(large)) % shape[0], np.arange(len(large))] = large
    return weight


def output_error(network, small, images):
    real = predict(FloatModule(network), images).numpy()
    found = torch_logits(small, images) * small.convs[-1].output_scale
    return np.sqrt(((found - real) ** 2).mean() / (real**2).mean())


@pytest.mark.parametrize("bits", range(1, 9))
def test_weights_next_to_nothing_go(bits):
    network = linear_network(tiny_weights())
    small = quantize(network, pixels(network), ENGINE, settings=QuantizeSettings(bits=bits))
    assert small.convs[0].nonzeros == 2
    assert output_error(network, small, pixels(network, seed=1)) < 0.008


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_more_values_than_codes_leave_none_for_nothing(bits):
    large = np.linspace(0.3, 1.0, 24) * np.where(np.arange(24) % 2, 1, -1)
    network = linear_network(tiny_weights(large, (3, 64)))
    small = quantize(network, pixels(network), ENGINE, settings=QuantizeSettings(bits=bits))
    assert small.convs[0].nonzeros == 24
    assert len(small.convs[0].codebook) <= 1 << bits


def test_a_weight_goes_that_is_nearer_to_zero_than_to_its_value():
    rng = np.random.default_rng(2)
    network = linear_network(rng.normal(size=(8, 200)).astype(np.float32))
    weight = network.convs[0].weight
    for bits in (1, 2, 3):
        small = quantize(
            network, pixels(network), ENGINE, settings=QuantizeSettings(bits=bits)
        ).convs[0]
        found = small.weight * small.weight_scale[:, None, None, None]
        for real, row in zip(weight, found, strict=True):  # each with its gain
            for sign in (-1, 1):
                least = (sign * row)[sign * row > 0].min()
                assert (sign * real)[row == 0].max() <= 0.52 * least
                assert (sign * real)[sign * row > 0].min() >= 0.48 * least


def test_a_full_layer_takes_no_more_bits_for_its_zeros():
    rng = np.random.default_rng(3)
    network = linear_network(rng.normal(size=(32, 64)).astype(np.float32))
    small = quantize(network, pixels(network), ENGINE, settings=QuantizeSettings(bits=4))
    assert 0 < small.convs[0].nonzeros < 2048
    assert rom_cost(small, ENGINE).stream <= 2048 * 4 + 16 * 8


def test_a_value_that_an_accumulator_makes_zero_goes():
    """Sums so long that few steps fit the accumulator: what is below half a step is 0, not 1."""
    weight = np.full((2, 2000), 0.02, np.float32)
    weight[:, :1000] = 1.0
    network = linear_network(weight)
    narrow = EngineConfig(acc_bits=20, word_bits=18, bank_depth=4096)
    small = quantize(network, pixels(network), narrow, settings=QuantizeSettings(bits=2)).convs[0]
    assert small.weight.max() < 10
    assert not small.weight[:, 1000:].any()
    given = integer_network(network, pixels(network), narrow, {}).convs[0]
    assert not given.weight[:, 1000:].any()


def test_a_residual_network_keeps_no_weight_below_half_of_its_step():
    network = residual_network()
    for layer in network.convs:
        if layer.trained:
            layer.weight[:, ::2] *= 1e-5
    small = quantize(network, pixels(network), ENGINE, settings=QuantizeSettings(bits=4))
    for layer, real in zip(small.convs, network.convs, strict=True):
        if real.trained and layer.weight.shape == real.weight.shape:
            assert not layer.weight[np.abs(real.weight) < 1e-4].any(), layer.name


def test_random_networks_keep_their_density():
    small = random_quantized(residual_network(), ENGINE, 0.5, 2, 0)
    for layer in small.convs:
        if layer.kind != "avgpool":
            assert layer.nonzeros == round(0.5 * layer.weight.size)


def test_codebooks_on_a_grid_have_a_zero_for_what_is_next_to_nothing():
    book = whole(Codebook.nearest([-1.0, -0.001, 0.003, 0.5]), None)
    assert np.allclose(book.levels * 127, [-127, 0, 64])


def heavy_tailed_network():
    """Return a MobileNet-like network most of whose weights have died, as weight decay leaves."""
    rng = np.random.default_rng(4)
    layers = [conv(rng, "stem", "input", 8, 3, stride=2)]
    channels = 8
    for index, (width, stride) in enumerate(((32, 1), (64, 2), (64, 1), (128, 2))):
        source = layers[-1].name
        layers.append(
            conv(rng, f"d{index}", source, channels, channels, groups=channels, stride=stride)
        )
        layers.append(conv(rng, f"p{index}", f"d{index}", width, channels, kernel=1))
        channels = width
    layers.append(average("mean", layers[-1].name, channels, 2))
    layers.append(conv(rng, "fc", "mean", 10, channels, kernel=1, relu=False, kind="linear"))
    for layer in layers:
        if layer.kind == "conv" and layer.groups == 1:
            dead = rng.random(layer.weight.shape) < 0.97
            layer.weight[dead] *= np.exp(rng.normal(-14, 1.5, int(dead.sum())))
    return FloatNetwork("heavy", (3, 16, 16), 255, (0.0,), (0.25,), tuple(layers))


def test_fewer_weights_of_fewer_bits_are_smaller_where_weights_have_died():
    network = heavy_tailed_network()
    parts = [layer.weight[layer.weight != 0] for layer in network.convs if layer.groups == 1]
    assert np.mean(np.abs(np.concatenate(parts)) < 1e-5) > 0.5
    batch = pixels(network, 20)
    few = quantize(network, batch, ENGINE, settings=QuantizeSettings(density=0.2, bits=4))
    many = quantize(network, batch, ENGINE, settings=QuantizeSettings(density=0.5, bits=8))
    assert rom_cost(few, ENGINE).rom < 0.9 * rom_cost(many, ENGINE).rom


class WakeWords(torch.nn.Module):
    """MobileNetV1 of a quarter of the channels on 96x96 pixels, as MLPerf Tiny has it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 8, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(8)
        widths = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5]
        blocks, channels = [], 8
        for width, stride in [*widths, (256, 2), (256, 1)]:
            blocks.append(Separable(channels, width, stride))
            channels = width
        self.blocks, self.last = torch.nn.Sequential(*blocks), torch.nn.Linear(channels, 2)

    def forward(self, x):
        return self.last(self.blocks(torch.relu(self.norm(self.conv(x)))).mean((2, 3)))


@pytest.mark.slow
def test_fewer_and_narrower_weights_take_less_where_most_have_decayed():
    """Random weights, of which 96 % of the pointwise ones are next to nothing: sizes only."""
    torch.manual_seed(0)
    module, images = WakeWords(), np.random.default_rng(0).integers(0, 256, (16, 3, 96, 96))
    with torch.no_grad():
        for _ in range(3):  # statistics of the batch normalisation
            module(torch.from_numpy(images).float() / 255)
        for layer in module.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (1, 1):
                size = layer.weight.abs()
                limit = size.flatten().kthvalue(int(0.96 * size.numel())).values
                layer.weight.mul_(torch.where(size <= limit, 1e-5, 1.0))
    network = import_module(module.eval(), (3, 96, 96), input_max=255)
    engine = EngineConfig(groups=True, mult_bits=12, word_bits=18, bank_depth=1 << 14)
    found = [
        quantize(network, images, engine, settings=QuantizeSettings(bits=bits, density=density))
        for bits, density in ((4, 0.2), (8, 0.5))
    ]
    little, much = (rom_cost(small, engine).rom for small in found)
    assert little < 0.7 * much
    sizes = {layer.name: layer.weight.size for layer in network.convs if layer.kind == "conv"}
    for small in found:
        pointwise = [c for c in small.convs if c.kernel == (1, 1) and c.name in sizes]
        assert len(pointwise) == 13
        for layer in pointwise:
            assert layer.nonzeros <= 0.04 * sizes[layer.name] + 1, layer.name
