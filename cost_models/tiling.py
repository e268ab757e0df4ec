"""Rules that lay cells side by side: each cell serves one segment of the depth only."""

from collections.abc import Iterable

from sqhw.cost_models.fabric import Device, MemoryPrimitive
from sqhw.cost_models.mapping import IN_LUTS, Mapping, Memory, ceil_div


def map_by_bram(
    memory: Memory, device: Device, cells: Iterable[MemoryPrimitive], *, forced: bool
) -> Mapping:
    """Return how yosys builds a memory by its pass ``memory_bram`` (0.70, ``memory_bram.cc``).

    It takes the mode that fills its cells best in whole percent, not the one with the fewest cells.
    Ties go to the fewest cells, then the fewest segments, then the first mode.

    Parameters
    ----------
    memory : Memory
    device : Device
        A device whose rule is ``memory_bram``.
    cells : iterable of MemoryPrimitive
        The cells that may be taken.
    forced : bool
        Whether the memory must not go to logic.

    Returns
    -------
    Mapping
    """
    least = device.mapping.least_percent
    assert least is not None  # the device file was checked
    fills = {
        mapping: 100 * memory.bits // (mapping.blocks // cell.block_count * mode[0] * mode[1])
        for cell in cells
        if cell.kind == "block"
        for mode in cell.modes
        for mapping in [_in_mode(memory, cell, mode)]
    }
    allowed = [mapping for mapping, fill in fills.items() if forced or fill >= least]
    return max(allowed, key=lambda m: (fills[m], -m.blocks, -m.segments), default=IN_LUTS)


def map_by_fewest(
    memory: Memory, device: Device, cells: Iterable[MemoryPrimitive], *, forced: bool
) -> Mapping:
    """Return the mode with the fewest blocks, then the fewest segments, then the first.

    Nothing goes to logic. The rule is for families whose synthesis is not modelled. A design that
    instantiates the cells itself gets just these.

    Parameters
    ----------
    memory : Memory
    device : Device
    cells : iterable of MemoryPrimitive
        The cells that may be taken.
    forced : bool
        Not used by this rule.

    Returns
    -------
    Mapping
    """
    mappings = [
        _in_mode(memory, cell, mode)
        for cell in cells
        if cell.kind != "distributed"
        for mode in cell.modes
    ]
    return min(mappings, key=lambda m: (m.blocks, m.segments), default=IN_LUTS)


def _in_mode(memory: Memory, cell: MemoryPrimitive, mode: tuple[int, int]) -> Mapping:
    segments = ceil_div(memory.depth, mode[0])
    count = segments * ceil_div(memory.width, mode[1])
    return Mapping(cell.name, count * cell.block_count, mode, segments)
