"""Gains of output channels: multipliers of their own, learned, and what they cost."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from float_networks import chain_network, mobile_network, residual_network

from sqhw.compiler.program import compile_network
from sqhw.compress import torch_logits
from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.choice.masked import masked_network
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.convolution import LEAST_GAIN
from sqhw.compress.qat.integers import held_gain_bits
from sqhw.compress.qat.invariants import fits_accumulator
from sqhw.compress.qat.network import QatNetwork
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_cost
from sqhw.frontends.torch_module.float_module import predict
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.sim.simulator import Simulator

ENGINE = EngineConfig(groups=True, residuals=True)
DEVICE = find_device("iCE40UP5K")
BITS = 5
NETWORKS = [residual_network, partial(residual_network, std=(0.2, 0.3, 0.2)), mobile_network]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Keep small operations from waiting for a core that another program holds."""
    with torch_threads(1):
        yield


def pixels(seed, count=24):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, 3, 8, 8)).astype(np.float32))


def with_gains(network, seed, bits=BITS):
    """Return a model on codebooks with gains from a quarter to twice."""
    rng = np.random.default_rng(seed)
    model = QatNetwork(network)
    for layer in model.layers():
        top = float(layer.weight.detach().abs().max())
        layer.set_projection(rng.random(layer.weight.shape) < 0.6, np.linspace(-top, top, 6))
        layer.learn_gains(bits)
        with torch.no_grad():
            layer.gain.copy_(torch.from_numpy(2 ** rng.uniform(-2, 1, len(layer.gain))))
    return model


def on_integers(model, images, bias_bits=10):
    for layer in model.layers():
        layer.freeze()
    calibrate(model, images, ENGINE, bias_bits=bias_bits, trained=True)
    return model


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_engine_computes_what_a_model_with_gains_does(make, seed):
    images = pixels(seed)
    model = on_integers(with_gains(make(), seed), images)
    found = export(model, ENGINE, {})
    logits = torch.round(predict(model, images) / model.output_scale).numpy()
    raw = images.numpy().astype(np.uint8)
    assert np.array_equal(Simulator(found).logits(raw), logits)
    assert np.array_equal(torch_logits(found, raw), logits)


@pytest.mark.parametrize("make", NETWORKS)
def test_multipliers_differ_by_the_bits_that_are_allowed_and_only_where_they_may(make):
    model = on_integers(with_gains(make(), 0), pixels(0))
    found = {layer.name: layer for layer in export(model, ENGINE, {}).convs}
    differ = []
    for layer in model.layers():
        multiplier = found[layer.layer.name].multiplier
        spread = int(multiplier.max()) - int(multiplier.min())
        if layer.layer.residual or layer.layer.ceiling is not None:
            assert spread == 0
            assert not layer.gain_bits
        else:
            assert spread < 1 << BITS
            differ.append(spread)
    assert not differ or max(differ) > 1 << (BITS - 2)
    assert differ or make is mobile_network


def test_integers_are_near_the_real_numbers_they_stand_for():
    images = pixels(2, 200)
    model = with_gains(residual_network(), 2, bits=8)
    real = predict(model, images)
    whole = predict(on_integers(model, images, bias_bits=16), images)
    assert float((whole - real).pow(2).mean()) < 5e-3 * float(real.var())


def test_training_computes_nearly_what_the_engine_does():
    images = pixels(2)
    model = on_integers(with_gains(residual_network(), 2), images)
    first = model.layers()[0]
    with torch.no_grad():
        exact = first(images, {})
        first.exact = False
        apart = (first(images, {}) - exact).abs()
    assert float(apart.max()) <= 1
    assert float(apart.mean()) < 0.01


@pytest.mark.parametrize("whole", [False, True])
def test_the_gradient_of_a_gain_is_that_of_its_channel(whole, monkeypatch):
    images = pixels(3)
    model = with_gains(residual_network(), 3)
    if whole:
        on_integers(model, images)
        model.set_exact(False)
    layer = model.layers()[0]
    used = []
    honest = layer.real_weight

    def real_weight():
        weight = honest()
        weight.retain_grad()
        used.append(weight)
        return weight

    monkeypatch.setattr(layer, "real_weight", real_weight)
    model(images).square().mean().backward()
    (weight,) = used
    scale = layer.real_gain().detach()
    expected = (weight.detach() * weight.grad).sum(dim=(1, 2, 3)) / scale
    assert float(layer.gain.grad.abs().min()) > 0
    # The bias does not scale with the gain; what is left of it is its rounding.
    bound = (0.02 if whole else 1e-4) * float(expected.abs().max())
    assert float((layer.gain.grad - expected).abs().max()) <= bound


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_budgeted_covers_the_gains(make, seed):
    model = with_gains(make(), seed)
    masks = [layer.mask.numpy() > 0 for layer in model.layers()]
    levels = [len(layer.codebook) for layer in model.layers()]
    budgeted = rom_cost(masked_network(model, masks, levels, 10, ENGINE), ENGINE)
    found = rom_cost(export(on_integers(model, pixels(seed)), ENGINE, {}), ENGINE)
    assert found.rom <= budgeted.rom
    plain = with_gains(make(), seed, bits=0)
    assert rom_cost(masked_network(plain, masks, levels, 10, ENGINE), ENGINE).rom < budgeted.rom


@pytest.mark.parametrize("acc_bits", [18, 20, 24])
@pytest.mark.parametrize("gain", [-0.5, 0.0, 0.03, 0.05, 0.3])
@pytest.mark.parametrize("bias", [1.0, 4.0])
def test_a_small_gain_keeps_the_accumulator_in_range(acc_bits, gain, bias):
    images = pixels(0, 64)
    model = with_gains(chain_network(), 0, bits=6)
    layer = model.layers()[1]
    with torch.no_grad():
        layer.gain.fill_(1.0)
        layer.gain[0], layer.bias[0] = gain, bias
    engine = replace(ENGINE, acc_bits=acc_bits)
    for step in model.layers():
        step.freeze()
    calibrate(model, images, engine, bias_bits=10, trained=True)
    assert fits_accumulator(model, engine)
    found = export(model, engine, {})
    compile_network(found, engine)
    logits = torch.round(predict(model, images) / model.output_scale).numpy()
    assert np.array_equal(Simulator(found).logits(images.numpy().astype(np.uint8)), logits)


def test_a_gain_below_zero_comes_back():
    layer = with_gains(residual_network(), 0).layers()[0]
    with torch.no_grad():
        layer.gain[0] = -0.01
    assert float(layer.real_gain()[0].detach()) == pytest.approx(LEAST_GAIN)
    layer.real_weight().abs().sum().backward()
    assert float(layer.gain.grad[0]) > 0


@pytest.mark.parametrize(("mult_bits", "bits"), [(1, 0), (2, 1), (6, 5), (8, 6)])
def test_gains_are_no_wider_than_the_engine_has_multipliers(mult_bits, bits):
    assert held_gain_bits(6, replace(ENGINE, mult_bits=mult_bits)) == bits
