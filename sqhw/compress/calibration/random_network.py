"""Networks of random sparse weights, for cycle studies."""

from dataclasses import replace

import numpy as np
import torch

from sqhw.arrays import Floats32, Floats64
from sqhw.compress.calibration.layer_projection import (
    LLOYD_STEPS,
    MAX_BITS,
    check_layer,
    largest,
    uniform_values,
)
from sqhw.compress.calibration.oneshot import exported, to_integers
from sqhw.compress.qat.codebook import SortedWeights, kmeans
from sqhw.compress.qat.network import QatNetwork
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.quantized import QuantizedNetwork
from sqhw.seeds import check_seed

#: Number of noise images to calibrate on.
RANDOM_IMAGES = 8
#: Largest width of a bias (unit: bit).
BIAS_BITS = 12


def random_quantized(
    network: FloatNetwork,
    engine: EngineConfig,
    density: float,
    bits: int,
    seed: int,
    *,
    objective: str = "rom",
) -> QuantizedNetwork:
    """Return a network of the same topology with random sparse weights, for cycle studies.

    Each trained layer keeps exactly ``density`` of its weights, at least one, at random places.
    Their values are normal with the spread that keeps activations alive. The network shows the
    costs of a topology. It classifies nothing.

    Parameters
    ----------
    network : FloatNetwork
        Network whose weights are not used.
    engine : EngineConfig
    density : float, above 0, at most 1
    bits : int, 1 to 8
        Width of a code.
    seed : int
        Seed of the masks, the values and the noise images for calibration.
    objective : {"rom", "cycles"}
        Objective of the choice of streams.
    """
    rng = np.random.default_rng(check_seed(seed))
    layers = []
    for layer in network.layers:
        if isinstance(layer, FloatConv) and layer.trained:
            check_layer(layer.name, density, bits)
            mask = largest(rng.random(layer.weight.shape, dtype=np.float32), density)
            spread = np.sqrt(2 / (density * np.prod(layer.weight.shape[1:])))
            weight = rng.standard_normal(layer.weight.shape, dtype=np.float32) * mask * spread
            bias = 0.1 * rng.standard_normal(len(layer.bias), dtype=np.float32)
            layer = replace(layer, weight=weight.astype(np.float32), bias=bias)
        layers.append(layer)
    network = replace(network, layers=tuple(layers))
    shape = (RANDOM_IMAGES, *network.input_shape)
    pixels = torch.from_numpy(rng.integers(0, network.input_max + 1, shape).astype(np.float32))
    with torch_threads(1):
        model = QatNetwork(network)
        for step in model.learning_layers():
            values = step.weight.detach().numpy()
            step.set_projection(values != 0, _random_values(values[values != 0], bits))
        metadata = {"method": "random", "seed": str(seed)}
        to_integers(model, pixels, engine, BIAS_BITS)
        return exported(model, engine, objective, metadata)


def _random_values(kept: Floats32, bits: int) -> Floats64:
    """Return a codebook without 0, so that the density does not change."""
    if bits == MAX_BITS:
        return uniform_values(float(np.abs(kept).max()))
    values = np.sort(kept.astype(np.float64))
    return kmeans(SortedWeights.make(values, np.ones(len(values))), 1 << bits, steps=LLOYD_STEPS)[0]
