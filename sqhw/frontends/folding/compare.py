"""An imported float network beside the graph that it was made of, on the same images."""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.frontends.folding.float_walk import logits, normalised
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.neutral.graph import Graph
from sqhw.network.floats import FloatNetwork

#: Seed of the random images.
SEED = 43
#: Width of the squares of one value in half of the images (unit: pixel): single random pixels
#: average out where windows are large.
BLOCK = 4
#: Largest difference that is rounding, relative to the largest score: weights are rounded once.
ROUNDING = 2.0**-12
#: Most weights of a network that is compared in double precision, which takes twice their memory.
MAX_DOUBLES = 1 << 23
#: Most products of an image for which the import is compared without being asked.
MAX_PRODUCTS = 1 << 30


def random_pixels(network: FloatNetwork, number: int = 2) -> npt.NDArray[np.uint8]:
    """Return images, always the same: by turns of random pixels and of random squares.

    Returns
    -------
    ndarray of uint8, shape (number, channels, height, width)
    """
    rng = np.random.default_rng(SEED)
    channels, height, width = network.input_shape
    images = rng.integers(0, network.input_max + 1, (number, channels, height, width), np.uint8)
    coarse = images[1::2, :, ::BLOCK, ::BLOCK].repeat(BLOCK, 2).repeat(BLOCK, 3)
    images[1::2] = coarse[:, :, :height, :width]
    return images


def require_equal(
    graph: Graph, network: FloatNetwork, mean: Sequence[float], std: Sequence[float]
) -> None:
    """Compare graph and network on random images; those of very large networks are left out.

    Parameters
    ----------
    graph : Graph
        Without quantizations.
    network : FloatNetwork
        Network that was made of it.
    mean, std : sequence of float
        Normalisation that the graph's input expects.

    Raises
    ------
    SqhwError
        If their scores differ by more than rounding.
    """
    if products(network) > MAX_PRODUCTS:
        return
    images = random_pixels(network)
    dtype = np.float64 if network.weights <= MAX_DOUBLES else np.float32
    x = normalised(images, network.input_max, mean, std, dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        scores = evaluate(graph, x, dtype)[graph.output].reshape(len(images), -1)
        difference = np.abs(logits(network, images, dtype) - scores).max()
    largest = float(np.abs(scores).max())
    if not difference <= ROUNDING * max(1.0, largest):
        raise SqhwError(
            f"the imported network differs from the file by {difference:.3g} where scores go up to "
            f"{largest:.3g}; weights may be too large for single precision"
        )


def products(network: FloatNetwork) -> int:
    """Return the number of products of an image."""
    shapes = network.shapes()
    return sum(layer.weight[0].size * prod(shapes[layer.name]) for layer in network.convs)
