"""Modules to import, and the comparison of an import with its module."""

import copy

import numpy as np
import torch
from torch import nn

from sqhw.compress import import_module
from sqhw.frontends.torch_module.float_module import FloatModule


def scramble(module, seed):
    """Give every batch normalisation of a module statistics and parameters that have an effect."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.running_mean.normal_(generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
            if norm.affine:
                norm.weight.data.uniform_(0.5, 1.5, generator=generator)
                norm.bias.data.normal_(generator=generator)
    return module.eval()


def run_both(module, shape, input_max=255, mean=(0.0,), std=(1.0,)):
    """Import a module and check that both give the same numbers; return the import."""
    scramble(module, 0)
    network = import_module(module, shape, input_max=input_max, mean=mean, std=std)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, input_max + 1, (4, *shape), generator=generator).double()
    exact = copy.deepcopy(module).double()
    with torch.no_grad():
        m = torch.tensor(mean).double().view(1, -1, 1, 1)
        s = torch.tensor(std).double().view(1, -1, 1, 1)
        expected = exact((pixels / input_max - m) / s).flatten(1)
        found = FloatModule(network).double()(pixels)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return network


class Net(nn.Module):
    """A module of some layers, with a function of these and the input as its forward pass."""

    def __init__(self, function, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.function = function

    def forward(self, x):
        return self.function(self, x)
