"""The network while a method trains it: free weights behind a mask and a quantizer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sqhw.compress.quantizers.codebook import TrainedQuantizer
from sqhw.compress.training.samples import channels_last
from sqhw.frontends.torch_module.float_module import activated, padded_conv, with_residual
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.quantized import INPUT


class LatentLayer(nn.Module):
    """A layer whose weights are a function of free ones.

    Parameters
    ----------
    layer : FloatConv
        Gives weight and bias at first.

    Attributes
    ----------
    weight, bias : Parameter
        What is trained.
    mask : Tensor, shape of the weight
        1 for weights that are kept, 0 for those that are not.
    quantizer : TrainedQuantizer or None
    """

    def __init__(self, layer: FloatConv) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(torch.from_numpy(layer.weight.copy()))
        self.bias = nn.Parameter(torch.from_numpy(layer.bias.copy()))
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.mask: Tensor
        self.quantizer: TrainedQuantizer | None = None

    def effective(self) -> Tensor:
        """Return the weights that the layer computes with."""
        weight = self.weight if self.quantizer is None else self.quantizer(self.weight)
        return weight * self.mask


class LatentNetwork(nn.Module):
    """A `FloatNetwork` whose trained layers are `LatentLayer`s; from raw pixels to logits.

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
        weights: Sequence[Tensor] | None = None,
        biases: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Return logits, shape (images, outputs).

        Parameters
        ----------
        pixels : Tensor, shape (images, channels, height, width)
            Raw.
        weights, biases : sequence of Tensor, optional
            Of the trained layers, instead of their own.
        """
        x = channels_last(pixels) / self.network.input_max
        tensors = {INPUT: (x - self.mean) / self.std}
        index = 0
        for layer in self.network.layers:
            x = tensors[layer.source]
            if not isinstance(layer, FloatConv):
                tensors[layer.name] = functional.max_pool2d(x, layer.kernel, layer.stride)
                continue
            bias: Tensor | None
            if layer.trained:
                own = self.layers[index]
                assert isinstance(own, LatentLayer)
                weight = own.effective() if weights is None else weights[index]
                bias = own.bias if biases is None else biases[index]
                index += 1
            else:
                weight, bias = getattr(self, f"constant_{layer.name}"), None
            y = with_residual(padded_conv(x, weight, bias, layer), layer.residual, tensors)
            tensors[layer.name] = activated(y, layer)
        return tensors[self.network.layers[-1].name].flatten(1)
