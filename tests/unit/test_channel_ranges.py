"""Channels of different ranges keep their signal, and layers that lose some are named."""

import re

import numpy as np
import pytest
import torch
from float_networks import average, conv, mobile_network, residual_network

from sqhw.compiler.program import compile_network
from sqhw.compress.calibration import oneshot
from sqhw.compress.calibration.equalise import equalised, map_facts
from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.compress.qat.quantized_forward import torch_logits
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.sim.simulator import Simulator

ENGINE = EngineConfig(groups=True, residuals=True, word_bits=18, codebook_addr_bits=12)


def pixels(network, count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *network.input_shape))


def depthwise_network(ratio, ceiling=None):
    """Return a network whose depthwise layer has channel ranges of 1:ratio, made up for behind."""
    rng = np.random.default_rng(5)
    layers = (
        conv(rng, "stem", "input", 16, 3),
        conv(rng, "dw", "stem", 16, 16, groups=16, ceiling=ceiling),
        conv(rng, "pw", "dw", 12, 16, kernel=1, relu=False, kind="conv"),
    )
    share = ratio ** -np.linspace(0, 1, 16).astype(np.float32)
    layers[1].weight[:] *= share[:, None, None, None]
    layers[1].bias[:] *= share
    layers[2].weight[:] /= share[None, :, None, None]
    return FloatNetwork("ranges", (3, 8, 8), 255, (0.0,), (0.25,), layers)


def wide_ranges():
    return depthwise_network(1000)


def even_network(network, images):
    return equalised(network, map_facts(network, torch.from_numpy(images.astype(np.float32))))


def only(patch, name):
    """Let channels have one way of scales only, none at all where that changes nothing."""
    every = oneshot.scalings

    def ways(*facts):
        return [way for way in every(*facts) if way.name == name] or every(*facts)[:1]

    patch.setattr(oneshot, "scalings", ways)


def snr(network, **options):
    small = quantize(network, pixels(network), ENGINE, settings=QuantizeSettings(**options))
    images = pixels(network, 50, 1)
    real = predict(FloatModule(network), images).numpy()
    found = torch_logits(small, images) * small.convs[-1].output_scale
    compile_network(small, ENGINE)
    return 10 * np.log10(real.var() / (found - real).var())


@pytest.mark.parametrize("ratio", [10, 100, 1000])
@pytest.mark.parametrize("bits", [4, 8])
def test_depthwise_channels_of_any_range_keep_their_signal(ratio, bits):
    uniform = snr(depthwise_network(1), bits=bits)
    assert uniform > {4: 12, 8: 30}[bits]
    assert snr(depthwise_network(ratio), bits=bits) > uniform - 3


@pytest.mark.parametrize("make", [residual_network, mobile_network, wide_ranges])
def test_an_equalised_network_is_equal(make):
    network = make()
    images = pixels(network)
    even = even_network(network, images)
    real, found = (predict(FloatModule(one), images).numpy() for one in (network, even))
    assert np.allclose(found, real, rtol=1e-4, atol=1e-5 * np.abs(real).max())


def test_maps_behind_poolings_are_equalised_and_skips_are_not():
    rng = np.random.default_rng(6)
    layers = [
        conv(rng, "a", "input", 8, 3),
        average("mean", "a", 8, 2, stride=2),
        conv(rng, "b", "mean", 8, 8, relu=False),
    ]
    layers[0].weight[::2] *= 1e-3
    layers[0].bias[::2] *= 1e-3
    layers[2].weight[:, ::2] *= 1e3
    network = FloatNetwork("pooled", (3, 8, 8), 255, (0.0,), (0.25,), tuple(layers))
    even = even_network(network, pixels(network)).layers
    assert np.abs(even[0].weight[0]).max() > 10 * np.abs(layers[0].weight[0]).max()
    assert np.abs(even[2].weight[:, 0]).max() < 0.1 * np.abs(layers[2].weight[:, 0]).max()
    assert np.array_equal(even[1].weight, layers[1].weight)
    skips = residual_network()
    same = even_network(skips, pixels(skips)).layers
    for name in ("stem", "a2", "b2", "c2"):
        at = [layer.name for layer in skips.layers].index(name)
        if name in {"stem", "a2"}:
            assert np.abs(same[at].bias - skips.layers[at].bias).max() == 0


@pytest.mark.parametrize("ratio", [30, 100])
def test_rows_of_different_ranges_have_gains(ratio, monkeypatch):
    """In the last layer nothing behind can take up a scale: the multipliers of the engine do."""
    only(monkeypatch, "gains")
    network = depthwise_network(1)
    share = ratio ** -np.linspace(0, 1, 12).astype(np.float32)
    network.layers[2].weight[:] *= share[:, None, None, None]
    network.layers[2].bias[:] *= share
    small = quantize(network, pixels(network), ENGINE, settings=QuantizeSettings(bits=8))
    last = small.convs[-1]
    assert len(set(last.multiplier.tolist())) > 4
    assert (np.abs(last.weight).max(axis=(1, 2, 3)) > 20).all()
    batch = pixels(network, 20, 2)
    assert np.array_equal(torch_logits(small, batch), Simulator(small).logits(batch))
    real = network.layers[2].weight
    scaled = last.weight * last.weight_scale[:, None, None, None]
    for row in range(12):
        slope = np.linalg.lstsq(scaled[row].reshape(-1, 1), real[row].reshape(-1), rcond=None)[0]
        assert slope[0] > 0


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("make", [lambda: depthwise_network(1), wide_ranges, residual_network])
def test_the_way_that_is_taken_is_the_most_exact(make, bits, monkeypatch):
    """No way alone has more than 1 dB less noise on other images."""
    network = make()
    taken = snr(network, bits=bits)
    for name in ("none", "gains", "factors", "factors, gains"):
        with monkeypatch.context() as patch:
            only(patch, name)
            assert snr(network, bits=bits) < taken + 1


def test_ways_that_change_nothing_are_not_tried(monkeypatch):
    tried = []
    choose = oneshot.best_scaling
    monkeypatch.setattr(
        oneshot, "best_scaling", lambda ways, *more: tried.append(ways) or choose(ways, *more)
    )
    network = depthwise_network(1)
    one = EngineConfig(groups=True, word_bits=18, mult_bits=1, codebook_addr_bits=12)
    for layer in network.layers[:2]:  # channels of one range
        layer.weight[:] = 0.01
        layer.bias[:] = 0.0
    for engine in (ENGINE, one):
        quantize(network, pixels(network), engine)
    assert [[way.name for way in ways] for ways in tried] == [["none", "gains"], ["none"]]


def test_even_channels_have_no_notes():
    network = depthwise_network(1)
    for layer in network.layers:
        layer.weight[:] = np.sign(layer.weight) * 0.2
    small = quantize(network, pixels(network), ENGINE, settings=QuantizeSettings(bits=8))
    assert "notes" not in small.metadata


def test_an_accumulator_that_is_too_narrow_is_noted():
    network = depthwise_network(1)
    narrow = EngineConfig(groups=True, word_bits=18, acc_bits=16, codebook_addr_bits=12)
    notes = quantize(network, pixels(network), narrow).metadata["notes"]
    assert "layer 'pw': its signal is " in notes or "layer 'stem': its signal is " in notes
    assert "an accumulator of 16 bits leaves" in notes
    assert "--acc-bits 2" in notes
    wide = quantize(network, pixels(network), ENGINE).metadata
    assert "notes" not in wide


def test_channels_beside_a_skip_are_noted():
    network = residual_network()
    at = [layer.name for layer in network.layers].index("b2")
    network.layers[at].weight[6:] *= 1e-3  # channels that the skip does not reach
    for layer in network.layers[at + 1 : at + 3]:
        layer.weight[:, 6:] *= 1e3
    notes = quantize(network, pixels(network), ENGINE).metadata["notes"]
    assert "layer 'b2': 1 of its 8 channels vary by less than a quarter of a unit" in notes
    assert "its skip connection fixes" in notes
    network.layers[at].weight[6:] *= 40.0
    for layer in network.layers[at + 1 : at + 3]:
        layer.weight[:, 6:] /= 40.0
    notes = quantize(network, pixels(network), ENGINE).metadata["notes"]
    assert "layer 'b2': its signal is " in notes
    assert "cannot have gains beside a skip connection" in notes


def test_channels_below_a_ceiling_are_noted():
    """Their factor cannot pass through the ReLU6."""
    network = depthwise_network(3000, ceiling=6.0)
    notes = quantize(network, pixels(network), ENGINE).metadata["notes"]
    assert "layer 'dw': " in notes
    assert "its ReLU with a ceiling fixes" in notes
    assert "skip" not in notes


def test_gains_of_few_bits_are_noted(monkeypatch):
    network = depthwise_network(1)
    share = 60 ** -np.linspace(0, 1, 16).astype(np.float32)
    network.layers[1].weight[:] *= share[:, None, None, None]
    network.layers[1].bias[:] *= share
    network.layers[2].weight[:] /= share[None, :, None, None]
    only(monkeypatch, "gains")
    found = []
    for bits in (1, 2, 8):
        engine = EngineConfig(groups=True, word_bits=18, mult_bits=bits, codebook_addr_bits=12)
        notes = quantize(network, pixels(network), engine).metadata.get("notes", "")
        assert "skip" not in notes
        found.append("an engine of more mult_bits would" in notes)
    assert found == [True, True, False]


def test_notes_are_a_handful_and_the_worst_come_first():
    network = residual_network()
    for layer in network.layers:
        if isinstance(layer, FloatConv) and layer.trained:
            layer.bias[:] = -100.0 if layer.name == "stem" else layer.bias
            layer.weight[::2] *= 1e-3
    narrow = EngineConfig(groups=True, residuals=True, word_bits=18, acc_bits=16)
    notes = quantize(network, pixels(network), narrow).metadata["notes"].splitlines()
    assert len(notes) == 6
    assert "its output is the same" in notes[0]
    assert re.fullmatch(r"and \d+ more such notes, on layers with less noise", notes[-1])


def test_a_constant_layer_is_noted():
    network = depthwise_network(1)
    network.layers[1].bias[:] = -100.0
    notes = quantize(network, pixels(network), ENGINE).metadata["notes"]
    assert "layer 'dw': its output is the same for all calibration images" in notes
