"""The memories that `sqhw rom` writes: pieces of ROMs, or a geometry of the user's own."""

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from sqhw.compiler.program import Program
from sqhw.errors import SqhwError
from sqhw.export.image_set import RomPart, rom_parts
from sqhw.export.images.image_format import ImageFormat
from sqhw.export.images.memory import repacked
from sqhw.export.images.raw import ByteOrder
from sqhw.export.images.registry import image_formats
from sqhw.export.images.updatemem import MemoryMap, Updatemem
from sqhw.machine.rom_pieces import Pieces
from sqhw.names import MAX_MEMORY_DEPTH, MAX_MEMORY_WIDTH
from sqhw.steps.options import RomOptions


def check_geometry(options: RomOptions) -> None:
    """Check that the options of a geometry do not contradict each other.

    Raises
    ------
    SqhwError
        If a number is too large, or the pieces of Verilog are asked for in another geometry.
    """
    for name, value, limit in (
        ("--width", options.width, MAX_MEMORY_WIDTH),
        ("--depth", options.depth, MAX_MEMORY_DEPTH),
    ):
        if value is None:
            continue
        if not 1 <= value <= limit:
            raise SqhwError(f"{name} must be 1 to {limit}, not {value}")
        if options.rtl is not None:
            raise SqhwError(
                f"{name} is the geometry of a memory of your own, the Verilog in {options.rtl} has "
                f"its own; leave {name} or --rtl out"
            )
    if options.whole and options.rtl is not None:
        raise SqhwError(
            f"the pieces are those of the Verilog in {options.rtl}; leave --whole or --rtl out"
        )
    if options.mmi is not None and Updatemem.name not in (options.format or "").split(","):
        raise SqhwError(
            f"--mmi is for {Updatemem.name} images; add --format {Updatemem.name}, or leave it out"
        )


def formats_of(names: Iterable[str], options: RomOptions) -> list[ImageFormat]:
    """Return formats by their names, as the options set them."""
    memories = None if options.mmi is None else MemoryMap.read(options.mmi)
    known = image_formats(cast(ByteOrder, options.byte_order), memories)
    return [known[name] for name in names]


def memories(
    program: Program, roms: Iterable[str], pieces: Pieces, name: str, options: RomOptions
) -> list[RomPart]:
    """Return the memories to write: the pieces, or each ROM packed anew.

    Raises
    ------
    SqhwError
        If a ROM does not fit; the message says how much it needs.
    """
    parts = rom_parts(program, roms, pieces, name)
    if options.width is None and options.depth is None:
        return parts
    return [
        replace(part, piece=None, memory=repacked(part.memory, options.width, options.depth))
        for part in parts
    ]
