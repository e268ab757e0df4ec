"""Cycles and energy of every option of a layer in a run, from the cost models."""

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64
from sqhw.compress.choice.mask_sums import MaskSums
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.layer_options import costed
from sqhw.cost_models.layer_shape import LayerShape
from sqhw.cost_models.layer_weights import VALUE_BITS
from sqhw.cost_models.schedule import least_slot
from sqhw.cost_models.storage import Storage
from sqhw.cost_models.technology import load_technology
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing

#: Typical depth of each ROM, for the energies of the table (unit: word). The exact cost uses the
#: depths of the network.
DEPTHS = {"weights": 1 << 14, "params": 1 << 10, "codebook": 1 << 8}


def least_entries(shape: LayerShape, engine: EngineConfig) -> tuple[int, int]:
    """Return the entries below which a channel waits: for a tile's first channel, for any other."""
    timing = Timing.of(engine)
    least = least_slot(timing, shape.serial) - shape.skips
    return max(0, least - timing.rewind), max(0, least)


def run_costs(
    shape: LayerShape,
    engine: EngineConfig,
    stored: Storage,
    sums: MaskSums,
    records: npt.NDArray[np.int64],
) -> tuple[Floats64, Floats64]:
    """Return the cycles and the energy of every option of a layer in a run.

    Parameters
    ----------
    shape : LayerShape
        Shape with the stored channels only.
    engine : EngineConfig
    stored : Storage
    sums : MaskSums
        Sums whose waits are those of `least_entries`.
    records : ndarray of int64, shape (options,)
        Size of the channel records (unit: bit).

    Returns
    -------
    cycles : ndarray of float64, shape (options,)
        Cycles, exact for the masks.
    energy : ndarray of float64, shape (options,)
        Energy with ROMs of typical depth (unit: uJ).
    """
    waits = sums.waits[stored.source, stored.form]
    skips = sums.rows[stored.source] if shape.skips else 0
    tile = stored.entries + skips + waits + Timing.of(engine).rewind
    macs = (sums.by_tap * shape.inside.reshape(-1)).sum(axis=1)[stored.source]
    prices = EnergyPrices(load_technology(), engine, DEPTHS)
    table = costed(shape, prices, stored, tile, macs, records=records, weight_bits=VALUE_BITS)
    energy = np.asarray(table.energy_pj, dtype=np.float64) * 1e-6
    return np.asarray(table.cycles, dtype=np.float64), energy
