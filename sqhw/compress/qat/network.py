"""The network during compression: a graph of layers that become integers while they learn."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from sqhw.compress.qat.average import LearningAverage
from sqhw.compress.qat.convolution import LearningConv, QatConv
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.integer_layers import IntegerConv, IntegerLayer
from sqhw.compress.qat.layer import QatLayer
from sqhw.compress.training.samples import channels_last
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import max_pool
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.graph import MaxPool
from sqhw.network.input_stage import (
    NormaliseConv,
    folds_into_convs,
    pixel_tensors,
    with_input_stage,
)
from sqhw.network.simplify import pinned_tensors
from sqhw.network.walk import run_graph

#: Largest pixel at the first layer. The weights of that layer then have a size that suits the
#: learning rates, also in networks that were trained on pixels of 0 to 255.
LEAST_STD = 0.25


class QatNetwork(nn.Module):
    """A graph of `QatLayer` and pooling layers on raw pixels.

    Parameters
    ----------
    network : FloatNetwork
        Network whose normalisation becomes part of the layers that read the pixels, or a layer.

    Attributes
    ----------
    network : FloatNetwork
        Network with the input stage, if there is one.
    in_scale : float
        Real value of one pixel step.
    """

    def __init__(self, network: FloatNetwork) -> None:
        super().__init__()
        self.network = network = with_input_stage(network)
        self.input_format = network.pixel_format
        staged = isinstance(network.layers[0], NormaliseConv)
        channels = network.input_shape[0]
        std = np.broadcast_to(np.array(network.std), (channels,))
        mean = np.broadcast_to(np.array(network.mean), (channels,))
        common = float(std.mean())
        if folds_into_convs(network):
            common = max(common, LEAST_STD)
        self.in_scale = 1.0 / (network.input_max * common)
        offset = torch.from_numpy((mean / common).astype(np.float32)) if mean.any() else None
        gain = (common / std).astype(np.float32)[None, :, None, None]
        raw = set() if staged else pixel_tensors(network)
        pinned = pinned_tensors(network)
        self.steps = nn.ModuleList()
        for layer in network.convs:
            last = layer is network.layers[-1]
            if isinstance(layer, NormaliseConv):
                self.steps.append(QatInput(layer, network.input_max))
            elif not layer.trained:
                if layer.residual:
                    raise SqhwError(
                        f"layer {layer.name!r}: an average pooling cannot add a skip connection; "
                        "add it in the convolution before"
                    )
                self.steps.append(LearningAverage(layer, last=last))
            elif layer.source in raw:
                gains = gain if layer.groups == 1 else gain[:, :1]  # there all are the same
                scaled = replace(layer, weight=layer.weight * gains)
                pin = layer.name in pinned
                self.steps.append(LearningConv(scaled, offset, last=last, pinned=pin))
            else:
                pin = layer.name in pinned
                self.steps.append(LearningConv(layer, None, last=last, pinned=pin))
        self._index = {layer.name: index for index, layer in enumerate(network.convs)}

    def step(self, layer: FloatConv) -> nn.Module:
        """Return the module of a layer."""
        return self.steps[self._index[layer.name]]

    def set_exact(self, exact: bool) -> None:
        """Compute integers exactly, as for evaluation, or fast in the precision of the training.

        Parameters
        ----------
        exact : bool
        """
        for step in self.steps:
            if isinstance(step, IntegerLayer):
                step.exact = exact

    def layers(self) -> list[QatConv]:
        """Return the layers whose weights are trained."""
        return [layer for layer in self.steps if isinstance(layer, QatConv)]

    def learning_layers(self) -> list[LearningConv]:
        """Return the layers with trained weights of a network on real numbers."""
        return [layer for layer in self.steps if isinstance(layer, LearningConv)]

    def integer_layers(self) -> list[IntegerConv]:
        """Return the layers with trained weights of a network on integers."""
        return [layer for layer in self.steps if isinstance(layer, IntegerConv)]

    def set_step(self, layer: FloatConv, step: QatLayer) -> None:
        """Replace the module of a layer by that of its next stage."""
        self.steps[self._index[layer.name]] = step

    def forward(self, pixels: Tensor) -> Tensor:
        """Return real logits, shape (images, outputs)."""
        pixels = channels_last(pixels)
        whole = isinstance(self.layers()[0], IntegerLayer)

        def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
            x, step = tensors[layer.source], self.step(layer)
            y: Tensor = step(x) if isinstance(step, QatInput) else step(x, tensors)
            return y

        x = pixels if whole else pixels * self.in_scale
        logits = run_graph(self.network, x, conv, max_pool).flatten(1)
        return logits * self.output_scale if whole else logits

    @property
    def output_scale(self) -> float:
        """Real value of one unit of the integer output."""
        tensor = self.network.layers[-1]
        sources = {layer.name: layer for layer in self.network.layers}
        while isinstance(tensor, MaxPool):
            tensor = sources[tensor.source]
        step = self.step(tensor)
        assert isinstance(step, IntegerLayer)
        return step.plan.output_scale
