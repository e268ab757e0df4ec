"""The network while a method trains it: free weights, their masks and their quantizers."""

from collections.abc import Mapping, Sequence
from itertools import count

import torch
from torch import Tensor, nn

from sqhw.compress.qat.normalisation import Normalisation
from sqhw.compress.quantizers.codebook import TrainedQuantizer
from sqhw.compress.training.samples import channels_last
from sqhw.frontends.torch_module.float_module import (
    activated,
    max_pool,
    padded_conv,
    preactivation,
    with_residual,
)
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.walk import run_graph


class LatentLayer(nn.Module):
    """A layer whose weights are a function of free weights.

    Parameters
    ----------
    layer : FloatConv
        Layer with the initial weight and bias.

    Attributes
    ----------
    weight, bias : Parameter
        Trained parameters.
    mask : Tensor, shape of the weight
        1 for weights that are kept, 0 for those that are not.
    quantizer : TrainedQuantizer or None
        Quantizer of the free weights, if there is one.
    norm : Normalisation or None
        Normalisation of the sums, if the method keeps one while it trains.
    """

    norm: Normalisation | None

    def __init__(self, layer: FloatConv) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(torch.from_numpy(layer.weight.copy()))
        self.bias = nn.Parameter(torch.from_numpy(layer.bias.copy()))
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.mask: Tensor
        self.quantizer: TrainedQuantizer | None = None
        self.norm = None

    def effective(self) -> Tensor:
        """Return the weights that the layer computes with."""
        weight = self.weight if self.quantizer is None else self.quantizer(self.weight)
        return weight * self.mask


class LatentNetwork(nn.Module):
    """A `FloatNetwork` whose trained layers are `LatentLayer`s, from raw pixels to logits.

    Parameters
    ----------
    network : FloatNetwork
    """

    def __init__(self, network: FloatNetwork) -> None:
        super().__init__()
        self.network = network
        self.layers = nn.ModuleList(LatentLayer(layer) for layer in network.convs if layer.trained)
        for name, values in (("mean", network.mean), ("std", network.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1))
        self.mean: Tensor
        self.std: Tensor
        for layer in network.convs:
            if not layer.trained:
                constant = torch.from_numpy(layer.weight.copy())
                self.register_buffer(f"constant_{layer.name}", constant, persistent=False)

    def latent(self) -> list[LatentLayer]:
        """Return the trained layers."""
        return [layer for layer in self.layers if isinstance(layer, LatentLayer)]

    def forward(
        self,
        pixels: Tensor,
        *,
        weights: Sequence[Tensor] | None = None,
        biases: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Return logits, shape (images, outputs).

        Parameters
        ----------
        pixels : Tensor, shape (images, channels, height, width)
            Raw pixels.
        weights, biases : sequence of Tensor, optional
            Parameters to use instead of those of the trained layers. With biases nothing is
            normalised: they are those of a snapshot, which has the normalisations folded.
        """
        x = channels_last(pixels) / self.network.input_max
        indices = count()

        def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
            bias: Tensor | None
            if layer.trained:
                index = next(indices)
                own = self.layers[index]
                assert isinstance(own, LatentLayer)
                weight = own.effective() if weights is None else weights[index]
                if own.norm is not None and biases is None:
                    y = own.norm(padded_conv(tensors[layer.source], weight, None, layer), own.bias)
                    return activated(with_residual(y, layer.residual, tensors), layer)
                bias = own.bias if biases is None else biases[index]
            else:
                weight, bias = getattr(self, f"constant_{layer.name}"), None
            return activated(preactivation(layer, tensors, weight, bias), layer)

        return run_graph(self.network, (x - self.mean) / self.std, conv, max_pool).flatten(1)
