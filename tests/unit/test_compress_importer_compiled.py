"""Compiled functions of torch take a traced size as a number, in every release from 2.6 on."""

import sys

import pytest
import torch
from import_cases import Net, run_both
from torch import nn, reshape
from torch.nn import functional

from sqhw.compress import import_module
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.compiled import recorded


@pytest.mark.parametrize(
    "flatten",
    [
        lambda x: torch.reshape(x, [x.shape[0], -1]),
        lambda x: torch.reshape(x, shape=(x.size(0), 32)),
        lambda x: torch.reshape(input=x, shape=(x.size(0), 32)),
        lambda x: torch.flatten(x, x.dim() - 3),
        lambda x: torch.clamp(x, 0, x.shape[1]).flatten(1),
        lambda x: torch.add(x, torch.ones((x.shape[1], 1, 1))).flatten(1),
        lambda x: torch.add(x, torch.full([x.shape[1], 1, 1], 0.25), alpha=1).flatten(1),
        lambda x: (x + torch.ones(x.shape[1], 1, 1)).flatten(1),
    ],
)
def test_a_size_where_torch_takes_a_number(flatten):
    module = Net(
        lambda m, x: m.fc(flatten(m.conv(x))), conv=nn.Conv2d(1, 2, 3), fc=nn.Linear(32, 3)
    )
    run_both(module, (1, 6, 6))


@pytest.mark.parametrize(
    ("pool", "kind"),
    [
        (lambda x: torch.mean(x, (x.dim() - 1, 2)), "avgpool"),
        (lambda x: torch.mean(x, dim=[x.dim() - 2, -1]), "avgpool"),
        (lambda x: functional.avg_pool2d(x, (x.shape[2], x.shape[3])).flatten(1), "avgpool"),
        (lambda x: functional.avg_pool2d(x, kernel_size=x.size()[2:]).flatten(1), "avgpool"),
        (lambda x: functional.max_pool2d(x, x.shape[2:]).flatten(1), "maxpool"),
        (lambda x: torch.max_pool2d(x, [x.size(2), x.size(3)]).flatten(1), "maxpool"),
        (lambda x: torch.max_pool2d(x, x.size(2)).flatten(1), "maxpool"),
    ],
)
def test_a_size_as_a_window(pool, kind):
    module = Net(lambda m, x: m.fc(pool(m.conv(x))), conv=nn.Conv2d(1, 2, 3), fc=nn.Linear(2, 3))
    layers = run_both(module, (1, 6, 6)).layers
    assert [getattr(layer, "kind", "maxpool") for layer in layers] == ["conv", kind, "linear"]


@pytest.mark.parametrize(
    "convolve",
    [
        lambda m, x: functional.conv2d(x, m.weight, None, (x.dim() - 3, 1), 1, 1, x.shape[1]),
        lambda m, x: functional.conv2d(x, m.weight, padding=x.dim() - 3, groups=2),
        lambda m, x: torch.conv2d(input=x, weight=m.weight, padding=[x.dim() - 3, 1], groups=2),
    ],
)
def test_a_size_in_a_convolution(convolve):
    module = Net(convolve)
    module.weight = nn.Parameter(torch.linspace(-1, 1, 36).reshape(4, 1, 3, 3))
    (layer,) = run_both(module, (2, 5, 5)).layers
    assert (layer.groups, layer.stride, layer.padding) == (2, 1, (1, 1, 1, 1))


class Named(nn.Module):
    """Its Python module imports the function by name."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(36, 3)

    def forward(self, x):
        return self.fc(reshape(x, (x.shape[0], 36)))


def test_a_function_imported_by_name():
    run_both(Named(), (1, 6, 6))


def test_a_softmax_over_a_dimension_that_is_a_size():
    module = Net(
        lambda m, x: torch.softmax(m.fc(x.flatten(1)), x.dim() - 3), fc=nn.Linear(36, 3)
    ).eval()
    assert [layer.name for layer in import_module(module, (1, 6, 6)).layers] == ["fc"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: torch.conv2d(x), r"conv2d.*missing.*weight|conv2d.* with these arguments"),
        (lambda x: torch.roll(x, (x.dim(), 1), (2, 3)), r"^layer 'roll': roll is not supported"),
        (
            lambda x: torch.reshape(x, (x.dim(), -1)),
            r"^layer 'reshape': a view of \(4, -1\), other",
        ),
    ],
)
def test_other_calls_are_refused_by_name(function, message):
    with pytest.raises(SqhwError, match=message):
        import_module(Net(lambda m, x: function(x)), (1, 6, 6))


@pytest.mark.parametrize(
    "refusal",
    [  # what torch 2.6 says of a function that the Python module of a helper imports by name
        "reshape(): argument 'shape' must be tuple of ints, not tuple",
        "flatten(): argument 'start_dim' (position 2) must be int, not TracedTensor",
        "conv2d(): argument 'stride' must be tuple of ints, but found element of type Proxy",
    ],
)
def test_where_it_was_not_found_the_way_out_is_said(refusal):
    def helper(x):
        raise TypeError(refusal)

    with pytest.raises(SqhwError) as error:
        import_module(Net(lambda m, x: helper(x)), (1, 6, 6))
    assert "forward() passes a size to a function imported from torch by name in" in str(
        error.value
    )
    assert str(error.value).endswith("; write torch.NAME(x, ...), or a method of x")


def test_the_functions_are_put_back():
    spaces = (torch, functional, sys.modules[__name__])
    before = [dict(vars(space)) for space in spaces]
    with pytest.raises(SqhwError, match="branches on a tensor's values"):
        import_module(nn.Sequential(Named(), Net(lambda m, x: x if x.sum() > 0 else -x)), (1, 6, 6))
    for space, names in zip(spaces, before, strict=True):
        assert [name for name, value in names.items() if vars(space)[name] is not value] == []
    # torch keeps this table once it has made it.
    assert torch.reshape in torch.overrides.get_overridable_functions()[torch]


def test_values_that_are_not_traced_are_computed_meanwhile():
    with recorded(Named()):
        assert reshape(torch.ones(2, 3), (3, 2)).shape == torch.reshape(torch.ones(6), (3, 2)).shape
