"""Normalisation while layers learn: its formula, its statistics, and that it folds exactly."""

from functools import partial

import numpy as np
import pytest
import torch
from float_networks import chain_network, mobile_network, residual_network

from sqhw.compress.qat.convolution import LEAST_GAIN
from sqhw.compress.qat.folding import adopt, fold, normalise
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.qat.normalisation import EPSILON, Normalisation, _SharedNorm, estimate
from sqhw.compress.qat.state import load_state, stage_facts
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig

NETWORKS = [
    chain_network,
    residual_network,
    partial(residual_network, mean=(0.4, 0.5, 0.45), std=(0.2, 0.3, 0.2)),
    mobile_network,
]
BITS = 6


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Keep small operations from waiting for a core that another program holds."""
    with torch_threads(1):
        yield


def pixels(seed, count=32):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, 3, 8, 8)).astype(np.float32))


def normalised(make, seed, bits=BITS):
    """Return a model on codebooks whose hidden layers are normalised, without statistics."""
    rng = np.random.default_rng(seed)
    model = QatNetwork(make())
    for layer in model.learning_layers():
        top = float(layer.weight.detach().abs().max())
        layer.set_projection(rng.random(layer.weight.shape) < 0.6, np.linspace(-top, top, 4))
        layer.learn_gains(bits)
        if not layer.last:
            normalise(layer)
    return model


def trained(model, seed):
    """Change scales and biases as training would."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.learning_layers():
        if layer.norm is not None:
            with torch.no_grad():
                size = layer.norm.scale.shape
                layer.norm.scale.mul_(0.5 + torch.rand(size, generator=generator))
                layer.bias.add_(0.3 * torch.randn(layer.bias.shape, generator=generator))


def test_the_shared_normalisation_is_its_formula_and_so_are_its_gradients():
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(3, 4, 5, 5, dtype=torch.float64, generator=generator) + 2
    scale = torch.rand(1, dtype=torch.float64, generator=generator)
    bias = torch.randn(4, dtype=torch.float64, generator=generator)
    parts = [part.requires_grad_() for part in (y, scale, bias)]
    assert torch.autograd.gradcheck(lambda *parts: _SharedNorm.apply(*parts)[0], parts)
    each = y.var(dim=(0, 2, 3), correction=0)
    expected = (y - y.mean(dim=(0, 2, 3)).view(1, -1, 1, 1)) * scale / torch.sqrt(
        each.mean() + EPSILON
    ) + bias.view(1, -1, 1, 1)
    assert torch.allclose(_SharedNorm.apply(*parts)[0], expected, atol=1e-12)


@pytest.mark.parametrize("shared", [False, True])
def test_running_statistics_approach_those_of_the_batches(shared):
    norm = Normalisation(3, shared=shared).train()
    generator = torch.Generator().manual_seed(2)
    spread = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    for _ in range(80):
        y = spread * torch.randn(64, 3, 8, 8, generator=generator) + spread
        norm(y, torch.zeros(3))
    assert torch.allclose(norm.mean, torch.tensor([1.0, 2.0, 3.0]), atol=0.05)
    expected = torch.tensor([14 / 3]) if shared else torch.tensor([1.0, 4.0, 9.0])
    assert torch.allclose(norm.variance, expected, rtol=0.05)


@pytest.mark.parametrize("shared", [False, True])
def test_one_value_a_channel_is_normalised_by_the_running_statistics(shared):
    norm = Normalisation(3, shared=shared)
    norm.take(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 4.0, 4.0]))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    y = torch.tensor([3.0, 2.0, -1.0]).view(1, 3, 1, 1)
    found = norm.train()(y, torch.tensor([0.5, 0.0, 0.0]))
    assert torch.allclose(found.flatten(), torch.tensor([1.5, 0.0, -2.0]), atol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


@pytest.mark.parametrize("make", NETWORKS)
def test_a_normalisation_that_adopts_its_statistics_changes_nothing(make):
    model = normalised(make, 3).eval()
    images = pixels(3)
    for layer in model.learning_layers():
        layer.norm, kept = None, layer.norm
        layer.kept = kept
    before = model(images).detach()
    for layer in model.learning_layers():
        layer.norm = layer.kept
        del layer.kept
    estimate(model, [images], training=False)
    for layer in model.learning_layers():
        if layer.norm is not None:
            adopt(layer.norm, layer.bias)
    after = model(images)
    assert torch.allclose(before, after, atol=1e-4 * float(before.abs().max()))
    # By its own statistics the batch gives the same.
    batch = model.train()(images)
    if make is not mobile_network:  # depthwise maps of dead channels: EPSILON is not nothing there
        assert torch.allclose(before, batch, atol=1e-2 * float(before.abs().max()))


@pytest.mark.parametrize("bits", [0, BITS])
@pytest.mark.parametrize("make", NETWORKS)
def test_normalisations_fold_exactly(make, bits):
    model = normalised(make, 4, bits).double()
    images = pixels(4).double()
    estimate(model, [images], training=False)
    for layer in model.learning_layers():
        if layer.norm is not None:
            adopt(layer.norm, layer.bias)
    trained(model, 4)
    estimate(model, list(torch.split(images, 8)), training=True)
    before = model.eval()(images).detach()
    values = [len(layer.codebook) for layer in model.learning_layers()]
    for layer in model.learning_layers():
        fold(layer)
        assert layer.norm is None
        if not layer.gain_bits:
            assert bool((layer.gain == 1).all())
    after = model(images)
    assert [len(layer.codebook) for layer in model.learning_layers()] == values
    # Gains are a third to 1 here: LEAST_GAIN, which the next test looks at, cuts none.
    assert torch.allclose(before, after, rtol=1e-9, atol=1e-9 * float(before.abs().max()))


def test_a_folded_layer_has_gains_in_their_range_and_1_for_dead_channels():
    model = normalised(chain_network, 5)
    layer = model.learning_layers()[0]
    with torch.no_grad():
        layer.mask[3] = 0
        layer.norm.scale[5] = 1e-4
        layer.norm.scale[6] = -2.0
    estimate(model, [pixels(5)], training=True)
    factor = layer.norm.factor()
    fold(layer)
    gain = layer.gain.detach()
    assert gain[3] == 1.0
    assert gain[5] == pytest.approx(LEAST_GAIN)
    assert float(gain.max()) == 1.0
    assert float(gain.min()) > 0
    live = [at for at in range(len(gain)) if at not in (3, 5)]
    common = factor[[at for at in range(len(gain)) if at != 3]].max()
    assert torch.allclose(gain[live] * common, factor[live])
    assert bool((model.eval()(pixels(6)).isfinite()).all())


def test_a_channel_that_hardly_varies_does_not_magnify_the_others():
    model = normalised(chain_network, 9)
    layer = model.learning_layers()[0]
    estimate(model, [pixels(9)], training=True)
    others = [at for at in range(len(layer.bias)) if at != 2]
    with torch.no_grad():
        layer.norm.scale.copy_(torch.sqrt(layer.norm.variance + EPSILON))  # factors of 1
        layer.norm.variance[2] = 1e-4
        layer.norm.scale[2] = 1.0  # a factor of a hundred
    factor = layer.norm.factor().detach()
    assert float(factor[2]) > 90
    assert torch.allclose(factor[others], torch.ones(len(others)), rtol=1e-3)
    fold(layer)
    gain = layer.gain.detach()
    assert torch.allclose(gain, torch.ones_like(gain), rtol=1e-3)


def test_the_state_of_a_normalised_model_can_be_taken_back():
    model = normalised(residual_network, 7)
    trained(model, 7)
    estimate(model, [pixels(7)], training=True)
    other = QatNetwork(residual_network())
    load_state(other, model.state_dict(), stage_facts(model), EngineConfig(residuals=True))
    images = pixels(8)
    assert torch.equal(model.eval()(images), other.eval()(images))
    gains = [layer.gain.requires_grad for layer in other.learning_layers()]
    assert gains == [layer.gain.requires_grad for layer in model.learning_layers()]
