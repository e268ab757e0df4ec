"""The result of `sqhw size` as plain data; docs/size.md describes it."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict, TypeGuard

from sqhw.cost_models.banks import SinglePortUse
from sqhw.size.layer_figures import LayerFigures


class Assumed(TypedDict):
    """Assumptions on the weights of a network; ``layers`` are [density, bits] by name."""

    density: float
    bits: int
    layers: dict[str, list[float | int]]


class TechnologyName(TypedDict):
    """The table of energies."""

    name: str
    process: str
    source: list[str]


class MemoryUse(TypedDict):
    """Memory of one use, of all cores."""

    bits: int
    blocks: int


class ModelErrors(TypedDict):
    """Mean errors of the calibrated model, 0 to 1; None outside of what it was calibrated on."""

    luts: float | None
    ffs: float | None
    fmax: float | None


class DeviceFigures(TypedDict):
    """Figures of a network on a device; None is an unknown figure."""

    device: str
    boards: list[str]
    fits: bool
    open_flow: bool
    missing: list[str]
    error: None
    engine: dict[str, Any]
    batch: int
    cores: int
    memory: dict[str, MemoryUse]
    block: str
    blocks: int
    available_blocks: int
    single_port: NotRequired[SinglePortUse]
    dsps: int
    available_dsps: int
    luts: int | None
    available_luts: int
    ffs: int | None
    available_ffs: int
    fmax_mhz: float | None
    errors: ModelErrors | None
    calibrated: bool
    run_cycles: int
    image_cycles: float
    image_interval: float
    images_per_second: float | None
    macs: float
    busy_lanes: float
    energy_uj: float
    energy_split_uj: dict[str, float]
    notes: list[str]
    energy_notes: list[str]
    layers: list[LayerFigures]


class DeviceFailure(TypedDict):
    """A device that cannot run a network at all, and the reason."""

    device: str
    boards: list[str]
    fits: bool
    error: str


class SizeResult(TypedDict):
    """Result of `sqhw size`: ``devices``, or the ``front`` of a search on one ``device``."""

    network: str
    known_weights: bool
    assumed: Assumed | None
    input: list[int]
    weights: int
    nonzeros: int
    budget: str | None
    objective: str
    technology: TechnologyName
    device: NotRequired[str]
    configurations: NotRequired[int]
    front: NotRequired[list[DeviceFigures]]
    smallest: NotRequired[str | None]
    smallest_with_flow: NotRequired[str | None]
    nearest: NotRequired[str | None]
    devices: NotRequired[list[DeviceFigures | DeviceFailure]]


def can_run(found: DeviceFigures | DeviceFailure) -> TypeGuard[DeviceFigures]:
    """Return whether a device can run the network, whether or not it is large enough."""
    return found["error"] is None


def that_can_run(found: Sequence[DeviceFigures | DeviceFailure]) -> list[DeviceFigures]:
    """Return the figures of the devices that can run the network."""
    return [one for one in found if can_run(one)]
