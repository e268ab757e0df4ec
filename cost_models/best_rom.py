"""A ROM cut into memories of its own: fewer blocks than synthesis takes, or a faster read."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from sqhw.cost_models.fabric import Device, MemoryPrimitive
from sqhw.cost_models.mapping import Mapping, ceil_div
from sqhw.cost_models.memory import map_rom
from sqhw.machine.rom_pieces import Piece

#: Largest number of cuts of a piece. A third one saves only a block in 13,000 on Cyclone V.
CUTS = 2


@dataclass(frozen=True)
class RomPiece:
    """A piece and its mapping by synthesis.

    Parameters
    ----------
    piece : Piece
    mapping : Mapping
        Mapping of style ``"block"``, or ``"auto"`` if the ROM is not cut.
    """

    piece: Piece
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
        return sum(part.mapping.blocks for part in self.pieces)

    @property
    def cuts(self) -> tuple[Piece, ...]:
        """The pieces alone."""
        return tuple(part.piece for part in self.pieces)


@cache
def rom_plan(depth: int, width: int, device: Device, *, registered: bool) -> RomPlan:
    """Return the pieces of an engine's ROM: the fewest blocks, then the fewest pieces.

    Parameters
    ----------
    depth : int
        Number of words, 1 or more.
    width : int
        Bits per word, 1 or more.
    device : Device
    registered : bool
        Whether a register follows each piece. Then no multiplexer stands between a block and that
        register, where this costs no block more.

    Raises
    ------
    ValueError
        If `depth` or `width` is less than 1.
    """
    best = best_rom(depth, width, device)
    if registered and any(part.mapping.segments > 1 for part in best.pieces):
        rows = _rows(depth, width, device)
        if rows.blocks <= best.blocks:
            return rows
    return best


def _rows(depth: int, width: int, device: Device) -> RomPlan:
    """Return a ROM in rows of pieces, each no deeper than the mode in which it is built."""
    depths = sorted(_modes(device)[0], reverse=True)

    @cache
    def plan(left: int, deepest: int) -> RomPlan | None:
        if left == 0:
            return RomPlan(())
        if deepest == len(depths):
            return None
        step = depths[deepest]
        options = []
        for count in {left // step, left // step + (left % step > 0)} - {0}:
            rows = [min(step, left - step * index) for index in range(count)]
            mappings = {row: map_rom(row, width, device, style="block") for row in set(rows)}
            if any(mapping.segments > 1 for mapping in mappings.values()):
                continue
            parts = tuple(
                RomPiece(Piece(step * index, row, 0, width), mappings[row])
                for index, row in enumerate(rows)
            )
            rest = plan(left - sum(rows), deepest + 1)
            if rest is not None:
                options.append(RomPlan(parts + _moved(rest, sum(rows), 0)))
        shallower = plan(left, deepest + 1)
        options += [shallower] if shallower else []
        return min(options, key=lambda p: (p.blocks, len(p.pieces)), default=None)

    best = plan(depth, 0)
    assert best is not None  # a row as deep as the shallowest mode has one segment in any mode
    return best


def _modes(device: Device) -> tuple[set[int], set[int]]:
    """Return the depths and the widths of the block RAM that can be initialised."""
    modes = [mode for cell in _blocks(device) for mode in cell.modes]
    return {depth for depth, _ in modes}, {width for _, width in modes}


def _blocks(device: Device) -> list[MemoryPrimitive]:
    return [cell for cell in device.memories if cell.kind == "block" and cell.initialisable]


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
        Pieces; the whole ROM is one piece if nothing is saved.

    Raises
    ------
    ValueError
        If `depth` or `width` is less than 1.
    """
    uncut = map_rom(depth, width, device)
    if uncut.primitive is None:
        return RomPlan((RomPiece(Piece(0, depth, 0, width), uncut),))
    depths, widths = (sorted(sizes) for sizes in _modes(device))
    block_bits = max(cell.bits // cell.block_count for cell in _blocks(device))

    @cache
    def plan(depth: int, width: int, cuts: int) -> RomPlan:
        mapping = map_rom(depth, width, device, style="block")
        best = RomPlan((RomPiece(Piece(0, depth, 0, width), mapping),))
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
    if best.blocks >= uncut.blocks:
        return RomPlan((RomPiece(Piece(0, depth, 0, width), uncut),))
    return RomPlan(
        tuple(sorted(best.pieces, key=lambda p: (p.piece.first_word, p.piece.first_bit)))
    )


def _cuts(
    depth: int, width: int, depths: list[int], widths: list[int]
) -> Iterator[tuple[int, int]]:
    """Yield the rows and columns of a first piece, of full width or of full depth."""
    for rows in sorted({depth // step * step for step in depths} - {0, depth}):
        yield rows, width
    for columns in sorted({width // step * step for step in widths} - {0, width}):
        yield depth, columns


def _moved(plan: RomPlan, words: int, bits: int) -> tuple[RomPiece, ...]:
    return tuple(
        RomPiece(
            replace(
                part.piece,
                first_word=part.piece.first_word + words,
                first_bit=part.piece.first_bit + bits,
            ),
            part.mapping,
        )
        for part in plan.pieces
    )
