"""Adam whose rates are relative to the size of the weights that a layer keeps."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from sqhw.compress.qat.convolution import LearningConv
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.training.optimizer import Optimizer

#: Ratio of the rate of biases to that of the training, in real units. Activations are about 1.
BIAS_RATE = 0.1
#: Ratio of the rate of gains to that of the training. Gains are 1 at first.
GAIN_RATE = 1.0
#: Ratio of the rate of scales and biases of normalised layers to that of the training.
NORM_RATE = 1.0
#: Ratio of the rate of codebook values to that of weights. A value moves all weights that take it.
CODEBOOK_RATE = 0.1


class RelativeAdam(Optimizer):
    """Adam (Kingma and Ba, ICLR 2015): weights and codebooks by layer, all biases, all gains.

    Adam changes every weight by about the rate in a step. The weights of two layers may differ by a
    factor of a hundred, and the finally kept weights of a layer from the others by a factor of ten.
    So the rate of a layer is relative to its spread. The rates of biases and gains are not.

    Parameters
    ----------
    model : QatNetwork

    Attributes
    ----------
    spread : list of float
        Root mean square of each layer's kept weights.
    """

    def __init__(self, model: QatNetwork) -> None:
        self.model = model
        layers = model.layers()
        groups = [_group([layer.weight], index) for index, layer in enumerate(layers)]
        normalised = [
            layer for layer in layers if isinstance(layer, LearningConv) and layer.norm is not None
        ]
        plain = [layer for layer in layers if layer not in normalised]
        groups.append(_group([layer.bias for layer in plain], None, share=BIAS_RATE))
        gains = [layer.gain for layer in plain if layer.gain_bits]
        if gains:
            groups.append(_group(gains, None, share=GAIN_RATE))
        if normalised:
            scales = [layer.norm.scale for layer in normalised if layer.norm is not None]
            biases = [layer.bias for layer in normalised]
            groups.append(_group([*scales, *biases], None, share=NORM_RATE))
        for index, layer in enumerate(layers):
            if layer.codebook.requires_grad:
                groups.append(_group([layer.codebook], index, share=CODEBOOK_RATE))
        super().__init__(torch.optim.Adam(groups, lr=1e-3))
        self.spread: list[float] = []
        self.measure()

    def measure(self) -> None:
        """Measure the spread, which is needed when masks change by more than a few weights."""
        self.spread = []
        for layer in self.model.layers():
            weight, mask = layer.weight.detach(), layer.mask
            kept = float((weight * weight * mask).sum() / mask.sum().clamp(min=1))
            self.spread.append(max(math.sqrt(kept), 1e-12))

    def group_rate(self, group: dict[str, Any], rate: float) -> float:
        """Return the rate of a group: its share, relative to the spread of its layer if it has one.

        Parameters
        ----------
        group : dict
            Group made by `_group`.
        rate : float, above 0
        """
        spread = 1.0 if group["layer"] is None else self.spread[group["layer"]]
        return float(rate * group["share"] * spread)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name, with the spread."""
        return super().tensors() | {"spread": torch.tensor(self.spread, dtype=torch.float64)}

    def load(self, found: dict[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        rest = dict(found)
        self.spread = rest.pop("spread").tolist()
        super().load(rest)


def _group(tensors: list[nn.Parameter], layer: int | None, *, share: float = 1.0) -> dict[str, Any]:
    """Return a parameter group whose rate is `share` times that of its layer's weights."""
    return {"params": tensors, "layer": layer, "share": share}
