"""What import_module is given: types of weights and arguments are taken exactly, or refused."""

import numpy as np
import pytest
import torch
from import_cases import Net
from torch import nn

from sqhw.compress import import_module
from sqhw.errors import SqhwError

SHAPE = (1, 4, 4)


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 10))


def all_complex():
    module = linear()
    for name, tensor in list(module[1].named_parameters()):
        setattr(module[1], name, nn.Parameter(tensor.detach().to(torch.complex64)))
    return module


def complex_bias():
    module = linear()
    module[1].bias = nn.Parameter(torch.ones(10, dtype=torch.complex64))
    return module


def complex_running_mean():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 10))
    module[1].running_mean = torch.ones(2, dtype=torch.complex64)
    return module


def complex_constant():
    gain = torch.full((1, 10), 1j)
    return Net(lambda m, x: m.a(x.flatten(1)) * gain, a=nn.Linear(16, 10))


def quantized_buffer():
    module = linear()
    scaled = torch.quantize_per_tensor(torch.ones(10), 0.1, 0, torch.qint8)
    module.register_buffer("gain", scaled)
    return module


def integer_weight():
    module = linear()
    module[1].weight = nn.Parameter(torch.ones(10, 16, dtype=torch.int8), requires_grad=False)
    return module


def sparse_weight():
    module = linear()
    module[1].weight = nn.Parameter(module[1].weight.detach().to_sparse())
    return module


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (all_complex, "layer '1': its weight is of type torch.complex64, not floating point"),
        (complex_bias, "layer '1': its bias is of type torch.complex64, not floating point"),
        (complex_running_mean, "layer '1': its running_mean is of type torch.complex64"),
        (complex_constant, "layer 'mul': its constant is of type torch.complex64"),
        (quantized_buffer, "layer 'Sequential': its gain is of type torch.qint8"),
        (integer_weight, "layer '1': its weight is of type torch.int8, not floating point"),
        (sparse_weight, "layer '1': its weight is of layout torch.sparse_coo"),
    ],
)
def test_weights_that_are_no_real_numbers_are_refused(make, message):
    with pytest.raises(SqhwError) as error:
        import_module(make(), SHAPE)
    assert message in str(error.value)


def test_an_integer_constant_is_exact():
    module = Net(lambda m, x: m.a(x.flatten(1)) * m.gain, a=nn.Linear(16, 10))
    module.register_buffer("gain", torch.full((10,), 3))
    network = import_module(module, SHAPE)
    assert np.array_equal(
        network.layers[0].weight.reshape(10, 16), np.float32(3 * module.a.weight.detach().double())
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_max": 16.5}, "input_max must be a whole number, not 16.5"),
        ({"input_max": True}, "input_max must be a whole number, not True"),
        ({"input_max": np.float32(16)}, "input_max must be a whole number, not "),
        ({"input_max": "16"}, "input_max must be a whole number, not '16'"),
        ({"input_shape": (1.0, 4, 4)}, r"input shape \(1.0, 4, 4\) must be a whole number, not 1"),
        ({"input_shape": (1, True, 4)}, "must be a whole number, not True"),
        ({"input_shape": "144"}, r"input shape must be \(channels, height, width\), not '144'"),
        ({"input_shape": None}, r"input shape must be \(channels, height, width\), not None"),
        ({"mean": float("nan")}, "mean must be a sequence of numbers, .*, not nan"),
        ({"mean": "a"}, "mean must be a sequence of numbers, .*, not 'a'"),
        ({"std": ("1",)}, "std must be a sequence of numbers, .*, not"),
        ({"std": (10**400,)}, "std must be a sequence of numbers"),
        ({"mean": torch.tensor([1j])}, "mean must be a sequence of numbers"),
        ({"name": None}, "name must be a string, not None"),
    ],
)
def test_arguments_of_other_types_are_refused(arguments, message):
    with pytest.raises(SqhwError, match=message):
        import_module(linear(), **({"input_shape": SHAPE} | arguments))


@pytest.mark.parametrize("values", [torch.tensor([0.25]), np.array([0.25]), [np.float32(0.25)]])
def test_arguments_of_numpy_and_torch_are_taken_exactly(values):
    shape = tuple(np.array(SHAPE))
    network = import_module(linear(), shape, input_max=np.int64(16), mean=values, std=values)
    assert type(network.input_max) is int
    assert (network.input_max, network.mean, network.std) == (16, (0.25,), (0.25,))


def test_a_replaced_forward_is_refused():
    module = Net(lambda m, x: m.a(x.flatten(1)), a=nn.Linear(16, 10))
    module.forward = lambda x: module.a(x.flatten(1)) * 2
    with pytest.raises(SqhwError, match=r"^layer 'Net': its forward\(\) is replaced; write"):
        import_module(module, SHAPE)


def test_a_module_outside_the_network_is_refused():
    other = nn.Linear(16, 10)
    with pytest.raises(SqhwError, match=r"calls a module that is no attribute of the network"):
        import_module(Net(lambda m, x: other(x.flatten(1)), a=nn.ReLU()), SHAPE)
