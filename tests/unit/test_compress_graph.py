"""Compression of graphs: skips, groups, average pooling and the input stage on exact integers."""

import numpy as np
import pytest
import torch
from float_networks import average, conv, mobile_network, residual_network

from sqhw.compiler.program import compile_network
from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.choice.floor import floor_masks
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.qat.quantized_forward import torch_logits
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork, FloatResidual
from sqhw.network.input_stage import NAME, with_input_stage
from sqhw.sim import reference
from sqhw.sim.simulator import Simulator

ENGINE = EngineConfig(groups=True, residuals=True, mult_bits=12, word_bits=18)
NETWORKS = {
    "residual": residual_network(),
    "mobile": mobile_network(),
    "mobile unnormalised": mobile_network(mean=(0.0,), std=(0.2,)),
    "residual with a mean": residual_network(mean=(0.3,), std=(0.3,)),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with torch_threads(1):
        yield


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 8, 8))


def quantized(network, engine=ENGINE, density=0.6, levels=16, trained=True):
    """Return the integer model after a projection by magnitude, and what it exports."""
    model = QatNetwork(network)
    for layer in model.layers():
        weight = layer.weight.detach().numpy()
        limit = np.quantile(np.abs(weight), 1 - density)
        top = float(np.abs(weight).max())
        layer.set_projection(np.abs(weight) > limit, np.linspace(-top, top, levels))
        layer.freeze()
    calibrate(model, torch.from_numpy(images(64)).float(), engine, bias_bits=12, trained=trained)
    return model, export(model, engine, {})


@pytest.mark.parametrize("name", NETWORKS)
def test_the_model_equals_reference_simulator_and_torch(name):
    print("seed 0")
    model, network = quantized(NETWORKS[name])
    batch = images(8, 1)
    whole = torch.round(predict(model, batch) / model.output_scale).numpy()
    assert len(np.unique(whole)) > 8
    assert np.array_equal(whole, torch_logits(network, batch))
    assert np.array_equal(whole, Simulator(network).logits(batch))
    last = network.layers[-1].name
    for image, logits in zip(batch[:2], whole, strict=False):
        assert np.array_equal(reference.run(network, image)[last].reshape(-1), logits)
    compile_network(network, ENGINE)


def test_untrained_weights_beside_a_skip_take_the_grid_that_suits_them():
    errors = {}
    for trained in (True, False):
        model, network = quantized(residual_network(), levels=2, trained=trained)
        tops = {
            layer.layer.name: float(layer.codebook.detach().abs().max()) for layer in model.layers()
        }
        for layer in network.convs:
            if layer.residual is not None:
                real = np.abs(layer.weight[layer.weight != 0]) * layer.weight_scale[0]
                errors[layer.name, trained] = float(np.abs(real / tops[layer.name] - 1).max())
    names = {name for name, _ in errors}
    assert names
    for name in names:
        assert errors[name, False] <= errors[name, True]
    assert max(errors[name, False] for name in names) < 0.5 * max(
        errors[name, True] for name in names
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_real_model_computes_the_float_network(name):
    network = NETWORKS[name]
    batch = images(16, 2)
    expected = predict(FloatModule(network), batch)
    np.testing.assert_allclose(predict(QatNetwork(network), batch), expected, atol=1e-4)
    staged = with_input_stage(network)
    np.testing.assert_allclose(predict(FloatModule(staged), batch), expected, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_integers_are_near_the_real_numbers(name):
    batch = images(64, 3)
    network = NETWORKS[name]
    model, _ = quantized(network, density=1.0, levels=256)
    real = predict(FloatModule(network), batch)
    error = predict(model, batch) - real
    assert float(error.pow(2).mean().sqrt()) < 0.1 * float(real.std())


def test_a_skip_is_exact():
    _, network = quantized(NETWORKS["residual"])
    scales = {layer.name: layer.output_scale for layer in network.convs}
    skips = [layer for layer in network.convs if layer.residual]
    assert [layer.name for layer in skips] == ["a2", "b2", "c2"]
    for layer in skips:
        unit = scales[layer.source] * layer.weight_scale[0]
        skip = layer.residual
        assert skip.weight * unit == pytest.approx(scales[skip.source], rel=1e-5)
        assert np.abs(layer.weight).max() <= 127
        assert max(skip.weight, np.abs(layer.weight).max()) > 60


def test_relu6_is_the_clamp_of_the_format():
    _, network = quantized(NETWORKS["mobile"])
    for name in ("stem", "e1", "d1"):
        layer = next(layer for layer in network.convs if layer.name == name)
        assert layer.output.hi * layer.output_scale <= 6.0 * (1 + 2**-11)


def test_an_average_costs_no_weights():
    _, network = quantized(NETWORKS["residual"])
    mean = next(layer for layer in network.convs if layer.kind == "avgpool")
    assert np.array_equal(mean.weight, np.ones((12, 1, 2, 2)))
    assert (mean.codebook, mean.stream.entry_bits) == ((1,), 0)
    assert mean.weight_scale[0] == 0.25


def test_the_input_stage_rounds_normalised_pixels():
    network = NETWORKS["mobile"]
    _, small = quantized(network)
    stage = small.layers[0]
    assert (stage.name, stage.groups, len(stage.codebook), stage.stream.entry_bits) == (
        NAME,
        3,
        1,
        0,
    )
    batch = images(4)
    found = Simulator(small).run(batch)[NAME] * stage.output_scale
    mean, std = (np.array(v).reshape(1, 3, 1, 1) for v in (network.mean, network.std))
    wanted = (batch / 255 - mean) / std
    assert np.abs(found - wanted).max() < 0.51 * stage.output_scale + 2**-12 * np.abs(wanted).max()


def test_without_need_there_is_no_input_stage():
    assert with_input_stage(NETWORKS["mobile unnormalised"]).layers[0].name == "stem"
    first = conv(np.random.default_rng(0), "a", "input", 4, 3, padding=(0, 0, 0, 0))
    unpadded = FloatNetwork("n", (3, 8, 8), 255, (0.4, 0.5, 0.6), (0.2,) * 3, (first,))
    assert with_input_stage(unpadded) is unpadded


def test_the_floor_reaches_every_output_through_skips_and_groups():
    for network in NETWORKS.values():
        staged = QatNetwork(network).network
        trained = [layer for layer in staged.convs if layer.trained]
        rng = np.random.default_rng(0)
        masks = floor_masks(staged, [rng.random(layer.weight.shape) for layer in trained])
        kept = {layer.name: mask for layer, mask in zip(trained, masks, strict=True)}
        for mask in masks:
            assert mask.any()
            assert mask.reshape(len(mask), -1).sum(axis=1).max() == 1
        assert kept["fc"].any(axis=(1, 2, 3)).all()
    # The channels that the fully connected layer reads come from the block and from its shortcut.
    network = NETWORKS["residual"]
    masks = floor_masks(network, [np.abs(c.weight) for c in network.convs if c.trained])
    names = [layer.name for layer in network.convs if layer.trained]
    rows = {name: mask.any(axis=(1, 2, 3)) for name, mask in zip(names, masks, strict=True)}
    read = masks[-1].any(axis=(0, 2, 3))
    assert np.array_equal(rows["c2"], read)
    assert np.array_equal(rows["c0"], read)
    assert (rows["a2"] >= rows["b2"][2:6]).all()


def test_an_average_cannot_add_a_skip():
    rng = np.random.default_rng(0)
    layers = (
        conv(rng, "a", "input", 3, 3),
        average("mean", "a", 3, 1, residual=FloatResidual("a")),
        conv(rng, "fc", "mean", 4, 3, kernel=1),
    )
    with pytest.raises(SqhwError, match=r"^layer 'mean': an average pooling cannot add a skip"):
        QatNetwork(FloatNetwork("n", (3, 8, 8), 255, (0.0,), (1.0,), layers))
