"""Structured pruning removes what it prunes; low rank plus sparse is what it says."""

import copy

import numpy as np
import pytest
import torch
from float_networks import mobile_network, residual_network
from method_cases import QUICK, compressed, digits, small_network

from sqhw.compress.methods import Recipe, configure
from sqhw.compress.methods.low_rank import factorised, low_rank_plus_sparse
from sqhw.compress.qat.float_simplify import simplify_float
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.frontends.torch_module.threads import torch_threads

SHARE = Recipe(epochs=1, rate=1e-4, batch=64)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with torch_threads(1):
        yield


@pytest.mark.parametrize("make", [residual_network, mobile_network, small_network])
def test_removal_changes_no_output(make):
    print("seed 2")
    rng = np.random.default_rng(2)
    network = copy.deepcopy(make())
    for layer in network.convs[:-1]:
        if layer.trained:
            gone = rng.random(len(layer.bias)) < 0.4
            layer.weight[gone] = 0
            layer.bias[gone] = 0
    small = simplify_float(network)
    images = rng.integers(0, network.input_max + 1, (20, *network.input_shape))
    before, after = (predict(FloatModule(n), images) for n in (network, small))
    assert torch.allclose(before, after, atol=1e-4)
    assert small.weights < network.weights
    assert simplify_float(small) is small


@pytest.mark.parametrize("soft", [True, False])
def test_filters_are_gone_from_the_topology(soft):
    result = compressed("structured", density=0.5, soft=soft, share=SHARE, **QUICK)
    shapes = [layer.weight.shape for layer in result.layers]
    assert [shape[0] for shape in shapes] == [3, 6, 19, 10]
    assert shapes[1][1] == 3
    assert all(layer.mask.any(axis=(1, 2, 3)).all() for layer in result.layers)
    images = digits().test.images
    assert predict(FloatModule(result.network), images).shape == (len(images), 10)


def test_kernels_and_channels_go_as_a_whole():
    kernels = compressed("structured", unit="kernel", density=0.5, share=SHARE, **QUICK)
    found = kernels.layers[1].mask.any(axis=(2, 3))
    assert found.sum() <= 36
    whole = kernels.layers[1].weight[found]
    assert (whole != 0).mean() > 0.8
    channels = compressed("structured", unit="channel", density=0.5, share=SHARE, **QUICK)
    assert channels.layers[1].weight.shape[1] == 3


def test_low_rank_plus_sparse_is_found_again():
    print("seed 4")
    rng = np.random.default_rng(4)
    sparse = np.zeros((20, 30))
    sparse.reshape(-1)[rng.choice(600, 25, replace=False)] = rng.choice([-5.0, 5.0], 25)
    wanted = rng.normal(size=(20, 2)) @ rng.normal(size=(2, 30)) + sparse
    u, v, s = low_rank_plus_sparse(wanted, 2, 25)
    assert np.linalg.matrix_rank(u @ v) == 2
    assert np.count_nonzero(s) == 25
    assert np.abs(u @ v + s - wanted).max() < 1e-2


def test_three_layers_compute_what_one_did():
    print("seed 5")
    network = residual_network()
    layer = next(conv for conv in network.convs if conv.name == "c2")
    parts = factorised(layer, 0.3, 0.1)
    assert [part.name for part in parts] == ["c2.basis", "c2.sparse", "c2"]
    assert parts[1].residual == layer.residual
    assert sum(np.count_nonzero(part.weight) for part in parts) < layer.weight.size
    images = np.random.default_rng(5).integers(0, 256, (20, 3, 8, 8))
    real = predict(FloatModule(network), images)
    errors = []
    for rank in (0.2, 0.6):
        wide = configure("low-rank", rank=rank, density=0.2).prepare(network)
        errors.append(float((predict(FloatModule(wide), images) - real).abs().mean()))
        assert wide.shapes()["fc"] == network.shapes()["fc"]
    assert errors[1] < errors[0]
    assert factorised(layer, 1.0, 1.0) == [layer]


def test_bad_options_are_refused():
    with pytest.raises(SqhwError, match=r"^unknown unit of structured pruning 'filters'; did you"):
        configure("structured", unit="filters")
    with pytest.raises(SqhwError, match=r"^rank must be above 0 and at most 1, not 0$"):
        configure("low-rank", rank=0)
    with pytest.raises(SqhwError, match=r"^density has 2 shares, the network 4 trained layers$"):
        compressed("structured", density=(0.5, 0.5), **QUICK)
