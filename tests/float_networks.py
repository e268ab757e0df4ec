"""Small float networks with every kind of layer, from a seed."""

import numpy as np

from sqhw.network.floats import FloatConv, FloatNetwork, FloatResidual
from sqhw.network.graph import MaxPool


def conv(rng, name, source, outputs, inputs, kernel=3, groups=1, **changes):
    """Return a convolution with He-scaled weights; `inputs` are those of all groups."""
    shape = (outputs, inputs // groups, kernel, kernel)
    weight = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    bias = rng.normal(0, 0.1, outputs).astype(np.float32)
    fields = {"padding": (kernel // 2,) * 4 if kernel > 1 else (0, 0, 0, 0), "relu": True}
    return FloatConv(name, source, weight, bias, **fields | {"groups": groups} | changes)


def average(name, source, channels, size, **changes):
    """Return an average pooling."""
    weight = np.full((channels, 1, size, size), 1 / size**2, np.float32)
    bias = np.zeros(channels, np.float32)
    return FloatConv(name, source, weight, bias, kind="avgpool", groups=channels, **changes)


def chain_network(seed=0):
    """Return a chain of three convolutions."""
    rng = np.random.default_rng(seed)
    layers = (
        conv(rng, "a", "input", 12, 3),
        MaxPool("pool", "a", 2, 2),
        conv(rng, "b", "pool", 16, 12),
        conv(rng, "c", "b", 4, 16, relu=False),
    )
    return FloatNetwork("chain", (3, 8, 8), 255, (0.0,), (0.25,), layers)


def residual_network(seed=0, mean=(0.0,), std=(0.25,)):
    """Return blocks with an identity, an option-A and a convolutional shortcut, for 3x8x8."""
    rng = np.random.default_rng(seed)
    layers = (
        conv(rng, "stem", "input", 4, 3),
        conv(rng, "a1", "stem", 4, 4),
        conv(rng, "a2", "a1", 4, 4, residual=FloatResidual("stem")),
        conv(rng, "b1", "a2", 8, 4, stride=2, padding=(0, 1, 0, 1)),
        conv(rng, "b2", "b1", 8, 8, residual=FloatResidual("a2", 2, 2)),
        conv(rng, "c1", "b2", 12, 8, stride=2),
        conv(rng, "c0", "b2", 12, 8, kernel=1, stride=2, relu=False),
        conv(rng, "c2", "c1", 12, 12, residual=FloatResidual("c0")),
        average("mean", "c2", 12, 2),
        conv(rng, "fc", "mean", 4, 12, kernel=1, relu=False, kind="linear"),
    )
    return FloatNetwork("residual", (3, 8, 8), 255, mean, std, layers)


def mobile_network(seed=0, mean=(0.4, 0.5, 0.45), std=(0.2, 0.25, 0.22)):
    """Return inverted bottlenecks with depthwise layers and ReLU6, for 3x8x8."""
    rng = np.random.default_rng(seed)
    six = {"ceiling": 6.0}
    layers = (
        conv(rng, "stem", "input", 4, 3, **six),
        conv(rng, "e1", "stem", 8, 4, kernel=1, **six),
        conv(rng, "d1", "e1", 8, 8, groups=8, **six),
        conv(rng, "p1", "d1", 4, 8, kernel=1, relu=False),
        conv(rng, "e2", "p1", 8, 4, kernel=1, **six),
        conv(rng, "d2", "e2", 8, 8, groups=4, **six),
        conv(rng, "p2", "d2", 4, 8, kernel=1, relu=False, residual=FloatResidual("p1")),
        MaxPool("pool", "p2", 2, 2),
        average("mean", "pool", 4, 4),
        conv(rng, "fc", "mean", 4, 4, kernel=1, relu=False, kind="linear"),
    )
    return FloatNetwork("mobile", (3, 8, 8), 255, mean, std, layers)
