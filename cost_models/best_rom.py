"""A ROM cut into smaller ROMs where synthesis takes more blocks for it than it has to."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sqhw.cost_models.fabric import Device
from sqhw.cost_models.mapping import Mapping, ceil_div
from sqhw.cost_models.memory import map_rom

#: Cuts of a piece at most. A third one saves next to nothing: a block in 13,000 on Cyclone V.
CUTS = 2


@dataclass(frozen=True)
class RomPiece:
    """A rectangle of a ROM that is a memory of its own.

    Parameters
    ----------
    row, column : int
        Its first word, and its lowest bit in the word.
    depth, width : int
        Its words, and its bits per word.
    mapping : Mapping
        How synthesis builds it, if the Verilog asks for block RAM (``ram_style``) wherever
        `map_rom` says something else of style ``"auto"``.
    """

    row: int
    column: int
    depth: int
    width: int
    mapping: Mapping


@dataclass(frozen=True)
class RomPlan:
    """The pieces of a ROM.

    Parameters
    ----------
    pieces : tuple of RomPiece
        They cover it without overlap, lowest row and then lowest column first.
    """

    pieces: tuple[RomPiece, ...]

    @property
    def blocks(self) -> int:
        """Memory blocks of all pieces."""
        return sum(piece.mapping.blocks for piece in self.pieces)


def best_rom(depth: int, width: int, device: Device) -> RomPlan:
    """Return a ROM in pieces with no more blocks than synthesis takes for the whole.

    Pieces are cut at multiples of the depths and widths that the cells have; each is mapped by the
    same rule as a ROM of its own. No piece goes to LUTs to save a block, but a ROM that synthesis
    puts into LUTs as a whole stays there.

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
    RomPlan
        The whole ROM as one piece if nothing is saved.

    Raises
    ------
    ValueError
        If `depth` or `width` is less than 1.
    """
    whole = map_rom(depth, width, device)
    if whole.primitive is None:
        return RomPlan((RomPiece(0, 0, depth, width, whole),))
    cells = [cell for cell in device.memories if cell.kind == "block" and cell.initialisable]
    depths = sorted({mode_depth for cell in cells for mode_depth, _ in cell.modes})
    widths = sorted({mode_width for cell in cells for _, mode_width in cell.modes})
    block_bits = max(cell.bits // cell.block_count for cell in cells)

    @cache
    def plan(depth: int, width: int, cuts: int) -> RomPlan:
        mapping = map_rom(depth, width, device, style="block")
        best = RomPlan((RomPiece(0, 0, depth, width, mapping),))
        least = ceil_div(depth * width, block_bits)
        if cuts:
            for rows, columns in _cuts(depth, width, depths, widths):
                if best.blocks == least:
                    break
                first = plan(rows, columns, cuts - 1)
                if first.blocks >= best.blocks:
                    continue
                second = (
                    plan(depth - rows, width, cuts - 1)
                    if columns == width
                    else plan(depth, width - columns, cuts - 1)
                )
                best = min(
                    best,
                    RomPlan(
                        first.pieces
                        + _moved(
                            second, 0 if rows == depth else rows, 0 if columns == width else columns
                        )
                    ),
                    key=lambda p: (p.blocks, len(p.pieces)),
                )
        return best

    best = plan(depth, width, CUTS)
    if best.blocks >= whole.blocks:
        return RomPlan((RomPiece(0, 0, depth, width, whole),))
    return RomPlan(tuple(sorted(best.pieces, key=lambda piece: (piece.row, piece.column))))


def _cuts(
    depth: int, width: int, depths: list[int], widths: list[int]
) -> Iterator[tuple[int, int]]:
    """Yield the rows and columns of a first piece, of full width or of full depth."""
    for rows in sorted({depth // step * step for step in depths} - {0, depth}):
        yield rows, width
    for columns in sorted({width // step * step for step in widths} - {0, width}):
        yield depth, columns


def _moved(plan: RomPlan, rows: int, columns: int) -> tuple[RomPiece, ...]:
    return tuple(
        RomPiece(piece.row + rows, piece.column + columns, piece.depth, piece.width, piece.mapping)
        for piece in plan.pieces
    )
