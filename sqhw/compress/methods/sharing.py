"""Weights that take the values of a codebook while they are trained."""

from sqhw.compress.methods.latent import LatentLayer
from sqhw.compress.methods.snapshot import plain
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.straight_through import CodebookQuantizer


def share_weights(layer: LatentLayer, quantizer: Quantizer, centroids: bool) -> None:
    """Fit a codebook to the weights that a layer keeps and put it behind the layer.

    Parameters
    ----------
    layer : LatentLayer
    quantizer : Quantizer
    centroids : bool
        Whether weights keep their value's place and the values alone are trained; else as
        `Quantizer.trainable` has it.
    """
    weight = plain(layer.effective())
    book = quantizer.fit(weight[weight != 0])
    if centroids:
        layer.weight.requires_grad_(False)
        layer.quantizer = CodebookQuantizer(book, nearest=False)
    else:
        layer.quantizer = quantizer.trainable(book)
    layer.quantizer.to(layer.weight.device)
