"""One-shot quantization: what is kept, how exact it is, and networks for cycle studies."""

import numpy as np
import pytest
from float_networks import conv, mobile_network, residual_network

from sqhw.compiler.program import compile_network
from sqhw.compress.calibration.layer_projection import largest
from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.compress.calibration.random_network import random_quantized
from sqhw.compress.qat.quantized_forward import torch_logits
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork
from sqhw.sim.simulator import Simulator

ENGINE = EngineConfig(
    groups=True, residuals=True, mult_bits=12, word_bits=18, codebook_addr_bits=12
)
NETWORKS = {"residual": residual_network(), "mobile": mobile_network()}


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 8, 8))


@pytest.mark.parametrize("name", NETWORKS)
def test_eight_bits_are_near_the_float_network(name):
    print("seed 1")
    small = quantize(NETWORKS[name], images(50), ENGINE)
    batch = images(40, 1)
    logits = torch_logits(small, batch)
    assert np.array_equal(logits, Simulator(small).logits(batch))
    real = predict(FloatModule(NETWORKS[name]), batch).numpy()
    found = logits * small.convs[-1].output_scale
    assert np.sqrt(((found - real) ** 2).mean()) < 0.05 * real.std()
    compile_network(small, ENGINE)


def test_density_and_bits_are_what_was_asked_for():
    network = NETWORKS["residual"]
    small = quantize(
        network,
        images(20),
        ENGINE,
        settings=QuantizeSettings(density={"c2": 0.25}, bits={"c2": 3, "a1": 2}),
    )
    layers = {layer.name: layer for layer in small.convs}
    weight = next(layer.weight for layer in network.convs if layer.name == "c2")
    assert layers["c2"].nonzeros == weight.size // 4
    assert len(layers["c2"].codebook) - (0 in layers["c2"].codebook) <= 8
    assert len(layers["a1"].codebook) - (0 in layers["a1"].codebook) <= 4
    if small.metadata["channel_scales"] == "none":
        kept = layers["c2"].weight != 0
        assert np.abs(weight)[kept].min() >= np.abs(weight)[~kept].max()
    ends = quantize(
        network,
        images(20),
        ENGINE,
        settings=QuantizeSettings(density=0.5, bits=4, ends_density=1.0),
    )
    sizes = {layer.name: layer.nonzeros / layer.weight.size for layer in ends.convs}
    assert 0.5 < sizes["fc"] <= 1.0
    assert 0.5 < sizes["stem"] <= 1.0
    assert sizes["a1"] == 0.5
    whole = quantize(network, images(20), ENGINE)
    for layer, real in zip(whole.convs, network.convs, strict=True):
        if real.trained and not real.residual:  # a skip may need a coarser step
            step = np.abs(real.weight).max() / 127
            assert layer.weight[np.abs(real.weight) > step].all()


def test_equal_weights_are_kept_from_the_first_on():
    mask = largest(np.array([[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]), 4 / 6)
    assert np.array_equal(mask, [[True, True, True], [False, True, False]] | (mask & False))
    assert largest(np.arange(5.0), 0.01).sum() == 1
    assert largest(np.zeros(5), 1.0).all()


def test_bias_correction_brings_the_mean_nearer():
    network = NETWORKS["residual"]
    batch = images(200, 3)
    real = predict(FloatModule(network), batch).numpy().mean(0)
    errors = []
    for corrected in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not corrected:
                patch.setattr("sqhw.compress.calibration.oneshot.correct_biases", lambda *_: None)
            small = quantize(
                network, images(200, 4), ENGINE, settings=QuantizeSettings(density=0.5, bits=4)
            )
        found = torch_logits(small, batch).mean(0) * small.convs[-1].output_scale
        errors.append(np.abs(found - real).max())
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("density", [0.15, 0.6])
def test_random_networks_are_alive_and_repeat(name, density):
    small = random_quantized(NETWORKS[name], ENGINE, density, 4, seed=5)
    batch = images(10, 6)
    tensors = Simulator(small).run(batch)
    for tensor, values in tensors.items():
        assert len(np.unique(values)) >= 4, tensor
    logits = tensors[small.layers[-1].name].reshape(10, -1)
    assert np.array_equal(torch_logits(small, batch), logits)
    again = random_quantized(NETWORKS[name], ENGINE, density, 4, seed=5)
    for a, b in zip(small.convs, again.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)
    compile_network(small, ENGINE)


def test_streams_for_cycles_are_no_slower():
    from sqhw.cost_models.rom import rom_cost
    from sqhw.cost_models.schedule import schedule

    rng = np.random.default_rng(0)
    layers = (conv(rng, "a", "input", 40, 3), conv(rng, "b", "a", 12, 40))
    network = FloatNetwork("wide", (3, 8, 8), 255, (0.0,), (1.0,), layers)
    rom, fast = (
        random_quantized(network, ENGINE, 0.2, 4, 0, objective=objective)
        for objective in ("rom", "cycles")
    )
    assert schedule(fast, ENGINE).cycles < schedule(rom, ENGINE).cycles
    assert rom_cost(fast, ENGINE).stream > rom_cost(rom, ENGINE).stream
    for a, b in zip(rom.convs, fast.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": 0.0}, r"^layer 'stem': density must be above 0 and at most 1, not 0.0$"),
        ({"bias_bits": 1}, r"^bias_bits must be 4 to 16, not 1$"),
        ({"bias_bits": 17}, r"^bias_bits must be 4 to 16, not 17$"),
        ({"bits": 9}, r"^layer 'stem': bits must be 1 to 8, not 9$"),
        ({"density": {"c3": 0.5}}, r"^unknown layer in density 'c3'; did you mean 'fc'"),
        ({"objective": "cycle"}, r"^unknown objective 'cycle'; did you mean 'cycles'"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(SqhwError, match=message):
        quantize(NETWORKS["residual"], images(2), ENGINE, settings=QuantizeSettings(**changes))
    with pytest.raises(SqhwError, match=r"is calibrated on images of shape \(3, 8, 8\)"):
        quantize(NETWORKS["residual"], np.zeros((2, 1, 8, 8)), ENGINE)


def test_pixels_out_of_range_are_refused():
    with pytest.raises(
        SqhwError, match=r"takes pixels of 0 to \d+, the calibration images have 256"
    ):
        quantize(NETWORKS["residual"], np.full_like(images(2), 256), ENGINE)
