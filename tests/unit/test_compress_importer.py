"""Importing torch modules: same numbers, and a sentence for what is not supported."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from sqhw.compress import build, import_module
from sqhw.errors import SqhwError


def run_both(module, shape, input_max=255, mean=(0.0,), std=(1.0,)):
    torch.manual_seed(0)
    module.eval()
    network = import_module(module, shape, input_max=input_max, mean=mean, std=std)
    pixels = torch.randint(0, input_max + 1, (8, *shape)).float()
    with torch.no_grad():
        m = torch.tensor(mean).view(1, -1, 1, 1)
        s = torch.tensor(std).view(1, -1, 1, 1)
        expected = module((pixels / input_max - m) / s)
        found = network.to_module()(pixels)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return network


@pytest.mark.parametrize(
    ("name", "shape", "weights"),
    [("digits-cnn", (1, 8, 8), 84_696), ("lenet5-caffe", (1, 28, 28), 430_500)],
)
def test_the_zoo_imports(name, shape, weights):
    torch.manual_seed(0)
    network = run_both(build(name), shape, 16, (0.1307,), (0.3081,))
    assert network.weights == weights


def test_feature_maps_of_the_digits_network_fit_the_default_engine():
    network = import_module(build("digits-cnn"), (1, 8, 8))
    sizes = [int(np.prod(shape)) for shape in network.shapes()]
    assert max(a + b for a, b in pairwise(sizes)) <= 4096


def test_an_unknown_zoo_name_gets_a_suggestion():
    with pytest.raises(SqhwError, match=r"^unknown network 'digit-cnn'; did you mean 'digits-cnn'"):
        build("digit-cnn")


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_batch_norm_padding_stride_and_flatten_order():
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(6)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    norm.weight.data.normal_()
    norm.bias.data.normal_()
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        norm,
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


def test_functional_relu_and_flatten():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.fc = nn.Linear(8, 3)

        def forward(self, x):
            return self.fc(torch.flatten(torch.relu(self.conv(x)), 1))

    assert run_both(Net(), (1, 4, 4)).convs[0].relu


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Conv2d(2, 2, 3, groups=2)), r"^layer '0': Conv2d with groups 2 is not"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, dilation=2)), r"^layer '0': Conv2d with dilation"),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.Sigmoid()), r"^layer '1': Sigmoid is not supported;"),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.AvgPool2d(2)), r"AvgPool2d is not .* MaxPool2d"),
        (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), r"^layer '0': MaxPool2d with ceil_mode"),
        (nn.Sequential(nn.Linear(128, 2)), r"^layer '0': Linear without a Flatten before it"),
        (nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), r"Linear takes 5 values, its .* has 128$"),
        (nn.Sequential(nn.BatchNorm2d(2)), r"^layer '0': BatchNorm2d that does not follow"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, stride=3)), r"^layer '0': stride must be 1 or 2, not 3$"),
        (Residual(), r"^layer 'add': it does not read the layer before it alone; supported"),
    ],
)
def test_unsupported_layers_are_named(module, message):
    with pytest.raises(SqhwError, match=message):
        import_module(module, (2, 8, 8))


def test_a_module_that_does_not_trace_is_refused():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(SqhwError, match=r"^network 'network': torch.fx cannot trace it"):
        import_module(Branch(), (1, 4, 4))


def test_channels_that_do_not_match_are_named():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    with pytest.raises(SqhwError) as error:
        import_module(module, (1, 8, 8))
    assert str(error.value) == "layer '0': Conv2d takes 3 channels, its input (1, 8, 8) has 1"


def test_an_input_that_is_no_image_is_refused():
    with pytest.raises(SqhwError, match=r"input shape must be \(channels, height, width\), not "):
        import_module(nn.Sequential(nn.Linear(64, 10)), (64,))
