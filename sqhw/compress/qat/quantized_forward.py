"""A quantized network run by torch, from its integers alone: a second opinion on the simulator."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from sqhw.compress.qat.requantize import scaled
from sqhw.compress.training.precision import FLOAT32_EXACT
from sqhw.frontends.torch_module.float_module import max_pool
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.network.activations import TABLE_INDEX
from sqhw.network.limits import images_at_once
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.network.walk import run_graph


def torch_logits(
    network: QuantizedNetwork, images: npt.NDArray[Any], *, batch: int = 256, threads: int = 1
) -> npt.NDArray[np.int64]:
    """Return the network's integer outputs, shape (images, channels * height * width).

    Parameters
    ----------
    network : QuantizedNetwork
    images : ndarray of int, shape (images, channels, height, width)
        Raw pixels.
    batch : int
        Largest number of images at a time; there are fewer if their maps are large.
    threads : int
        Cores to use; on more than one, the threads of a small network wait for each other.
    """
    bounds = network.acc_bounds()
    batch = images_at_once(network.shapes(), batch)
    parts = []

    def conv(layer: Conv, tensors: Mapping[str, Tensor]) -> Tensor:
        skip = tensors[layer.residual.source] if layer.residual else None
        return _conv(tensors[layer.source], layer, bounds[layer.name] < FLOAT32_EXACT, skip)

    with torch_threads(threads), torch.no_grad():
        for start in range(0, len(images), batch):
            pixels = np.asarray(images[start : start + batch]).astype(np.float32)
            y = run_graph(network, torch.from_numpy(pixels), conv, max_pool)
            parts.append(y.flatten(1).numpy().astype(np.int64))
    width = int(np.prod(network.shapes()[network.layers[-1].name]))
    return np.concatenate(parts) if parts else np.empty((0, width), dtype=np.int64)


def _conv(x: Tensor, layer: Conv, small: bool, skip: Tensor | None) -> Tensor:
    """Return a layer's output; `small` says that float32 holds its sums exactly."""
    kind = torch.float32 if small else torch.float64
    weight = torch.from_numpy(layer.weight.astype(np.float32)).to(kind)
    bias = torch.from_numpy(layer.bias.astype(np.float64)).to(kind)
    top, bottom, left, right = layer.padding
    x = functional.pad(x.to(kind), (left, right, top, bottom))
    acc = functional.conv2d(x, weight, None, layer.stride, groups=layer.groups)
    acc += bias.view(1, -1, 1, 1)
    if layer.residual is not None and skip is not None:
        first, step = layer.residual.first, layer.residual.stride
        part = acc[:, first : first + skip.shape[1]]
        part += layer.residual.weight * skip[:, :, ::step, ::step].to(kind)
    multiplier = torch.from_numpy(layer.multiplier.astype(np.int64)).view(1, -1, 1, 1)
    shift = torch.from_numpy(layer.shift.astype(np.int64)).view(1, -1, 1, 1)
    value = scaled(acc, multiplier, shift)
    value = value.clamp(layer.clamped.lo, layer.clamped.hi)
    if layer.table:
        value = torch.tensor(layer.table)[value.long() - TABLE_INDEX.lo]
    return value.float()
