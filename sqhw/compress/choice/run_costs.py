"""Cycles and energy of every option of a layer, from the cost models."""

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64
from sqhw.compress.choice.nested import MaskSums
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.layer_options import costed
from sqhw.cost_models.layer_shape import LayerShape
from sqhw.cost_models.layer_weights import VALUE_BITS
from sqhw.cost_models.schedule import least_slot
from sqhw.cost_models.storage import Storage
from sqhw.cost_models.technology import load_technology
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing

#: Words of the ROMs for which the table has energies; the exact cost has the depths themselves.
DEPTHS = {"weights": 1 << 14, "params": 1 << 10, "codebook": 1 << 8}


def least_entries(shape: LayerShape, engine: EngineConfig) -> tuple[int, int]:
    """Return the entries below which the first channel, and any other, waits in a tile."""
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
        With the channels that are stored.
    engine : EngineConfig
    stored : Storage
    sums : MaskSums
        With the waits of `least_entries`.
    records : ndarray of int64, shape (options,)
        Bits of the channel records.

    Returns
    -------
    cycles : ndarray of float64, shape (options,)
        Exact for the masks.
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
