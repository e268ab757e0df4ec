"""The data set of a step: loaded for a network, checked against it, and the accuracy of logits."""

from typing import Any

import numpy as np

from sqhw.data import Dataset, ImageForm, load_dataset, suits
from sqhw.data.form import parse_size
from sqhw.errors import SqhwError
from sqhw.network.floats import FloatNetwork
from sqhw.network.quantized import QuantizedNetwork
from sqhw.steps.progress import Progress, silent

#: Stage of the progress while pictures are read.
READING = "read pictures"


def load_data(
    spec: str,
    network: QuantizedNetwork | FloatNetwork,
    *,
    image_size: str | None = None,
    input_max: int | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Load a data set, a user's own in the shape and the range that a network takes.

    Parameters
    ----------
    spec : str
        See `load_dataset`.
    network : QuantizedNetwork or FloatNetwork
    image_size : str, optional
        Height and width as ``HxW``, to which pictures of different sizes are resized.
    input_max : int, 1 to 255, optional
        Largest pixel value; by default that of the network.
    progress : callable

    Raises
    ------
    SqhwError
        If the data are not as they must be, or have another shape.
    """
    form = ImageForm(
        shape=network.input_shape,
        size=None if image_size is None else parse_size(image_size),
        input_max=_largest_pixel(network) if input_max is None else input_max,
    )
    data = load_dataset(spec, form, lambda done, total: progress(READING, done, total, ""))
    suits.check_shape(network.name, network.input_shape, data)
    return data


def _largest_pixel(network: QuantizedNetwork | FloatNetwork) -> int:
    return network.input_max if isinstance(network, FloatNetwork) else network.input_format.hi


def check_classes(network: QuantizedNetwork | FloatNetwork, data: Dataset) -> None:
    """Check that a network has an output for each class of a data set, and no others.

    Raises
    ------
    SqhwError
        If it does not; the message has both numbers.
    """
    outputs = int(np.prod(network.shapes()[network.layers[-1].name]))
    suits.check_classes(network.name, outputs, data)


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
