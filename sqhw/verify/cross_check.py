"""A second computation of a network's logits, for the simulator to be compared with.

PyTorch computes those of as many of the first images as take it seconds, or of as many as are asked
for. Without PyTorch, the NumPy reference computes those of a few, because it is slow.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.environment.extras import has_package
from sqhw.names import PYTORCH, REFERENCE
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim import reference

#: Largest number of activations that the reference computes besides those of the first image. They
#: take some seconds.
REFERENCE_ACTIVATIONS = 200_000
#: Largest number of products that PyTorch computes besides those of the first image, by default.
PYTORCH_PRODUCTS = 20_000_000_000


@dataclass(frozen=True, eq=False)
class CrossCheck:
    """Logits of the first images of a set.

    Parameters
    ----------
    by : str
        Name of the program that computed them.
    logits : ndarray of int64, shape (images, outputs)
    """

    by: str
    logits: npt.NDArray[np.int64]


def cross_check(
    network: QuantizedNetwork, images: npt.NDArray[Any], most: int | None = None
) -> CrossCheck:
    """Return the logits of the first images.

    Parameters
    ----------
    network : QuantizedNetwork
    images : ndarray of int, shape (images, channels, height, width)
        Raw pixels within the network's input format.
    most : int, positive, optional
        Largest number of images; by default as many as take seconds.
    """
    if has_package("torch"):
        from sqhw.compress import torch_logits

        if most is None:
            most = max(1, PYTORCH_PRODUCTS // _products(network))
        logits = torch_logits(network, images[:most])
        return CrossCheck(PYTORCH, np.asarray(logits, dtype=np.int64))
    activations = sum(math.prod(shape) for shape in network.shapes().values())
    count = max(1, min(len(images), REFERENCE_ACTIVATIONS // activations))
    count = count if most is None else min(count, most)
    last = network.layers[-1].name
    rows = [reference.run(network, image)[last].reshape(-1) for image in images[:count]]
    return CrossCheck(REFERENCE, np.stack(rows))


def _products(network: QuantizedNetwork) -> int:
    """Return the products of an image, those of zeros included."""
    shapes = network.shapes()
    return sum(layer.weight.size * math.prod(shapes[layer.name][1:]) for layer in network.convs)
