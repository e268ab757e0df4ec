"""Codebooks for the weights of a layer in training."""

from sqhw.compress.methods.latent import LatentLayer
from sqhw.compress.methods.snapshot import plain
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.straight_through import CodebookQuantizer


def share_weights(layer: LatentLayer, quantizer: Quantizer, centroids: bool) -> None:
    """Fit a codebook to the kept weights of a layer and make it the layer's quantizer.

    Parameters
    ----------
    layer : LatentLayer
    quantizer : Quantizer
    centroids : bool
        Whether weights keep their codes and only the values are trained. Otherwise the quantizer's
        own module is used (`Quantizer.trainable`).
    """
    weight = plain(layer.effective())
    book = quantizer.fit(weight[weight != 0])
    if centroids:
        layer.weight.requires_grad_(False)
        layer.quantizer = CodebookQuantizer(book, nearest=False)
    else:
        layer.quantizer = quantizer.trainable(book)
    layer.quantizer.to(layer.weight.device)
