"""Other words in the ROMs of a finished bitstream, without synthesis."""

import tempfile
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from sqhw.atomic import atomic_write_text
from sqhw.compiler.program import Program
from sqhw.errors import SqhwError
from sqhw.files.input_file import read_bytes, read_text
from sqhw.machine.layout import ROMS
from sqhw.machine.rom_pieces import Pieces, depth_of, piece_names, piece_words
from sqhw.synth.bitstream import PACKINGS, pack, unpack
from sqhw.synth.bram_contents import Bits, BlockContents, PlacedRoms, placeholder, word_bits
from sqhw.synth.build_folder import MAX_BUILD_BYTES
from sqhw.synth.ecp5_bitstream import Ecp5Blocks
from sqhw.synth.ice40_bitstream import Ice40Blocks


class BitstreamBlocks(Protocol):
    """The block RAMs in a bitstream, by the names they have in the text of the placed design.

    Parameters
    ----------
    data : bytes
        Bitstream that the packing tool of the family wrote.
    """

    names: tuple[str, ...]

    def __init__(self, data: bytes) -> None: ...

    @property
    def bits(self) -> Bits:
        """Bits of the blocks, shape (blocks, bits of a block), in the order of the names."""

    def replaced(self, blocks: Mapping[str, Bits]) -> bytes:
        """Return the bitstream with other bits in some of its blocks."""


BLOCKS: dict[str, type[BitstreamBlocks]] = {"ice40": Ice40Blocks, "ecp5": Ecp5Blocks}


@dataclass(frozen=True)
class Swapped:
    """A bitstream with other words.

    Parameters
    ----------
    bitstream : bytes
    bits : int
        Bits of block RAM that differ from those of the placed design.
    words : int
        Words that were read back from the bitstream, and are equal.
    """

    bitstream: bytes
    bits: int
    words: int


def placeholders(pieces: Pieces, fixed: tuple[str, ...], seed: int) -> dict[str, tuple[int, ...]]:
    """Return the random words of each piece of the ROMs that can be swapped, by its name."""
    return {
        name: placeholder(name, piece.words, piece.bits, seed)
        for rom in ROMS
        if rom not in fixed
        for name, piece in zip(piece_names(rom, pieces[rom]), pieces[rom], strict=True)
    }


def swapped(
    placed: Path,
    family: str,
    program: Program,
    pieces: Pieces,
    fixed: tuple[str, ...],
    *,
    seed: int,
    finished: bytes | None = None,
) -> Swapped:
    """Return the bitstream of a placed design with the words of a program.

    The number of changed bits of block RAM must be the distance of the words from the placeholders,
    and the words that are read back from the bitstream must be those of the program.

    Parameters
    ----------
    placed : path
        Placed design with the random words of `placeholders`.
    family : {"ice40", "ecp5"}
    program : Program
        Its ROMs are not deeper than the pieces.
    pieces : mapping of str to tuple of Piece
    fixed : tuple of str
        ROMs that stay as they are.
    seed : int
        Seed of the placeholders.
    finished : bytes, optional
        Bitstream of the same placed design with any words. Its block RAMs are replaced, which saves
        the tools; without it they pack the placed design and turn it back.

    Raises
    ------
    SqhwError
        If the placed design has no such words, or the bitstream not those of the program.
    """
    contents = BlockContents(read_text(placed, MAX_BUILD_BYTES), family)
    before = contents.bits.copy()
    random = placeholders(pieces, fixed, seed)
    widths = _widths(pieces)
    roms = PlacedRoms.find(contents, {name: (random[name], widths[name]) for name in random})
    wanted = _wanted(program, pieces, random)
    distance = 0
    for name, words in wanted.items():
        roms.write(contents, name, words)
        old, new = (word_bits(one, widths[name]) for one in (random[name], words))
        distance += int(np.count_nonzero(old != new))
    if finished is not None:
        data = _replaced(finished, family, contents)
        found = _blocks_of(data, contents)
    else:
        data, found = _packed(placed, family, contents)
    changed = int(np.count_nonzero(found.bits != before))
    for name, words in wanted.items():
        if roms.read(found, name) != words:
            raise SqhwError(f"the words of the ROM {name} in the bitstream are not the network's")
    if changed != distance:
        raise SqhwError(
            f"{changed} bits of block RAM changed in {placed}, {distance} should have; build again"
        )
    return Swapped(data, distance, sum(len(words) for words in wanted.values()))


def _packed(placed: Path, family: str, contents: BlockContents) -> tuple[bytes, BlockContents]:
    """Pack a design with other contents; return the bitstream and the contents read back from it.

    In the bitstream of the design as it was placed they are also replaced, with the same result to
    the byte.
    """
    with tempfile.TemporaryDirectory(prefix="sqhw-swap-") as scratch:
        folder = Path(scratch)
        patched, bitstream, again = (folder / name for name in ("patched", "bitstream", "again"))
        atomic_write_text(patched, contents.text())
        pack(family, patched, bitstream)
        unpack(family, bitstream, again)
        found = BlockContents(again.read_text(), family).in_order(contents.names)
        data = read_bytes(bitstream, MAX_BUILD_BYTES)
        atomic_write_text(patched, read_text(placed, MAX_BUILD_BYTES))
        pack(family, patched, bitstream)
        if _replaced(read_bytes(bitstream, MAX_BUILD_BYTES), family, contents) != data:
            raise SqhwError(f"replaced block RAM differs from what {PACKINGS[family].pack} writes")
    return data, found


def _replaced(finished: bytes, family: str, contents: BlockContents) -> bytes:
    """Return a bitstream with other contents."""
    blocks = zip(contents.names, contents.bits, strict=True)
    return BLOCKS[family](finished).replaced(dict(blocks))


def _blocks_of(data: bytes, contents: BlockContents) -> BlockContents:
    """Return the contents of a bitstream, in the order of others."""
    blocks = BLOCKS[contents.family](data)
    bits = dict(zip(blocks.names, blocks.bits, strict=True))
    found = copy(contents)
    found.bits = np.stack([bits[name] for name in contents.names])
    return found


def _widths(pieces: Pieces) -> dict[str, int]:
    return {
        name: piece.bits
        for rom, parts in pieces.items()
        for name, piece in zip(piece_names(rom, parts), parts, strict=True)
    }


def _wanted(
    program: Program, pieces: Pieces, random: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Return the words of a program by the names of pieces."""
    padded = program.padded({name: depth_of(parts) for name, parts in pieces.items()})
    return {
        name: tuple(piece_words(padded.image(rom).words, piece))
        for rom, parts in pieces.items()
        for name, piece in zip(piece_names(rom, parts), parts, strict=True)
        if name in random
    }
