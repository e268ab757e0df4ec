"""LUTs, flip-flops and clock of the engine. Not calibrated yet: it refuses every family."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqhw.cost_models.device import Device
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError


@dataclass(frozen=True)
class EngineCost:
    """What an engine takes of a device beside its memories.

    Parameters
    ----------
    luts, ffs, brams, dsps : int
    fmax_mhz : float or None
        None where the family's tools give no timing.
    luts_error, ffs_error, fmax_error : float
        Mean error on configurations that the calibration did not see, as a share.
    calibrated : bool
        Whether the configuration lies within what was calibrated.
    notes : tuple of str
        Sentences on what lies outside.
    """

    luts: int
    ffs: int
    brams: int
    dsps: int
    fmax_mhz: float | None
    luts_error: float
    ffs_error: float
    fmax_error: float
    calibrated: bool
    notes: tuple[str, ...]


def engine_cost(engine: EngineConfig, device: Device, depths: Mapping[str, int]) -> EngineCost:
    """Return what an engine takes of a device.

    Raises
    ------
    SqhwError
        If the family is not calibrated.
    """
    raise SqhwError(f"LUTs and clock of {device.family} are not calibrated")
