"""Invariants of every epoch on integers."""

from dataclasses import dataclass

import numpy as np
import torch

from sqhw.arrays import Mask
from sqhw.compress.qat.integers import acc_limit
from sqhw.compress.qat.network import QatNetwork
from sqhw.machine.config import EngineConfig


@dataclass(frozen=True, eq=False)
class Frozen:
    """Mask and number of values of a layer after its mask is fixed.

    Parameters
    ----------
    mask : ndarray of bool, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
    values : int
        Size of the codebook that the budget paid for.
    """

    mask: Mask
    values: int


def frozen(model: QatNetwork) -> list[Frozen]:
    """Return the current masks and sizes of codebooks."""
    return [Frozen(layer.mask.cpu().numpy() != 0, len(layer.codebook)) for layer in model.layers()]


def check_invariants(model: QatNetwork, fixed: list[Frozen]) -> None:
    """Assert that the integers have the fixed masks and no more values than were fixed.

    Parameters
    ----------
    model : QatNetwork
        Model on integers.
    fixed : list of Frozen
        Masks and numbers of values, as `frozen` returned them.

    Raises
    ------
    AssertionError
    """
    for layer, once in zip(model.integer_layers(), fixed, strict=True):
        weight = layer.integers().weight
        if not np.array_equal(weight != 0, once.mask):
            raise AssertionError(f"layer {layer.layer.name!r}: the mask has changed")
        values = len(np.unique(weight[once.mask]))
        if values > once.values:
            raise AssertionError(
                f"layer {layer.layer.name!r}: {values} values, {once.values} were paid for"
            )


def fits_accumulator(model: QatNetwork, engine: EngineConfig) -> bool:
    """Return whether no input makes an accumulator of the engine overflow.

    Parameters
    ----------
    model : QatNetwork
        Model on integers.
    engine : EngineConfig
    """
    limit = acc_limit(engine)
    for layer in model.integer_layers():
        whole = layer.integers()
        weight, bias = (
            torch.from_numpy(part.astype(np.float64)) for part in (whole.weight, whole.bias)
        )
        if layer.bound(weight, bias) > limit:
            return False
    return True
