"""What yosys makes of a memory: the cell it picks and how many of them.

The rule is that of yosys 0.70 ``passes/memory/memory_libmap.cc``, in closed form. Each mode of each
cell gets a cost, ``cell cost * cells + mux / 2 + demux / 2 + 2 * emulation``; the lowest wins, the
first on a tie, and the memory goes to logic unless a cell is cheaper. Costs are kept doubled here,
so that they are whole numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqhw.cost_models.device import Device, MemoryPrimitive

# Emulation scores (no unit). A read port of its own scores 1. Returning the old word when that
# word is written in the same cycle (Amaranth's default, Verilog's `q <= m[a]`) scores 6 more in
# block RAM, which does not promise it between two ports; LUT RAM does.
_READ_PORT = 1
_READ_FIRST = 6


@dataclass(frozen=True)
class Mapping:
    """How a memory is built.

    Parameters
    ----------
    primitive : str or None
        Name of the memory cell; None if the memory is made of LUTs (or flip-flops).
    blocks : int
        Number of cells, 0 for LUTs.
    mode : (int, int) or None
        Depth and width in which the cells are used (unit: words, bits per word); None for LUTs.
    segments : int
        Pieces into which the depth is cut; a multiplexer follows if there is more than one. 1 for
        LUTs.
    """

    primitive: str | None
    blocks: int
    mode: tuple[int, int] | None
    segments: int

    def __post_init__(self) -> None:
        in_luts = self.primitive is None
        if in_luts != (self.mode is None) or in_luts != (self.blocks == 0):
            raise ValueError(f"primitive, blocks and mode must agree, not {self!r}")
        if self.blocks < 0 or self.segments < 1:
            raise ValueError(f"blocks must be 0 or more and segments 1 or more, not {self!r}")


IN_LUTS = Mapping(None, 0, None, 1)


@dataclass(frozen=True)
class _Candidate:
    cell: MemoryPrimitive
    mapping: Mapping
    doubled_cost: int


def map_rom(depth: int, width: int, device: Device) -> Mapping:
    """Return how yosys builds a ROM with one synchronous read port.

    Exact on all of ``tests/golden/rom_grid_yosys.csv``. yosys drops bit columns that are constant
    over the whole ROM before it maps it; `width` counts the columns that are left.

    Parameters
    ----------
    depth : int
        Number of words, 1 or more.
    width : int
        Bits per word, 1 or more.
    device : Device
        The device to build for.

    Returns
    -------
    Mapping

    Raises
    ------
    ValueError
        If `depth` or `width` is less than 1.
    """
    _check_size(depth, width)
    cells = [m for m in device.memories if m.kind == "block" and m.initialisable]
    found = (_best_mode(cell, depth, width, writes=False) for cell in cells)
    return _cheapest(found, depth * width // device.rom_bits_per_cost)


def map_ram(depth: int, width: int, device: Device) -> Mapping:
    """Return how yosys builds a RAM with one write port and one read port on the same clock.

    A write sets the whole word. A read of the word being written returns the old one. Exact on all
    of ``tests/golden/ram_grid_yosys.csv``. Single-port RAM of kind ``"huge"`` is never picked, as
    in yosys without ``-spram``.

    Parameters
    ----------
    depth : int
        Number of words, 1 or more.
    width : int
        Bits per word, 1 or more.
    device : Device
        The device to build for.

    Returns
    -------
    Mapping

    Raises
    ------
    ValueError
        If `depth` or `width` is less than 1.
    """
    _check_size(depth, width)
    # LUT RAM first, as in yosys: on a tie it wins.
    cells = [m for m in device.memories if m.kind == "distributed"]
    cells += [m for m in device.memories if m.kind == "block"]
    found = (_best_mode(cell, depth, width, writes=True) for cell in cells)
    return _cheapest(found, depth * width // device.ram_bits_per_cost)


def _best_mode(cell: MemoryPrimitive, depth: int, width: int, *, writes: bool) -> _Candidate:
    best: _Candidate | None = None
    for mode in cell.modes:
        candidate = _in_mode(cell, mode, depth, width, writes=writes)
        if best is None or _is_cheaper(candidate, best.doubled_cost // 2):
            best = candidate
    assert best is not None  # a cell has at least one mode
    return best


def _in_mode(
    cell: MemoryPrimitive, mode: tuple[int, int], depth: int, width: int, *, writes: bool
) -> _Candidate:
    mode_depth, mode_width = mode
    segments = _ceil_div(depth, mode_depth)
    columns = width
    emulation = _READ_PORT
    demux = 0
    if writes:
        byte = min(cell.byte_enable or mode_width, mode_width)
        columns = _ceil_div(width, byte) * byte
        emulation += _READ_FIRST if cell.kind == "block" else 0
        demux = segments if segments > 1 else 0
    # Columns of different segments share a cell: not segments * ceil(columns / mode_width).
    blocks = _ceil_div(segments * columns, mode_width)
    doubled = 2 * cell.yosys_cost * blocks + (segments - 1) * width + demux + 4 * emulation
    return _Candidate(cell, Mapping(cell.name, blocks, mode, segments), doubled)


def _cheapest(candidates: Iterable[_Candidate], logic_cost: int) -> Mapping:
    mapping, limit = IN_LUTS, logic_cost
    for candidate in candidates:
        if _is_cheaper(candidate, limit):
            in_luts = candidate.cell.kind == "distributed"
            mapping = IN_LUTS if in_luts else candidate.mapping
            limit = candidate.doubled_cost // 2
    return mapping


def _is_cheaper(candidate: _Candidate, limit: int) -> bool:
    """Compare as yosys does: it keeps the best cost so far as a whole number, rounded down."""
    return candidate.doubled_cost < 2 * limit


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _check_size(depth: int, width: int) -> None:
    if depth < 1:
        raise ValueError(f"depth must be 1 or more, not {depth!r}")
    if width < 1:
        raise ValueError(f"width must be 1 or more, not {width!r}")
