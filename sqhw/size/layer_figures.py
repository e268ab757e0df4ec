"""The figures of a layer on an engine, as plain data."""

from typing import TypedDict


class LayerFigures(TypedDict):
    """Figures of a layer as plain data, with the format of its weights if it has any."""

    name: str
    kind: str
    weights: int
    nonzeros: int
    format: str | None
    rom_bits: int
    cycles: int
    busy_lanes: float
    energy_uj: float
