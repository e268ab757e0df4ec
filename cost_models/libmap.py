"""The rule of yosys 0.70 ``passes/memory/memory_libmap.cc``, in closed form.

Each mode of each cell gets a cost, ``cell cost * cells + mux / 2 + demux / 2 + 2 * emulation``; the
lowest wins, the first on a tie, and the memory goes to logic unless a cell is cheaper. yosys keeps
the best cost so far as a whole number, rounded down, among the modes of one cell and again among
the kinds of cells, but compares the cells of one kind exactly. Costs are kept doubled here, so that
they are whole numbers but for LUT RAM.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from sqhw.cost_models.fabric import KINDS, Device, MemoryPrimitive
from sqhw.cost_models.mapping import IN_LUTS, Mapping, Memory, ceil_div

# Emulation scores (no unit). A read port that does not write as well scores 1. A read that must
# return the old word, but does not, scores 6: 3 to have the new word first, and 3 to keep it
# from the read where the cell does not do so.
_READ_PORT = 1
_COLLISION = {"old": 0, "new": 3, "undefined": 6}


@dataclass(frozen=True)
class _Candidate:
    cell: MemoryPrimitive
    mapping: Mapping
    doubled_cost: int | Fraction


def map_by_libmap(
    memory: Memory, device: Device, cells: Iterable[MemoryPrimitive], *, forced: bool
) -> Mapping:
    """Return how yosys builds a memory.

    Parameters
    ----------
    memory : Memory
    device : Device
        A device whose rule is ``memory_libmap``.
    cells : iterable of MemoryPrimitive
        The cells that may be taken.
    forced : bool
        Whether the memory must not go to logic.

    Returns
    -------
    Mapping
    """
    rule = device.mapping
    per_cost = rule.ram_bits_per_cost if memory.writes else rule.rom_bits_per_cost
    assert per_cost is not None  # the device file was checked
    best_of_kind: dict[str, _Candidate] = {}
    for candidate in _candidates(memory, cells):
        kind = candidate.cell.kind
        if kind not in best_of_kind or candidate.doubled_cost < best_of_kind[kind].doubled_cost:
            best_of_kind[kind] = candidate
    best: _Candidate | None = None
    limit = memory.bits // per_cost
    for candidate in best_of_kind.values():
        if (forced and best is None) or candidate.doubled_cost < 2 * limit:
            best, limit = candidate, int(candidate.doubled_cost // 2)
    return IN_LUTS if best is None or best.cell.kind == "distributed" else best.mapping


def _candidates(memory: Memory, cells: Iterable[MemoryPrimitive]) -> Iterable[_Candidate]:
    """Yield the best mode of each of yosys's cells, in its order.

    A cell whose widest modes have no read-write port is two cells to yosys: one with read-write
    ports and the modes that they have and, after all cells of its kind, one with all modes.
    """
    cells = tuple(cells)
    for kind in KINDS:
        for shared in (True, False):
            for cell in cells:
                if cell.kind != kind or (not shared and cell.rw_width == cell.modes[-1][1]):
                    continue
                best: _Candidate | None = None
                for mode in cell.modes:
                    if shared and mode[1] > cell.rw_width:
                        break
                    candidate = _in_mode(memory, cell, mode, shared=shared)
                    if best is None or candidate.doubled_cost < best.doubled_cost // 2 * 2:
                        best = candidate
                if best is not None:
                    yield best


def _in_mode(
    memory: Memory, cell: MemoryPrimitive, mode: tuple[int, int], *, shared: bool
) -> _Candidate:
    mode_depth, mode_width = mode
    segments = ceil_div(memory.depth, mode_depth)
    columns = memory.width
    emulation = _READ_PORT
    demux = 0
    if memory.writes:
        byte = min(cell.byte_enable or mode_width, mode_width)
        columns = ceil_div(memory.width, byte) * byte
        demux = segments if segments > 1 else 0
    if memory.ports == "1rw":
        emulation = 0 if shared else _READ_PORT
    elif memory.ports == "1r1w":
        emulation += _COLLISION[cell.collision]
    # Columns of different segments share a cell: not segments * ceil(columns / mode_width).
    count = ceil_div(segments * columns, mode_width)
    doubled: int | Fraction = (
        2 * (cell.cost - cell.used_cost) * count
        + (segments - 1) * memory.width
        + demux
        + 4 * emulation
    )
    if cell.used_cost:
        doubled += Fraction(2 * cell.used_cost * segments * memory.width, mode_width)
    mapping = Mapping(cell.name, count * cell.block_count, mode, segments)
    return _Candidate(cell, mapping, doubled)
