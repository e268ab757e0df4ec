"""Cutting dead channels out of a network in training: the same outputs, fewer channels."""

import numpy as np
import pytest
import torch
from float_networks import conv, mobile_network, residual_network

from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.compact import compact, stored_channels
from sqhw.compress.qat.network import QatNetwork
from sqhw.frontends.torch_module.float_module import predict
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork
from sqhw.network.graph import INPUT, MaxPool
from sqhw.network.simplify import pinned_tensors

ENGINE = EngineConfig(groups=True, residuals=True)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Keep small operations from waiting for a core that another program holds."""
    with torch_threads(1):
        yield


def plain_network():
    """Return three convolutions and a pooling, nothing pinned but the output."""
    rng = np.random.default_rng(7)

    layers = (
        conv(rng, "one", INPUT, 10, 1),
        MaxPool("pool", "one", 2, 2),
        conv(rng, "two", "pool", 14, 10),
        conv(rng, "three", "two", 5, 14, kernel=5, padding=(0, 0, 0, 0), relu=False),
    )
    return FloatNetwork("plain", (1, 10, 10), 255, (0.0,), (0.25,), layers)


def masked(network, seed):
    """Return a model with masks that leave three channels in ten without weights."""
    rng = np.random.default_rng(seed)
    model = QatNetwork(network)
    pinned = pinned_tensors(network)
    alive = {INPUT: np.ones(network.input_shape[0], dtype=bool)}
    for layer in network.layers:
        if isinstance(layer, MaxPool):
            alive[layer.name] = alive[layer.source]
            continue
        rows = (rng.random(len(layer.weight)) < 0.7) | (layer.name in pinned)
        rows[0] = True
        alive[layer.name] = rows
    own = {layer.name: layer for layer in network.convs}
    for layer in model.layers():
        mask = rng.random(layer.weight.shape) < 0.5
        mask[:, 0, 0, 0] = True  # of no other channel
        mask &= alive[layer.layer.name][:, None, None, None]
        if layer.layer.groups == 1:
            mask &= alive[own[layer.layer.name].source][None, :, None, None]
        top = float(layer.weight.detach().abs().max())
        layer.set_projection(mask, np.linspace(-top, top, 6))
    return model


def integers(model, pixels):
    """Return the exported network and the integer logits of a model."""
    for layer in model.layers():
        layer.freeze()
    calibrate(model, pixels, ENGINE, bias_bits=10, trained=True)
    found = export(model, ENGINE, {})
    return found, torch.round(predict(model, pixels) / model.output_scale)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [plain_network, residual_network, mobile_network])
def test_a_compact_network_is_the_whole_one(make, seed):
    print("seed", seed)
    network = make()
    model = masked(network, seed)
    keep = stored_channels(network, model)
    small = compact(network, model, keep)
    rng = np.random.default_rng(seed)
    pixels = torch.from_numpy(rng.integers(0, 256, (16, *network.input_shape))).float()
    (a, a_logits), (b, b_logits) = integers(model, pixels), integers(small, pixels)
    assert torch.equal(a_logits, b_logits)
    for one, other in zip(a.convs, b.convs, strict=True):
        assert np.array_equal(one.weight, other.weight)
        assert np.array_equal(one.bias, other.bias)
        assert np.array_equal(one.multiplier, other.multiplier)
        assert (one.codebook, one.stream) == (other.codebook, other.stream)
    left = sum(layer.weight.numel() for layer in small.layers())
    assert left <= sum(layer.weight.numel() for layer in model.layers())
    if make is plain_network:
        assert [layer.weight.shape for layer in small.layers()] == [c.weight.shape for c in b.convs]


def test_a_channel_that_only_reads_dead_channels_goes():
    network = plain_network()
    model = QatNetwork(network)
    masks = [np.ones(tuple(layer.weight.shape), bool) for layer in model.layers()]
    masks[0][3] = False
    masks[1][5] = False
    masks[1][5, 3] = True  # its only weights are those for the dead channel
    for layer, mask in zip(model.layers(), masks, strict=True):
        layer.set_projection(mask, np.array([-0.5, 0.5]))
    keep = stored_channels(network, model)
    assert np.flatnonzero(~keep["one"]).tolist() == [3]
    assert np.flatnonzero(~keep["two"]).tolist() == [5]
    shapes = [tuple(layer.weight.shape[:2]) for layer in compact(network, model, keep).layers()]
    assert shapes == [(9, 1), (13, 9), (5, 13)]
