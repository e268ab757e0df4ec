"""The compressed network at one moment of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sqhw.arrays import Floats32
from sqhw.compress.methods.latent import LatentNetwork
from sqhw.compress.qat.folding import folded
from sqhw.network.floats import FloatConv, FloatNetwork

PARTS = ("weights", "biases", "factors")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Weights and biases of the trained layers at one moment.

    Parameters
    ----------
    weights, biases : list of ndarray of float32
        Weights on their codebooks, 0 where they are pruned, and biases; one array for each layer.
    factors : list of ndarray of float32
        Factor of each output channel's weights, shape (out_channels,): 1 unless the layer was
        normalised.
    """

    weights: list[Floats32]
    biases: list[Floats32]
    factors: list[Floats32]

    @classmethod
    def plain(cls, weights: list[Floats32], biases: list[Floats32]) -> "Snapshot":
        """Return a snapshot whose channels have no factors."""
        return cls(weights, biases, [np.ones_like(bias) for bias in biases])

    @property
    def real_weights(self) -> list[Floats32]:
        """Weights times the factors of their channels."""
        return [
            weight * factor.reshape(-1, 1, 1, 1)
            for weight, factor in zip(self.weights, self.factors, strict=True)
        ]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Snapshot":
        """Return the snapshot that `tensors` returned."""
        count = len(tensors) // len(PARTS)
        parts = ([tensors[f"{part}.{index}"].numpy() for index in range(count)] for part in PARTS)
        weights, biases, factors = parts
        return cls(weights, biases, factors)

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, biases and factors by name."""
        return {
            f"{part}.{index}": torch.from_numpy(array)
            for part in PARTS
            for index, array in enumerate(getattr(self, part))
        }

    def applied(self, network: FloatNetwork) -> FloatNetwork:
        """Return the network with these weights, times their factors, and biases."""
        rest = iter(zip(self.real_weights, self.biases, strict=True))
        layers = []
        for layer in network.layers:
            if isinstance(layer, FloatConv) and layer.trained:
                weight, bias = next(rest)
                layer = replace(layer, weight=weight, bias=bias)
            layers.append(layer)
        return replace(network, layers=tuple(layers))


def take(model: LatentNetwork, weights: Sequence[Tensor] | None = None) -> Snapshot:
    """Return the effective weights and the biases of the model, or its biases with other weights.

    Normalisations are folded by their statistics.

    Parameters
    ----------
    model : LatentNetwork
    weights : sequence of Tensor, optional
        Weights to use instead of those of the model.
    """
    biases, factors = [], []
    with torch.no_grad():
        taken = [layer.effective() for layer in model.latent()] if weights is None else weights
        for layer, weight in zip(model.latent(), taken, strict=True):
            if layer.norm is not None:
                found = folded(layer.norm, (weight != 0).any(dim=3).any(dim=2).any(dim=1))
                biases.append(plain(layer.bias - found.shift))
                factors.append(plain(found.common * found.gain))
            else:
                biases.append(plain(layer.bias))
                factors.append(np.ones_like(biases[-1]))
        return Snapshot([plain(weight) for weight in taken], biases, factors)


def plain(tensor: Tensor) -> Floats32:
    """Return a tensor as an array with its own memory; negative zeros become zeros."""
    array = tensor.detach().to("cpu", torch.float32, copy=True).contiguous().numpy()
    return np.ascontiguousarray(array + np.float32(0))
