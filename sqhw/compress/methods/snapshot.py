"""The compressed network at one moment of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sqhw.arrays import Floats32
from sqhw.compress.methods.latent import LatentNetwork
from sqhw.network.floats import FloatConv, FloatNetwork


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Weights and biases of the trained layers at one moment.

    Parameters
    ----------
    weights, biases : list of ndarray of float32
        Weights on their codebooks, 0 where they are pruned, and biases; one array for each layer.
    """

    weights: list[Floats32]
    biases: list[Floats32]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Snapshot":
        """Return the snapshot that `tensors` returned."""
        count = len(tensors) // 2
        weights, biases = (
            [tensors[f"{part}.{index}"].numpy() for index in range(count)]
            for part in ("weights", "biases")
        )
        return cls(weights, biases)

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and biases by name."""
        return {
            f"{part}.{index}": torch.from_numpy(array)
            for part, arrays in (("weights", self.weights), ("biases", self.biases))
            for index, array in enumerate(arrays)
        }

    def applied(self, network: FloatNetwork) -> FloatNetwork:
        """Return the network with these weights and biases."""
        rest = iter(zip(self.weights, self.biases, strict=True))
        layers = []
        for layer in network.layers:
            if isinstance(layer, FloatConv) and layer.trained:
                weight, bias = next(rest)
                layer = replace(layer, weight=weight, bias=bias)
            layers.append(layer)
        return replace(network, layers=tuple(layers))


def take(model: LatentNetwork, weights: Sequence[Tensor] | None = None) -> Snapshot:
    """Return the effective weights and the biases of the model, or its biases with other weights.

    Parameters
    ----------
    model : LatentNetwork
    weights : sequence of Tensor, optional
        Weights to use instead of those of the model.
    """
    with torch.no_grad():
        taken = [layer.effective() for layer in model.latent()] if weights is None else weights
        return Snapshot(
            [plain(weight) for weight in taken], [plain(layer.bias) for layer in model.latent()]
        )


def plain(tensor: Tensor) -> Floats32:
    """Return a tensor as an array with its own memory; negative zeros become zeros."""
    array = tensor.detach().to("cpu", torch.float32, copy=True).contiguous().numpy()
    return np.ascontiguousarray(array + np.float32(0))
