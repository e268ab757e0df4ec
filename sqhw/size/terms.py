"""The terms on which a network is sized."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqhw.cost_models.budget import Budgets
from sqhw.cost_models.technology import Technology
from sqhw.machine.stream import StreamFormat


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Images of a run, rules for the choice of formats, and energies of operations.

    Parameters
    ----------
    technology : Technology
        Energies of operations and accesses.
    batch : int, power of two, 1 to max_batch of the engine
        Images of a run.
    budgets : Budgets, optional
        Budgets that the choice of formats meets.
    objective : {"rom", "cycles", "energy"}
        Objective of the choice of formats, within the budgets.
    formats : mapping of str to StreamFormat, optional
        Formats of the layers with weights, if they are not to be chosen. Their code widths are
        ignored.
    bank_ram : {"block", "single-port"}, optional
        RAM of the activation banks; see `sqhw.compiler.device_engine.engine_for`.
    quotient_ones : int, 0 to 8, optional
        Most ones of a quotient in the Golomb-Rice streams of an engine; with 0 it has none. By
        default the engine of a network keeps its own, and another has none.
    """

    technology: Technology
    batch: int = 1
    budgets: Budgets | None = None
    objective: str = "rom"
    formats: Mapping[str, StreamFormat] | None = None
    bank_ram: str | None = None
    quotient_ones: int | None = None
