"""Normalisation in the training of the methods of the field, and that snapshots fold it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from float_networks import mobile_network, residual_network
from method_cases import DEVICE, ENGINE, QUICK, compressed, digits, small_network

from sqhw.compress import evaluate, torch_logits
from sqhw.compress.methods import Recipe, configure
from sqhw.compress.methods.base import NormalisableConfig, plain_options
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.latent import LatentNetwork
from sqhw.compress.methods.normalised import normalise_latent
from sqhw.compress.methods.run import Run
from sqhw.compress.methods.snapshot import take
from sqhw.compress.qat.normalisation import estimate
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.threads import torch_threads

SHARE = Recipe(epochs=1, rate=1e-4, batch=64)
OPTIONS = {
    "sql": {"nonzeros": 0.3, "bits": 3.0, "warmup": 0, "rate": 0.02, "finetune": SHARE},
    "deep-compression": {"density": 0.5, "conv_bits": 4, "rate": 5e-3, "share": SHARE},
    "ecsq": {"density": 0.5, "rate": 5e-3, "share": SHARE},
    "sqs": {"budget": 1.5},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with torch_threads(1):
        yield


@pytest.mark.parametrize("make", [residual_network, mobile_network])
def test_a_network_is_the_same_after_it_is_normalised_and_in_its_snapshot(make):
    print("seed 4")
    rng = np.random.default_rng(4)
    pixels = torch.from_numpy(rng.integers(0, 256, (16, 3, 8, 8))).double()
    network = make()
    model = LatentNetwork(network).double()
    wanted = model(pixels)
    normalise_latent(model, ENGINE, [pixels])
    shared = [own.norm.shared for own in model.latent() if own.norm is not None]
    assert len(shared) == len(model.latent()) - 1
    assert set(shared) == {True, False}
    model.eval()
    assert torch.allclose(model(pixels), wanted, rtol=1e-9, atol=1e-9)
    for own in model.latent():
        if own.norm is not None:
            with torch.no_grad():
                own.norm.scale.mul_(0.5 + torch.rand(own.norm.scale.shape, dtype=torch.float64))
                own.weight[0] = 0.0  # a dead channel
    estimate(model, [pixels], training=True)
    model.eval()
    found = LatentNetwork(take(model).applied(network)).double()
    assert torch.allclose(found(pixels), model(pixels), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", OPTIONS)
def test_codes_stay_in_few_values_and_channels_get_gains(method):
    result = compressed(method, normalise=True, **QUICK, **OPTIONS[method])
    data = digits()
    assert result.options["normalise"]
    found = evaluate(result.network, data.validation.images, data.validation.labels)
    assert result.validation_accuracy == pytest.approx(found)
    rows = [row["validation_accuracy"] for row in result.history if "validation_accuracy" in row]
    assert result.validation_accuracy >= max(rows)
    *hidden, last = result.layers
    assert set(result.factors) == {layer.name for layer in hidden}
    for layer, conv in zip(result.layers, result.network.convs, strict=True):
        factor = result.factors.get(layer.name, np.ones(len(conv.bias), np.float32))
        assert np.allclose(conv.weight, layer.weight * factor.reshape(-1, 1, 1, 1), rtol=1e-6)
        assert len(layer.levels) <= 255
    assert result.quantized is not None, result.reason
    codes = {layer.name: layer for layer in result.layers}
    for conv in result.quantized.convs:  # the engine's codebooks are those of the method
        assert len(np.unique(conv.weight[conv.weight != 0])) <= len(codes[conv.name].levels)
        assert (len(np.unique(conv.multiplier)) > 1) == (conv.name != last.name)
    logits = torch_logits(result.quantized, data.test.images)
    accuracy = (logits.argmax(1) == data.test.labels).mean()
    real = evaluate(result.network, data.test.images, data.test.labels)
    assert accuracy == pytest.approx(real, abs=0.05)


def test_a_snapshot_has_the_statistics_of_its_own_weights():
    network = small_network()
    run = Run(Job(network, digits(), ENGINE, DEVICE), network, seed=0)
    run.normalise(SHARE)
    before = run.taken()
    layer = run.model.latent()[0]
    with torch.no_grad():
        layer.weight *= 3
    after = run.taken()
    assert np.allclose(after.weights[0], 3 * before.weights[0])
    assert np.allclose(after.factors[0], before.factors[0] / 3, rtol=1e-3)
    assert np.allclose(after.biases[0], before.biases[0], atol=1e-3)


def test_interrupted_equals_uninterrupted(tmp_path):
    options = {**QUICK, **OPTIONS["ecsq"], "share": replace(SHARE, epochs=2), "normalise": True}
    whole = compressed("ecsq", **options)
    path, seen = tmp_path / "run.safetensors", []

    def stop(*event):
        seen.append(event)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compressed("ecsq", resume=path, progress=stop, **options)
    again = compressed("ecsq", resume=path, **options)
    assert again.history == whole.history
    for one, other in zip(again.network.convs, whole.network.convs, strict=True):
        assert one.weight.tobytes() == other.weight.tobytes()
        assert one.bias.tobytes() == other.bias.tobytes()


def test_only_methods_whose_papers_keep_it_have_the_option():
    with pytest.raises(SqhwError, match=r"unknown option of method 'low-rank' 'normalise'"):
        configure("low-rank", normalise=True)
    for method in OPTIONS:
        config = configure(method)
        assert isinstance(config, NormalisableConfig)
        assert not plain_options(config)["normalise"]
