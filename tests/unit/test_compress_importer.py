"""Importing torch modules: same numbers, and a sentence for what is not supported."""

import operator
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from import_cases import Net, run_both
from torch import nn
from torch.nn import functional

from sqhw.compress import import_module
from sqhw.errors import SqhwError
from sqhw.network.floats import FloatResidual


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_batch_norm_padding_stride_and_flatten_order():
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6, eps=0.1),
        nn.MaxPool2d(2, stride=1),
        nn.ReLU(),  # behind the pool: moved in front of it
        nn.Conv2d(6, 5, (2, 3), padding="same"),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(5 * 3 * 2, 7),
        nn.ReLU(),
        nn.Identity(),
        nn.Linear(7, 4),
    )
    network = run_both(module, (3, 8, 6), 255, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    assert [layer.name for layer in network.convs] == ["0", "4", "7", "10"]
    assert [layer.relu for layer in network.convs] == [True, False, True, False]
    assert network.convs[2].weight.shape == (7, 5, 3, 2)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(4, 8, 3, groups=2, stride=2, padding=(1, 0)),
        nn.Conv2d(4, 4, (5, 1), groups=4, bias=False),
        nn.Sequential(nn.ZeroPad2d((0, 1, 2, 3)), nn.Conv2d(4, 2, 3, stride=2, padding=1)),
        nn.Sequential(nn.ConstantPad2d((1, 0, 0, 0), 0), nn.Conv2d(4, 2, 3)),
        nn.Sequential(nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2, affine=False), nn.BatchNorm2d(2)),
        nn.Sequential(nn.Conv2d(4, 3, 1), nn.AvgPool2d((2, 3), stride=2)),
        nn.Sequential(nn.Conv2d(4, 3, 1), nn.AvgPool2d((8, 6))),
        nn.Sequential(nn.AvgPool2d((8, 2)), nn.Conv2d(4, 3, 1)),
        nn.Sequential(nn.AvgPool2d(1), nn.Conv2d(4, 3, (8, 6), stride=4)),
        nn.Sequential(nn.Conv2d(4, 3, (3, 1)), nn.ReLU6(), nn.MaxPool2d(6)),
        nn.Sequential(nn.Conv2d(4, 3, 1), nn.Hardtanh(0, 0.2), nn.ReLU6()),
        nn.Sequential(nn.Conv2d(4, 3, 1), nn.AdaptiveAvgPool2d((1, 1)), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    ],
)
def test_layers_one_by_one(module):
    run_both(nn.Sequential(module), (4, 8, 6))


@pytest.mark.parametrize(
    ("function", "ceiling"),
    [
        (lambda m, x: torch.relu(m.conv(x)), None),
        (lambda m, x: m.conv(x).relu_(), None),
        (lambda m, x: functional.relu(m.conv(x), inplace=True), None),
        (lambda m, x: m.conv(x).clamp(min=0), None),
        (lambda m, x: torch.clamp(m.conv(x), 0, 0.25), 0.25),
        (lambda m, x: functional.hardtanh(m.conv(x), 0, 6), 6.0),
        (lambda m, x: functional.relu6(m.conv(x)), 6.0),
        (lambda m, x: torch.relu(functional.relu6(m.conv(x))), 6.0),
        (lambda m, x: functional.max_pool2d(m.conv(x), 2, stride=1).relu(), None),
        (lambda m, x: torch.max_pool2d(torch.relu(m.conv(x)), 3).relu(), None),
    ],
)
def test_activation_forms(function, ceiling):
    conv = run_both(Net(function, conv=nn.Conv2d(2, 3, 3)), (2, 6, 6)).convs[0]
    assert conv.relu
    assert conv.ceiling == ceiling


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.flatten(x, 1),
        lambda x: x.flatten(start_dim=1),
        lambda x: x.view(x.size(0), -1),
        lambda x: x.contiguous().view(-1, 32),
        lambda x: x.reshape((x.shape[0], -1)),
        lambda x: torch.reshape(x, (x.size()[0], 32)),
        lambda x: functional.dropout(x, training=False).view(x.size(dim=0), x.flatten(1).size(1)),
    ],
)
def test_flatten_forms(function):
    module = Net(
        lambda m, x: m.fc(function(m.conv(x))), conv=nn.Conv2d(1, 2, 3), fc=nn.Linear(32, 3)
    )
    run_both(module, (1, 6, 6))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean((2, 3)),
        lambda x: torch.mean(x, dim=[-1, -2]),
        lambda x: x.mean(dim=(2, 3), keepdim=True).flatten(1),
        lambda x: functional.avg_pool2d(x, x.size()[3]).view(x.size(0), -1),
        lambda x: functional.adaptive_avg_pool2d(x, 1).flatten(1),
    ],
)
def test_average_forms(function):
    module = Net(
        lambda m, x: m.fc(function(m.conv(x))), conv=nn.Conv2d(2, 3, 3), fc=nn.Linear(3, 2)
    )
    layers = run_both(module, (2, 6, 6)).layers
    assert [layer.kind for layer in layers] == ["conv", "avgpool", "linear"]
    assert (layers[1].groups, layers[1].weight.shape, layers[1].stride) == (3, (3, 1, 4, 4), 1)


@pytest.mark.parametrize(
    "add",
    [
        operator.add,
        operator.iadd,
        torch.add,
        lambda a, b: a.add(b),
        lambda a, b: b + a,
        lambda a, b: torch.add(b, a, alpha=1),
    ],
)
def test_addition_forms(add):
    module = Net(
        lambda m, x: torch.relu(add(m.bn(m.conv(x)), x)),
        conv=nn.Conv2d(2, 2, 3, padding=1, bias=False),
        bn=nn.BatchNorm2d(2),
    )
    (layer,) = run_both(module, (2, 5, 5), 255, (0.5, 0.4), (0.2, 0.3)).layers
    assert layer.residual == FloatResidual("input")
    assert layer.relu


def test_of_two_bare_convolutions_the_later_one_adds():
    module = Net(
        lambda m, x: m.a(x) + m.b(x),
        a=nn.Conv2d(2, 3, 1, stride=2),
        b=nn.Conv2d(2, 3, 3, stride=2, padding=1),
    )
    a, b = run_both(module, (2, 6, 6)).layers
    assert (a.name, a.residual, b.residual) == ("a", None, FloatResidual("a"))


def test_a_convolution_moves_behind_what_it_adds():
    module = Net(
        lambda m, x: torch.relu(m.c(x) + torch.relu(m.b(torch.relu(m.a(x))))),
        a=nn.Conv2d(2, 3, 1),
        b=nn.Conv2d(3, 3, 1),
        c=nn.Conv2d(2, 3, 1),
    )
    module.function = lambda m, x: (lambda c: c + torch.relu(m.b(torch.relu(m.a(x)))))(m.c(x))
    layers = run_both(module, (2, 4, 4)).layers
    assert [layer.name for layer in layers] == ["a", "b", "c"]
    assert layers[2].residual == FloatResidual("b")


@pytest.mark.parametrize(
    "shortcut",
    [
        lambda x: functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1), "constant", 0),
        lambda x: functional.pad(x, (0, 0, 0, 0, 1, 1))[..., ::2, ::2],
        lambda x: functional.pad(x[:, :, 0::2, 0::2], [0, 0, 0, 0, 1, 1]),
    ],
)
def test_the_shortcut_without_parameters(shortcut):
    module = Net(
        lambda m, x: torch.relu(m.conv(x) + shortcut(x)),
        conv=nn.Conv2d(2, 4, 3, stride=2, padding=1),
    )
    (layer,) = run_both(module, (2, 7, 8)).layers
    assert layer.residual == FloatResidual("input", stride=2, first=1)


def test_padding_is_merged():
    module = Net(
        lambda m, x: m.conv(functional.pad(x, (0, 1, 0, 1))),
        conv=nn.Conv2d(2, 3, 3, stride=2, padding=(0, 1)),
    )
    assert run_both(module, (2, 8, 8)).convs[0].padding == (0, 1, 1, 2)


def test_a_module_called_twice_is_two_layers():
    module = Net(
        lambda m, x: m.fc(m.pool(m.act(m.conv(m.pool(m.act(m.conv(x)))))).flatten(1)),
        conv=nn.Conv2d(2, 2, 3, padding=1),
        pool=nn.MaxPool2d(2),
        act=nn.ReLU(inplace=True),
        fc=nn.Linear(8, 2),
    )
    names = [layer.name for layer in run_both(module, (2, 8, 8)).layers]
    assert names == ["conv", "pool", "conv_1", "pool_1", "fc"]


@pytest.mark.parametrize("drop", [functional.dropout, functional.dropout2d])
def test_dropout_that_never_ends_is_refused(drop):
    module = Net(lambda m, x: m.conv(drop(x)), conv=nn.Conv2d(2, 3, 3))
    with pytest.raises(
        SqhwError,
        match=r"^layer 'dropout.*': dropout.* with training=True drops in eval mode too; pass",
    ):
        import_module(module, (2, 5, 5))
    for rest in ({"training": False}, {"p": 0.0}):
        run_both(Net(lambda m, x, rest=rest: m.conv(drop(x, **rest)), conv=module.conv), (2, 5, 5))
    run_both(Net(lambda m, x: m.conv(drop(x, training=m.training)), conv=module.conv), (2, 5, 5))


def test_what_the_output_does_not_need_is_left_out_and_the_module_is_left_as_it_is():
    def function(m, x):
        unused = torch.sigmoid(m.conv(x))
        return m.norm(m.conv(x)) if not m.training else unused

    module = Net(function, conv=nn.Conv2d(2, 2, 3), norm=nn.BatchNorm2d(2)).train()
    module.conv.eval()
    network = import_module(module, (2, 4, 4))
    assert len(network.layers) == 1
    assert [part.training for part in module.modules()] == [True, False, True]


class Random(nn.Module):
    """Layers drawn at random, every shape of which fits by construction."""

    def __init__(self, rng, channels, size):
        super().__init__()
        self.layers = nn.ModuleList()
        self.steps = []
        for _ in range(rng.randint(1, 6)):
            step = rng.choice(["conv", "depthwise", "block", "down", "max", "avg", "pad"])
            if step in ("max", "avg") and size < 2:
                step = "conv"
            self.steps.append(step)
            out = channels
            if step == "conv":
                out, groups = rng.choice([(2, 1), (4, 2), (6, 1)])
                groups = groups if channels % groups == 0 else 1
                body = nn.Conv2d(channels, out, 3, padding=1, groups=groups)
            elif step == "depthwise":
                body = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
            elif step == "block":
                middle = rng.choice([2, 3])
                body = nn.Sequential(
                    nn.Conv2d(channels, middle, 1),
                    nn.BatchNorm2d(middle, eps=1e-3),
                    nn.ReLU6(),
                    nn.Conv2d(middle, channels, 3, padding=1),
                    nn.BatchNorm2d(channels),
                )
            elif step == "down":
                out = 2 * channels
                body = nn.Conv2d(channels, out, 3, stride=2, padding=1)
                size = (size + 1) // 2
            elif step == "max":
                body = nn.MaxPool2d(2, stride=1)
                size -= 1
            elif step == "avg":
                body = nn.AvgPool2d(2)
                size //= 2
            else:
                body = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, out, 2))
            self.layers.append(body)
            channels = out
        self.acts = [rng.choice([torch.relu, functional.relu6, None]) for _ in self.steps]
        self.fc = nn.Linear(channels * size * size, 3)

    def forward(self, x):
        for step, layer, act in zip(self.steps, self.layers, self.acts, strict=True):
            y = layer(x)
            if step == "block":
                y = y + x
            elif step == "down":
                quarter = x.shape[1] // 2
                spare = x.shape[1] - quarter
                y = y + functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, spare))
            x = act(y) if act and step not in ("max", "avg") else y
        return self.fc(x.flatten(1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_random_networks(seed):
    torch.manual_seed(seed)
    module = Random(random.Random(seed), 2, 7)
    try:
        network = run_both(module, (2, 7, 7), 255, (0.4,), (0.3,))
    except Exception:
        print("seed", seed, module.steps, module.acts)
        raise
    made = {"input"}
    for layer in network.layers:
        assert set(layer.sources) <= made
        made.add(layer.name)


def both(first, second):
    return Net(lambda m, x: second(first(m.conv(x))), conv=nn.Conv2d(2, 2, 3, padding=1))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")),
            r"^layer '0': Conv2d with padding mode 'reflect' is not supported; pad with ",
        ),
        (
            nn.Sequential(nn.Conv2d(2, 2, 3), nn.SELU()),
            r"^layer '1': SELU is not supported; train ",
        ),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.GroupNorm(1, 2)), r"^layer '1': GroupNorm is not"),
        (nn.Sequential(nn.MaxPool2d(2, dilation=2)), r"^layer '0': MaxPool2d with dilation \(2, 2"),
        (nn.Sequential(nn.MaxPool2d((1, 2))), r"^layer '0': stride 1 down and 2 to the right"),
        (
            nn.Sequential(nn.AvgPool2d(3, padding=1, count_include_pad=False)),
            r"^layer '0': an average whose padding or ceil mode makes windows of diff",
        ),
        (
            nn.Sequential(nn.Conv2d(2, 2, 3), nn.MaxPool2d(3, 1, 1)),
            r"^layer '1': is a padded maximum of '0', which has negative values",
        ),
        (nn.Sequential(nn.AvgPool2d(4)), r"^layer '0': stride 4 is not supported; use stride 1"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(3)), r"^layer '0': AdaptiveAvgPool2d to \(3, 3\) from"),
        (nn.Sequential(nn.ConstantPad2d(1, 2)), r"^layer '0': padding of mode 'constant' with 2,"),
        (
            nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(2)),
            r"^layer '1': a maximum of zeros around a tensor that may be negative is not supported",
        ),
        (nn.Sequential(nn.Linear(128, 2)), r"^layer '0': Linear without a Flatten before it"),
        (nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), r"Linear takes 5 values, its .* has 128$"),
        (
            nn.Sequential(nn.Conv2d(2, 2, 8), nn.Flatten(), nn.Conv2d(2, 2, 1)),
            r"^layer '2': a layer on images after Flatten is not supported",
        ),
        (nn.Sequential(nn.Flatten(2)), r"^layer '0': flatten of other than all dimensions from 1"),
        (
            nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)),
            r"^layer '1': BatchNorm2d without running statistics",
        ),
        (
            nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(3)),
            r"^layer '1': BatchNorm2d takes 3 channels, its input \(2, 6, 6\) has 2$",
        ),
        (
            nn.Sequential(nn.Conv2d(2, 2, 3, stride=3)),
            r"^layer '0': stride 3 is not supported; use stride 1",
        ),
        (
            nn.Sequential(nn.Conv2d(2, 2, 3, stride=(1, 2))),
            r"^layer '0': stride 1 down and 2 to the right is not",
        ),
        (nn.Sequential(nn.Conv2d(2, 2, 9)), r"^layer '0': its window is larger than its input map"),
        (both(lambda y: y.clamp(1, 1), torch.relu), r"^layer 'clamp': clamp from 1 to 1 is not"),
        (both(torch.relu, lambda y: torch.cat([y, y], 2)), r"^layer 'cat': a concatenation along"),
        (
            both(torch.relu, lambda y: torch.cat([y, functional.max_pool2d(y, 2)], 1)),
            r"^layer 'cat': joins maps of different sizes, 4x4 and 8x8",
        ),
        (both(torch.relu, lambda y: y + None), r"^layer 'add': arithmetic with a NoneType is not"),
        (both(torch.relu, lambda y: y.mean(1)), r"^layer 'mean': a mean over 1, other than height"),
        (both(torch.relu, lambda y: y.view(-1, 9)), r"^layer 'view': a view of \(-1, 9\), other"),
        (both(torch.relu, lambda y: y[:, :1]), r"^layer 'getitem': an index other than "),
        (both(torch.relu, lambda y: y.relu(3, 4)), r"^layer 'relu_1': relu with these"),
        (both(torch.relu, lambda y: y.size(9) + y), r"^layer 'size': dimension 9 of \(n, 2, 8, 8"),
        (
            both(torch.relu, lambda y: y.view(2 * y.size(0), -1)),
            r"^layer 'mul': arithmetic on the number of images is not supported",
        ),
        (both(torch.relu, lambda y: (y, y)), r"^layer 'output': an output of other than one"),
        (
            both(lambda y: y[:, :, ::2, ::2], torch.relu),
            r"^layer 'output': reading sliced or widened channels other than by an addition is",
        ),
        (
            both(lambda y: functional.pad(y, (1, 1)), lambda y: y.flatten(1)),
            r"^layer 'flatten': flatten of a padded or sliced tensor is not supported",
        ),
        (
            Net(lambda m, x: m.a(x) + x, a=nn.Conv2d(2, 2, 3)),
            r"^layer 'add': adds tensors of different shapes, \(2, 6, 6\) and \(2, 8, 8\)$",
        ),
        (
            Net(
                lambda m, x: m.a(x) + functional.pad(m.b(x), (1, 1, 1, 1)),
                a=nn.Conv2d(2, 2, 3, padding=1),
                b=nn.Conv2d(2, 2, 3),
            ),
            r"^layer 'add': an addition of a padded tensor, or of two sliced ones is not",
        ),
    ],
)
def test_what_is_not_supported_is_named(module, message):
    with pytest.raises(SqhwError, match=message):
        import_module(module, (2, 8, 8))


@pytest.mark.parametrize(
    "last",
    [
        lambda y: y + y,
        lambda y: torch.relu(y) + torch.relu(y),
        lambda y: y + torch.relu(y),
        lambda y: torch.relu(y) + functional.max_pool2d(torch.relu(y), 3, 1, 1),
        lambda y: torch.cat([torch.relu(y), functional.relu(y * 2)], 1),
        lambda y: torch.cat([y, y.clamp(-0.1, 0.2), y.clamp(max=0.3)], dim=-3),
        functional.leaky_relu,
        functional.hardsigmoid,
    ],
)
def test_maps_are_copied_where_no_layer_can_take_an_operation(last):
    network = run_both(both(lambda y: y, last), (2, 8, 8))
    assert len(network.layers) > (last is not functional.hardsigmoid)


def test_two_inputs_are_refused():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    with pytest.raises(SqhwError, match=r"^layer 'y': a second input is not supported"):
        import_module(Two(), (2, 8, 8))


def test_a_subclass_of_a_known_layer_is_not_taken_for_it():
    class Doubled(nn.Conv2d):
        def forward(self, x):
            return 2 * super().forward(x)

    run_both(nn.Sequential(Doubled(2, 2, 1)), (2, 8, 8))


def test_a_module_that_does_not_trace_is_refused():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(SqhwError, match=r"^network 'network': forward\(\) branches on a tensor's"):
        import_module(Branch(), (1, 4, 4))


def test_channels_that_do_not_match_are_named():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    with pytest.raises(SqhwError) as error:
        import_module(module, (1, 8, 8))
    assert str(error.value) == "layer '0': Conv2d takes 3 channels, its input (1, 8, 8) has 1"


def test_weights_that_are_not_finite_are_named():
    module = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)).eval()
    module[1].running_var.fill_(-1.0)
    with pytest.raises(SqhwError, match=r"^layer '0': a weight or bias is not finite$"):
        import_module(module, (2, 4, 4))


def test_an_input_that_is_no_image_is_refused():
    with pytest.raises(SqhwError, match=r"input shape must be \(channels, height, width\), not "):
        import_module(nn.Sequential(nn.Linear(64, 10)), (64,))
