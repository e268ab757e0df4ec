"""Importing what has no effect, and constants that other layers take over exactly."""

import pytest
import torch
from import_cases import Net, run_both
from torch import nn
from torch.nn import functional

from sqhw.compress import import_module
from sqhw.errors import SqhwError

SHAPE = (2, 8, 6)
MEAN, STD = (0.4, 0.5), (0.2, 0.3)


def conv(kernel=3, inputs=2, **settings):
    return nn.Conv2d(inputs, 2, kernel, **settings)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(conv(), nn.MaxPool2d(2, ceil_mode=True), conv(1)),  # a map of 6x4
        nn.Sequential(conv(), nn.AvgPool2d(2, ceil_mode=True)),
        nn.Sequential(conv(), nn.MaxPool2d(2, stride=1, ceil_mode=True)),
        nn.Sequential(conv(1, dilation=3, stride=2)),
        nn.Sequential(nn.Conv2d(2, 2, (1, 3), dilation=(2, 1))),
        nn.Sequential(conv(), nn.MaxPool2d(1, dilation=2)),
        nn.Sequential(conv(padding_mode="reflect")),
        nn.Sequential(conv(1, padding="same", padding_mode="circular")),
        nn.Sequential(conv(), nn.AdaptiveAvgPool2d((6, 4)), nn.Flatten(), nn.Linear(48, 2)),
        nn.Sequential(conv(), nn.AdaptiveAvgPool2d((3, 2)), nn.ReLU()),
        nn.Sequential(conv(), nn.AdaptiveAvgPool2d((None, 4))),
        nn.Sequential(conv(), nn.AdaptiveAvgPool2d((5, 3))),  # windows of 2, one apart
        nn.Sequential(conv(), nn.AdaptiveMaxPool2d((3, 2))),
        nn.Sequential(conv(), nn.AvgPool2d(2, divisor_override=4)),
    ],
)
def test_settings_without_effect(module):
    assert "notes" not in run_both(module, SHAPE, 255, MEAN, STD).metadata


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.AvgPool2d(3, ceil_mode=True), r"an average whose padding or ceil mode makes windows"),
        (nn.AdaptiveAvgPool2d((5, 3)), r"AdaptiveAvgPool2d to \(5, 3\) from a map \(8, 6\), where"),
        (nn.AdaptiveAvgPool2d(2), r"stride 4 down and 3 to the right is not"),
        (nn.AvgPool2d(2, divisor_override=3), r"AvgPool2d with divisor_override 3 is not"),
        (conv(padding=1, padding_mode="reflect"), r"Conv2d with padding mode 'reflect' is not"),
        (nn.MaxPool2d(2, dilation=2), r"MaxPool2d with dilation \(2, 2\) is not supported"),
    ],
)
def test_settings_with_an_effect_are_refused(module, message):
    with pytest.raises(SqhwError, match=rf"^layer '0': {message}"):
        import_module(nn.Sequential(module, conv(1)), SHAPE)


@pytest.mark.parametrize(
    ("last", "what"),
    [
        (nn.Softmax(1), "softmax"),
        (nn.Softmax(-1), "softmax"),
        (nn.LogSoftmax(dim=1), "softmax"),
        (nn.Sigmoid(), "sigmoid"),
        (Net(lambda m, x: functional.log_softmax(x, dim=1)), "softmax"),
        (Net(lambda m, x: x.softmax(-1)), "softmax"),
        (Net(lambda m, x: torch.sigmoid(x)), "sigmoid"),
    ],
)
def test_a_softmax_at_the_end_is_left_out_with_a_note(last, what):
    body = nn.Sequential(conv(), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5))
    network = import_module(nn.Sequential(*body, last), SHAPE)
    plain = run_both(body, SHAPE)
    assert [layer.name for layer in network.layers] == [layer.name for layer in plain.layers]
    (note,) = network.metadata["notes"].splitlines()
    assert f"the {what} at the end is left out: the outputs are the values before it" in note


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(conv(), nn.Softmax(1)),  # over maps
        nn.Sequential(conv(), nn.Flatten(), nn.Linear(48, 2), nn.Softmax(0)),
    ],
)
def test_another_softmax_is_refused(module):
    with pytest.raises(SqhwError, match=r"^layer '\d': a softmax "):
        import_module(module, SHAPE)


@pytest.mark.parametrize(
    ("module", "layers"),
    [
        (nn.Sequential(nn.BatchNorm2d(2), conv(), conv(padding=1)), ["1", "2"]),
        (nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(2), conv()), ["0", "3"]),
        (nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(2), conv(groups=2)), ["0", "3"]),
        (nn.Sequential(conv(), nn.AvgPool2d(2), nn.BatchNorm2d(2), conv(2)), ["0", "1", "3"]),
        (nn.Sequential(conv(), nn.BatchNorm2d(2), nn.AvgPool2d(2)), ["0", "2"]),
        (
            nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(2), nn.AvgPool2d(2), conv(2)),
            ["0", "3", "4"],
        ),
        (nn.Sequential(conv(), nn.MaxPool2d(2), nn.BatchNorm2d(2), conv(2)), ["0", "1", "3"]),
        (
            nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(2), nn.MaxPool2d(2), conv(2)),
            ["0", "3", "4"],
        ),
        (
            nn.Sequential(
                conv(), nn.ReLU(), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(48, 3), nn.ReLU()
            ),
            ["0", "4"],
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(96, 4), nn.BatchNorm1d(4), nn.ReLU()),
            ["1"],
        ),
        (
            nn.Sequential(
                nn.Flatten(), nn.Linear(96, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2)
            ),
            ["1", "4"],
        ),
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(96), nn.Linear(96, 4)), ["2"]),
        (nn.Sequential(conv(), nn.BatchNorm2d(2), nn.BatchNorm2d(2), nn.ReLU()), ["0"]),
    ],
)
def test_batch_norms_that_another_layer_takes_over(module, layers):
    network = run_both(module, SHAPE, 255, MEAN, STD)
    assert [layer.name for layer in network.layers] == layers
    assert all(layer.kind != "conv" or layer.name in layers for layer in network.convs)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda m, x: m.b(m.bn(torch.relu(m.a(x)))), "bn"),  # in front of a padding
        (lambda m, x: m.bn(torch.relu(m.a(x))), "bn"),
        (lambda m, x: torch.relu(m.bn(m.a(x) + x)), "bn"),
        (lambda m, x: m.a(x) + m.bn(torch.relu(m.b(x))), "bn"),
        (lambda m, x: m.bn(torch.relu(m.a(x))) + m.b(x), "bn"),
        (lambda m, x: m.b(functional.max_pool2d(torch.relu(m.a(x)) * -2, 2)), "mul"),
        (lambda m, x: m.b(functional.pad(torch.relu(m.a(x)) + 1, (0, 1, 0, 1))), "add"),
    ],
)
def test_batch_norms_that_become_a_layer(function, name):
    module = Net(function, a=conv(padding=1), b=conv(padding=1), bn=nn.BatchNorm2d(2))
    network = run_both(module, SHAPE, 255, MEAN, STD)
    (layer,) = [layer for layer in network.convs if layer.name == name]
    assert (layer.groups, layer.weight.shape) == (2, (2, 1, 1, 1))
    assert network.metadata["notes"].startswith(f"layer {name!r} is a depthwise 1x1 convolution")


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: (x - m.mean) / m.std,
        lambda m, x: (x - 0.25) * 4,
        lambda m, x: x.sub(0.5).div(torch.tensor(0.5)),
        lambda m, x: torch.div(torch.sub(x, m.mean[0]), m.std[0]),
        lambda m, x: 2 * x - 1,
        lambda m, x: functional.batch_norm(x, m.mean.view(-1), m.std.view(-1)),
    ],
)
def test_normalisation_in_forward_is_part_of_mean_and_std(function):
    module = Net(lambda m, x: m.conv(function(m, x)), conv=conv(padding=1))
    module.register_buffer("mean", torch.tensor([0.2, 0.6]).view(1, 2, 1, 1))
    module.register_buffer("std", torch.tensor([0.5, 0.25]).view(1, 2, 1, 1))
    for mean, std in (((0.0,), (1.0,)), (MEAN, STD)):
        network = run_both(module, SHAPE, 255, mean, std)
        assert len(network.layers) == 1
        assert network.metadata["notes"].endswith("is part of mean and std")


def test_mean_and_std_are_the_modules_own():
    module = Net(lambda m, x: m.conv((x - 0.25) / 0.5), conv=conv())
    network = import_module(module, SHAPE)
    assert (network.mean, network.std) == ((0.25, 0.25), (0.5, 0.5))


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: torch.relu(m.a(x) * 0.5),
        lambda m, x: m.b(torch.relu(m.a(x)) * m.gain.view(1, -1, 1, 1)),
        lambda m, x: m.b(-torch.relu(m.a(x))),
        lambda m, x: m.b(1 - torch.relu(m.a(x))),
        lambda m, x: m.b(m.a(x) / 3),
        lambda m, x: functional.conv2d(x, m.a.weight / m.a.weight.norm(), m.a.bias),
    ],
)
def test_arithmetic_with_constants(function):
    module = Net(function, a=conv(), b=conv())
    module.gain = nn.Parameter(torch.tensor([0.5, -2.0]))
    run_both(module, SHAPE, 255, MEAN, STD)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: m.a(x) * m.b(x), r"^layer 'mul': a product of two values \(attention"),
        (lambda m, x: m.a(x) - m.b(x), r"^layer 'sub': a difference of two values is not"),
        (lambda m, x: 1 / m.a(x), r"^layer 'truediv': division by a computed value is not"),
        (lambda m, x: m.b(torch.relu(m.a(x)) + torch.rand(6, 4)), r"constants differ from pixel"),
        (lambda m, x: m.a(x) * torch.rand(3, 1, 1), r"^layer 'mul': arithmetic of a tensor \(2, 6"),
    ],
)
def test_other_arithmetic_is_refused(function, message):
    with pytest.raises(SqhwError, match=message):
        import_module(Net(function, a=conv(), b=conv()), SHAPE)
