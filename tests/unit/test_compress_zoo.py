"""The zoo: published sizes, imports that compute the same, and checkpoints."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sqhw.compress import build
from sqhw.errors import SqhwError
from sqhw.frontends import zoo
from sqhw.frontends.torch_module import import_module
from sqhw.frontends.torch_module.float_module import FloatModule
from sqhw.frontends.zoo.__main__ import topology_text
from sqhw.frontends.zoo.catalogue import ZOO, entry, float_network

PUBLISHED = {  # weights without biases, MAC of an image, trainable parameters of the module
    "digits-cnn": (84_696, 1_639_680, 84_922),
    "lenet5-caffe": (430_500, 2_293_000, 431_080),
    "resnet8": (77_360, 12_501_632, 78_186),
    "resnet20": (268_336, 40_551_040, 269_722),
    "resnet56": (848_944, 125_485_696, 853_018),
    "resnet110": (1_719_856, 252_887_680, 1_727_962),
    "resnet18": (11_164_352, 555_422_720, 11_173_962),
    "vgg16": (14_715_584, 313_201_664, 14_728_266),
    "mobilenetv1": (3_195_328, 46_354_432, 3_217_226),
    "mobilenetv2": (2_202_560, 87_976_448, 2_236_682),
    "ds-cnn": (22_016, 2_656_768, 23_756),
}


def macs(network):
    shapes = network.shapes()
    return sum(
        layer.weight.size * shapes[layer.name][1] * shapes[layer.name][2]
        for layer in network.convs
        if layer.trained
    )


def test_every_network_has_published_figures():
    assert set(PUBLISHED) == set(ZOO)


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones_and_are_stated(name):
    weights, operations, parameters = PUBLISHED[name]
    form = entry(name)
    module = form.make(form.outputs)
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters
    network = float_network(name)
    assert (network.weights, macs(network)) == (weights, operations)
    assert network.shapes()[network.layers[-1].name] == (form.outputs, 1, 1)
    assert (network.input_max, network.mean, network.std) == (form.input_max, form.mean, form.std)
    make = form.make.func if isinstance(form.make, partial) else form.make
    assert re.search(rf"\b{weights:,}\b", make.__doc__)
    assert re.search(rf"\b{operations:,}\b", make.__doc__)


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_import_computes_what_its_module_does(name):
    seed = 5
    network = float_network(name, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = build(name).double().eval()
    generator = torch.Generator().manual_seed(0)
    shape = (2, *network.input_shape)
    pixels = torch.randint(0, network.input_max + 1, shape, generator=generator).double()
    mean = torch.tensor(network.mean, dtype=torch.float64).view(1, -1, 1, 1)
    std = torch.tensor(network.std, dtype=torch.float64).view(1, -1, 1, 1)
    with torch.no_grad():
        expected = module((pixels / network.input_max - mean) / std)
        found = FloatModule(network).double()(pixels)
    scale = float(expected.abs().max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1.0, scale))


def test_structure_of_the_residual_networks():
    for name, blocks, skips in (("resnet20", 3, 9), ("resnet56", 9, 27), ("resnet110", 18, 54)):
        residuals = [layer.residual for layer in float_network(name).convs if layer.residual]
        assert len(residuals) == skips
        narrowing = {at: skip for at, skip in enumerate(residuals) if skip.stride == 2}
        assert {at: skip.first for at, skip in narrowing.items()} == {blocks: 8, 2 * blocks: 16}
    layers = {layer.name: layer for layer in float_network("resnet8").layers}
    assert layers["stack2_conv1"].padding == (0, 1, 0, 1)
    assert layers["stack2_conv2"].residual.source == "stack2_shortcut"
    assert layers["stack1_conv2"].residual.source == "stem_conv"
    assert float_network("ds-cnn").layers[0].padding == (4, 5, 1, 1)
    ceilings = [layer.ceiling for layer in float_network("mobilenetv2").convs if layer.relu]
    assert set(ceilings) == {6.0}


def test_feature_maps_of_the_digits_network_fit_the_default_engine():
    network = float_network("digits-cnn")
    sizes = {name: int(np.prod(shape)) for name, shape in network.shapes().items()}
    assert max(sizes[layer.name] + sizes[layer.source] for layer in network.layers) <= 4096


def test_the_seed_makes_the_weights():
    one, same, other = (float_network("resnet20", seed=seed) for seed in (1, 1, 2))
    for a, b in zip(one.convs, same.convs, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
    assert not np.array_equal(one.convs[0].weight, other.convs[0].weight)


def test_an_unknown_name_gets_a_suggestion():
    for make in (build, entry, float_network):
        with pytest.raises(SqhwError, match=r"^unknown network 'resnet2O'; did you mean 'resnet2"):
            make("resnet2O")


@pytest.fixture
def checkpoint(tmp_path):
    """Return a function that saves a changed state dict of resnet20, and its path."""
    path = tmp_path / "net.safetensors"

    def save(change=lambda state: None):
        with torch.random.fork_rng():
            torch.manual_seed(7)
            state = build("resnet20").state_dict()
        change(state)
        save_file(state, path)
        return path

    return save


def refusal(path):
    with pytest.raises(SqhwError) as error:
        float_network("resnet20", path)
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("counters", [False, True])
def test_a_checkpoint_is_loaded(checkpoint, counters):
    def drop(state):
        for key in [key for key in state if key.endswith("num_batches_tracked")]:
            del state[key]

    network = float_network("resnet20", checkpoint(lambda state: counters or drop(state)))
    expected = float_network("resnet20", seed=7)
    assert network.metadata == {"checkpoint": "net.safetensors"}
    for a, b in zip(network.convs, expected.convs, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
        np.testing.assert_array_equal(a.bias, b.bias)


def test_the_published_keys_are_the_networks_own():
    assert {"features.0.weight", "features.2.bias", "classifier.0.bias", "classifier.2.weight"} < (
        set(build("lenet5-caffe").state_dict())
    )
    keys = {"stem.conv.weight", "stem.bn.running_var", "stack1.conv1.bias", "stack2.shortcut.bias"}
    assert keys < set(build("resnet8").state_dict())
    for name, tensors in (("resnet20", 97), ("resnet56", 277), ("resnet8", 48)):
        state = build(name).state_dict()
        assert len([key for key in state if not key.endswith("num_batches_tracked")]) == tensors


def test_a_missing_tensor_is_named(checkpoint):
    path = checkpoint(lambda state: state.pop("layer2.0.bn1.running_var"))
    assert refusal(path) == (
        "tensor 'layer2.0.bn1.running_var' of shape (32,) is missing, 'resnet20' needs it"
    )


def test_an_unexpected_tensor_is_named(checkpoint):
    path = checkpoint(lambda state: state.update(extra=torch.zeros(2, 3)))
    assert refusal(path) == (
        "tensor 'extra' of shape (2, 3) is none of 'resnet20'; "
        "save the state_dict of that network alone"
    )


def test_a_wrong_shape_is_named(checkpoint):
    path = checkpoint(lambda state: state.update({"linear.weight": torch.zeros(100, 64)}))
    assert refusal(path) == "tensor 'linear.weight' has shape (100, 64), 'resnet20' needs (10, 64)"


def test_a_wrong_type_is_named(checkpoint):
    path = checkpoint(lambda state: state.update({"linear.bias": torch.zeros(10, dtype=torch.int)}))
    assert refusal(path) == "tensor 'linear.bias' is of type torch.int32, not floating point"


def test_a_value_that_is_not_finite_is_named(checkpoint):
    path = checkpoint(lambda state: state["layer1.0.bn1.running_var"].fill_(-1))
    assert refusal(path) == "layer 'layer1_0_conv1': a weight or bias is not finite"


def test_missing_and_damaged_files_are_named(checkpoint, tmp_path):
    assert refusal(tmp_path / "no") == "no such file"
    path = checkpoint()
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(path).startswith("not a safetensors file, or a damaged one (")
    path.write_bytes(b"\x80\x02}q\x00.")
    assert refusal(path).startswith("this is a pickle, which is never opened here; ")


def test_every_topology_is_a_file():
    assert set(zoo.names()) == set(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_topologies_are_those_of_the_modules(name):
    """If this fails, `python -m sqhw.frontends.zoo` writes the files anew."""
    network, found = float_network(name), zoo.zoo_topology(name)
    for field in ("name", "input_shape", "input_max", "mean", "std"):
        assert getattr(found, field) == getattr(network, field)
    for layer, other in zip(network.layers, found.layers, strict=True):
        assert type(layer) is type(other)
        numbers = {"weight", "bias"} & set(vars(layer))
        assert {key: value for key, value in vars(layer).items() if key not in numbers} == {
            key: value for key, value in vars(other).items() if key not in numbers
        }
        for key in numbers:
            assert getattr(layer, key).shape == getattr(other, key).shape
            assert getattr(layer, key).dtype == getattr(other, key).dtype
    text = Path(zoo.__file__).with_name(f"{name}.json").read_text()
    assert text == topology_text(network)


@pytest.mark.parametrize("name", ZOO)
def test_networks_and_topologies_for_another_number_of_classes(name):
    form, topology = entry(name), zoo.zoo_topology(name, 3)
    network = import_module(form.make(3), form.input_shape, name=name, input_max=form.input_max)
    assert topology.shapes() == network.shapes()
    assert topology.shapes()[topology.layers[-1].name] == (3, 1, 1)
    assert topology.weights == network.weights


def test_an_unknown_topology_gets_a_suggestion():
    with pytest.raises(SqhwError, match=r"^unknown network 'resnet2O'; did you mean 'resnet2"):
        zoo.zoo_topology("resnet2O")
