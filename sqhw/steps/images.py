"""Checks of a data set against a network, and the accuracy of logits."""

from typing import Any

import numpy as np

from sqhw.data import Dataset
from sqhw.errors import SqhwError
from sqhw.network.floats import FloatNetwork
from sqhw.network.quantized import QuantizedNetwork


def check_images(network: QuantizedNetwork | FloatNetwork, data: Dataset) -> None:
    """Check that a network takes images of the shape that a data set has.

    Raises
    ------
    SqhwError
        If it does not; the message has both shapes.
    """
    if data.image_shape != network.input_shape:
        raise SqhwError(
            f"network {network.name!r} takes images of shape {network.input_shape}, data set "
            f"{data.name!r} has {data.image_shape}"
        )


def check_count(images: int, data: Dataset) -> None:
    """Check that a data set has a number of test images.

    Raises
    ------
    SqhwError
        If `images` is below 1 or above it.
    """
    if not 1 <= images <= len(data.test):
        raise SqhwError(f"images must be 1 to {len(data.test)}, not {images}")


def accuracy(logits: Any, labels: Any) -> float:
    """Return the share of images whose largest logit is that of their label."""
    return float((np.argmax(logits, axis=1) == labels).mean())
