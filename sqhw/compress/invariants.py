"""What must hold after every epoch on integers."""

import numpy as np
import torch

from sqhw.compress.calibrate import acc_limit
from sqhw.compress.qat import QatNetwork
from sqhw.engine import EngineConfig


def check_invariants(model: QatNetwork) -> None:
    """Assert that dropped weights are 0, and that codebooks have the size that was paid for.

    Parameters
    ----------
    model : QatNetwork

    Raises
    ------
    AssertionError
    """
    for layer in model.layers():
        with torch.no_grad():
            weight = layer.real_weight()
        if bool((weight[layer.mask == 0] != 0).any()):
            raise AssertionError(f"layer {layer.layer.name!r}: a dropped weight is not 0")
        values = len(torch.unique(weight[layer.mask != 0]))
        if values > len(layer.codebook):
            raise AssertionError(f"layer {layer.layer.name!r}: {values} values")


def fits_accumulator(model: QatNetwork, engine: EngineConfig) -> bool:
    """Return whether no input makes an accumulator of the engine overflow.

    Parameters
    ----------
    model : QatNetwork
        On integers.
    engine : EngineConfig
    """
    limit = acc_limit(engine)
    for layer in model.layers():
        whole = layer.integers()
        weight, bias = (
            torch.from_numpy(part.astype(np.float64)) for part in (whole.weight, whole.bias)
        )
        if layer.bound(weight, bias) > limit:
            return False
    return True
