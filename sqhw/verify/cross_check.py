"""A second computation of a network's logits, for the simulator to be compared with.

PyTorch computes those of all images. Without PyTorch, the NumPy reference computes those of the
first images only, because it is slow.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.environment.extras import has_package
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim import reference

PYTORCH, REFERENCE = "PyTorch", "NumPy reference"
#: Largest number of activations that the reference computes besides those of the first image. They
#: take some seconds.
REFERENCE_ACTIVATIONS = 200_000


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


def cross_check(network: QuantizedNetwork, images: npt.NDArray[Any]) -> CrossCheck:
    """Return the logits of `images`, or of the first of them if PyTorch is not installed.

    Parameters
    ----------
    network : QuantizedNetwork
    images : ndarray of int, shape (images, channels, height, width)
        Raw pixels within the network's input format.
    """
    if has_package("torch"):
        from sqhw.compress import torch_logits

        return CrossCheck(PYTORCH, np.asarray(torch_logits(network, images), dtype=np.int64))
    activations = sum(math.prod(shape) for shape in network.shapes().values())
    count = max(1, min(len(images), REFERENCE_ACTIVATIONS // activations))
    last = network.layers[-1].name
    rows = [reference.run(network, image)[last].reshape(-1) for image in images[:count]]
    return CrossCheck(REFERENCE, np.stack(rows))
