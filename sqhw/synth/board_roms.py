"""The ROMs of an engine on a board: padded so that their words can be swapped, if that fits."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqhw.boards.board import Board
from sqhw.boards.board_file import load_boards
from sqhw.compiler.device_engine import activation_blocks
from sqhw.cost_models.banks import check_banks, lacking_blocks, single_port_ram
from sqhw.cost_models.best_rom import rom_plan
from sqhw.cost_models.device import Device
from sqhw.cost_models.memory import map_ram, map_rom
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ADDRESSES, ROMS, rom_widths
from sqhw.machine.rom_pieces import Piece, whole
from sqhw.machine.timing import rom_cycles
from sqhw.synth.bram_contents import COLUMN_WORDS


@dataclass(frozen=True)
class BoardRoms:
    """The ROMs of an engine on a board.

    Parameters
    ----------
    pieces : dict of str to tuple of Piece
        Pieces of each ROM by name.
    blocks : dict of str to int
        Block RAMs of each ROM by name; 0 if synthesis makes it of LUTs.
    fixed : tuple of str
        ROMs whose words cannot be swapped, because their padding has no room.
    """

    pieces: dict[str, tuple[Piece, ...]]
    blocks: dict[str, int]
    fixed: tuple[str, ...]


def board_roms(
    engine: EngineConfig, depths: Mapping[str, int], device: Device, queue: int = 0
) -> BoardRoms:
    """Return the ROMs of an engine on a device, as many as fit padded for swaps.

    Parameters
    ----------
    engine : EngineConfig
    depths : mapping of str to int
        Words of each ROM by name.
    device : Device
    queue : int
        Bytes of the link's queue; 0 if it has none.

    Raises
    ------
    SqhwError
        If the block RAMs do not suffice; the message says by how many and names the nearest board
        that has enough.
    """
    check_banks(engine, device)
    taken = map_ram(queue, 8, device).blocks if queue else 0
    available = device.brams - activation_blocks(engine, device) - taken
    plain = {name: _plain(name, depths[name], engine, device) for name in ROMS}
    chosen, fixed = dict(plain), list(ROMS)
    for name in ROMS:
        room = available - sum(blocks for other, (_, blocks) in chosen.items() if other != name)
        padded = _padded(name, depths[name], engine, device)
        if padded is not None and padded[1] <= room:
            chosen[name] = padded
            fixed.remove(name)
    blocks = {name: number for name, (_, number) in chosen.items()}
    if sum(blocks.values()) > available:
        raise _does_not_fit(engine, depths, device, blocks | ({"queue": taken} if taken else {}))
    return BoardRoms({name: pieces for name, (pieces, _) in chosen.items()}, blocks, tuple(fixed))


def _plain(
    name: str, depth: int, engine: EngineConfig, device: Device
) -> tuple[tuple[Piece, ...], int]:
    """Return pieces and block RAMs of a ROM as deep as its words."""
    registered = rom_cycles(engine, name) > 1
    plan = rom_plan(depth, rom_widths(engine)[name], device, registered=registered)
    return plan.cuts, plan.blocks


def _padded(
    name: str, depth: int, engine: EngineConfig, device: Device
) -> tuple[tuple[Piece, ...], int] | None:
    """Return pieces and block RAMs of a ROM of whole columns; None if there is no such ROM."""
    if device.family not in COLUMN_WORDS:
        return None
    column = COLUMN_WORDS[device.family]
    words = -(-depth // column) * column
    addresses = 1 << getattr(engine, dict(zip(ROMS, ADDRESSES, strict=True))[name])
    if words > addresses:
        return None
    pieces, blocks = _plain(name, words, engine, device)
    if all(piece.words % column == 0 for piece in pieces):
        return pieces, blocks
    width = rom_widths(engine)[name]
    return whole(words, width), map_rom(words, width, device).blocks


def _does_not_fit(
    engine: EngineConfig, depths: Mapping[str, int], device: Device, blocks: Mapping[str, int]
) -> SqhwError:
    banks = activation_blocks(engine, device)
    need = banks + sum(blocks.values())
    uses = ", ".join(f"{name} {number}" for name, number in blocks.items())
    near = nearest_board(engine, depths)
    advice = f"the nearest board that has room is {near.name}" if near else "no board has room"
    return SqhwError(
        f"the network does not fit {device.name}: {need} block RAMs are needed (feature maps "
        f"{banks}, {uses}), {need - device.brams} more than the {device.brams} of the device; "
        f"{advice}"
    )


def nearest_board(engine: EngineConfig, depths: Mapping[str, int]) -> Board | None:
    """Return the board with the fewest block RAMs that has enough of them for an engine."""
    fitting = []
    for board in load_boards().values():
        device = board.device
        if engine.single_port and (
            single_port_ram(device) is None or lacking_blocks(engine, device)
        ):
            continue
        blocks = sum(_plain(name, depths[name], engine, device)[1] for name in ROMS)
        if blocks + activation_blocks(engine, device) <= device.brams:
            fitting.append((device.brams * device.bram.bits, board))
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None
