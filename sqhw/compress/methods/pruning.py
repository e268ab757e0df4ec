"""Masks by the magnitude of the weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from sqhw.arrays import Mask
from sqhw.compress.calibration.layer_projection import largest
from sqhw.compress.methods.latent import LatentLayer
from sqhw.compress.methods.run import Run
from sqhw.compress.methods.snapshot import plain
from sqhw.errors import SqhwError, unknown_name

Density = float | Sequence[float] | Mapping[str, float]


def densities(density: Density, layers: Sequence[LatentLayer]) -> list[float]:
    """Return the share of weights that each layer keeps.

    Parameters
    ----------
    density : float, sequence of float, or mapping of str to float
        Share for all layers, for each in order, or by name. Layers without a name keep all.
    layers : sequence of LatentLayer

    Raises
    ------
    SqhwError
        If a layer is unknown, there are not as many shares as layers, or a share is not above 0 and
        at most 1.
    """
    names = [layer.layer.name for layer in layers]
    if isinstance(density, Mapping):
        for name in density:
            if name not in names:
                raise unknown_name("layer in density", name, names)
        shares = [density.get(name, 1.0) for name in names]
    elif isinstance(density, Sequence):
        shares = list(density)
        if len(shares) != len(names):
            raise SqhwError(
                f"density has {len(shares)} shares, the network {len(names)} trained layers"
            )
    else:
        shares = [density] * len(names)
    for name, share in zip(names, shares, strict=True):
        if not 0 < share <= 1:
            raise SqhwError(f"layer {name!r}: density must be above 0 and at most 1, not {share}")
    return shares


def prune_by_density(layers: Sequence[LatentLayer], shares: Sequence[float]) -> None:
    """Set masks that keep a share of each layer: its largest weights, at least one."""
    for layer, share in zip(layers, shares, strict=True):
        _set_mask(layer, largest(np.abs(plain(layer.effective())), share))


def prune_by_quality(run: Run, layers: Sequence[LatentLayer], quality: float) -> None:
    """Set masks that drop weights up to ``quality`` times the standard deviation of their layer.

    The deviation is that of the remaining weights. A layer that would lose all weights keeps its
    largest, and a note of the run says so.
    """
    for layer in layers:
        weight = plain(layer.effective())
        kept = np.abs(weight) > quality * weight[weight != 0].std()
        if not kept.any():
            kept = largest(np.abs(weight), 1e-12)
            run.note(
                f"layer {layer.layer.name!r} would have been emptied by quality {quality:g} and "
                "keeps its largest weight"
            )
        _set_mask(layer, kept)


def _set_mask(layer: LatentLayer, kept: Mask) -> None:
    with torch.no_grad():
        layer.mask.copy_(torch.from_numpy(kept))
