"""Normalisation in the training of the methods of the field, as their papers' networks have it."""

from collections.abc import Iterable

from torch import Tensor

from sqhw.compress.calibration.channel_gains import may_have_gains
from sqhw.compress.methods.latent import LatentNetwork
from sqhw.compress.qat.folding import adopt
from sqhw.compress.qat.normalisation import Normalisation, estimate
from sqhw.machine.config import EngineConfig


def normalise_latent(model: LatentNetwork, engine: EngineConfig, batches: Iterable[Tensor]) -> None:
    """Normalise all hidden layers; the network computes as before.

    Where the engine has no gains for the channels of a layer, they share variance and scale, as in
    the joint compressor: a snapshot then folds into what the engine has.

    Parameters
    ----------
    model : LatentNetwork
    engine : EngineConfig
    batches : iterable of Tensor
        Raw images for the statistics.
    """
    hidden = [own for own in model.latent() if own.layer is not model.network.layers[-1]]
    for own in hidden:
        apart = may_have_gains(own.layer, engine) and own.layer.ceiling is None
        own.norm = Normalisation(len(own.bias), shared=not apart).to(own.weight)
    estimate(model, batches, training=False)
    for own in hidden:
        adopt(own.norm, own.bias)
