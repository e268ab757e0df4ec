"""A small fully connected network, for peers that run nothing larger."""

from itertools import pairwise

import torch
from torch import nn

from sqhw.compress import import_module
from sqhw.compress.calibration.random_network import random_quantized
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork

#: Numbers of values, from the input to the outputs.
WIDTHS = (64, 32, 32, 10)
CODE_BITS = 4


def perceptron() -> QuantizedNetwork:
    """Return a dense perceptron with random weights."""
    torch.manual_seed(0)
    layers = list[nn.Module]()
    for inputs, outputs in pairwise(WIDTHS):
        layers += [nn.Conv2d(inputs, outputs, 1), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    source = import_module(model, (WIDTHS[0], 1, 1))
    return random_quantized(source, EngineConfig(), 1.0, CODE_BITS, seed=0)
