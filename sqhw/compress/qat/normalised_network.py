"""Networks whose hidden layers are normalised while they learn."""

from collections.abc import Iterable

from torch import Tensor

from sqhw.compress.qat.folding import adopt, fold, normalise
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.qat.normalisation import estimate


def normalise_network(model: QatNetwork, batches: Iterable[Tensor]) -> None:
    """Normalise all hidden layers; the network computes as before.

    Parameters
    ----------
    model : QatNetwork
        Model on real numbers.
    batches : iterable of Tensor
        Raw images for the statistics.
    """
    hidden = [layer for layer in model.learning_layers() if not layer.last]
    for layer in hidden:
        normalise(layer)
    estimate(model, batches, training=False)
    for layer in hidden:
        adopt(layer.norm, layer.bias)


def fold_network(model: QatNetwork, batches: Iterable[Tensor]) -> None:
    """Fold all normalisations into weights, gains and biases, by statistics of these weights.

    Parameters
    ----------
    model : QatNetwork
        Model on real numbers, normalised or not.
    batches : iterable of Tensor
        Raw images for the statistics.
    """
    if any(layer.norm is not None for layer in model.learning_layers()):
        estimate(model, batches, training=True)
    for layer in model.learning_layers():
        fold(layer)
