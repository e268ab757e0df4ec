"""Float networks in NumPy, without torch: what an import is compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral.kernels import Reals, convolved, maxima, padded
from sqhw.network.activations import function_values
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.graph import MaxPool
from sqhw.network.walk import run_graph


def normalised(
    images: npt.NDArray[Any],
    input_max: int,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: npt.DTypeLike = np.float64,
) -> Reals:
    """Return ``(pixel / input_max - mean) / std``, shape as `images`.

    Parameters
    ----------
    images : ndarray, shape (n, channels, height, width)
    input_max : int
    mean, std : sequence of float
        One value, or one a channel.
    dtype : dtype
    """
    means, stds = (np.asarray(values, np.float64).reshape(1, -1, 1, 1) for values in (mean, std))
    made: Reals = ((images / input_max - means) / stds).astype(dtype)
    return made


def logits(
    network: FloatNetwork, images: npt.NDArray[Any], dtype: npt.DTypeLike = np.float64
) -> Reals:
    """Return the scores of a float network.

    Parameters
    ----------
    network : FloatNetwork
    images : ndarray, shape (n, channels, height, width)
        Pixels.
    dtype : dtype
        Precision of the arithmetic.

    Returns
    -------
    ndarray, shape (n, outputs)
    """

    def conv(layer: FloatConv, tensors: Mapping[str, Reals]) -> Reals:
        stride = layer.strides
        weight, bias = (part.astype(dtype, copy=False) for part in (layer.weight, layer.bias))
        made = convolved(padded(tensors[layer.source], layer.padding), weight, bias, stride)
        skip = layer.residual
        if skip is not None:
            added = tensors[skip.source][:, :, :: skip.stride, :: skip.stride]
            made[:, skip.first : skip.first + added.shape[1]] += added
        if layer.activation is not None:
            return function_values(layer.activation, made).astype(dtype)
        return made.clip(0, layer.ceiling) if layer.relu else made

    def pool(layer: MaxPool, x: Reals) -> Reals:
        return maxima(padded(x, layer.padding, -np.inf), layer.window, layer.strides)

    x = normalised(images, network.input_max, network.mean, network.std, dtype)
    made = run_graph(network, x, conv, pool)
    return made.reshape(len(images), -1)
