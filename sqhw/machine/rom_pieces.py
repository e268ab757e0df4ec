"""The pieces of a ROM, each a memory of its own that the RTL instantiates and the export writes."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from sqhw.errors import SqhwError
from sqhw.files.plain import typed

#: Largest numbers of pieces of a ROM and of words, as addresses have 24 bits.
MAX_PIECES = 1024
MAX_WORDS = 1 << 24


@dataclass(frozen=True)
class Piece:
    """A rectangle of a ROM that is a memory of its own.

    Parameters
    ----------
    first_word : int
        First word of the ROM in the piece. It is a multiple of a power of two that is not less
        than `words`, so that the low bits of an address are the address in the piece.
    words : int, 1 or more
    first_bit, bits : int
        First bit, and number of bits, of these words in the piece.

    Raises
    ------
    ValueError
        If a number is out of range or `first_word` is no such multiple.
    """

    first_word: int
    words: int
    first_bit: int
    bits: int

    def __post_init__(self) -> None:
        if min(self.first_word, self.first_bit) < 0 or min(self.words, self.bits) < 1:
            raise ValueError(f"a piece of a ROM must hold words and bits, not {self}")
        if self.first_word & ((1 << self.addr_bits) - 1):
            raise ValueError(f"a piece of {self.words} words must not begin at {self.first_word}")

    @property
    def addr_bits(self) -> int:
        """Width of an address in the piece (unit: bit)."""
        return (self.words - 1).bit_length()


#: Pieces of each ROM by name; row by row, the low bits first.
Pieces = Mapping[str, tuple[Piece, ...]]


def whole(depth: int, width: int) -> tuple[Piece, ...]:
    """Return the one piece of a ROM that is not cut."""
    return (Piece(0, depth, 0, width),)


def depth_of(pieces: Sequence[Piece]) -> int:
    """Return the words of the ROM that the pieces make up."""
    return max(piece.first_word + piece.words for piece in pieces)


def width_of(pieces: Sequence[Piece]) -> int:
    """Return the bits of a word of the ROM that the pieces make up."""
    return max(piece.first_bit + piece.bits for piece in pieces)


def check_pieces(pieces: Sequence[Piece], depth: int, width: int) -> None:
    """Check that pieces cover a ROM of that size without gap or overlap.

    Raises
    ------
    ValueError
        If they do not.
    """
    corners = {(p.first_word, p.first_bit) for p in pieces}
    inside = all(p.first_word + p.words <= depth and p.first_bit + p.bits <= width for p in pieces)
    area = sum(p.words * p.bits for p in pieces)
    apart = all(
        a.first_word + a.words <= b.first_word
        or b.first_word + b.words <= a.first_word
        or a.first_bit + a.bits <= b.first_bit
        or b.first_bit + b.bits <= a.first_bit
        for index, a in enumerate(pieces)
        for b in pieces[:index]
    )
    if not (inside and apart and area == depth * width and len(corners) == len(pieces)):
        raise ValueError(f"pieces do not make up a ROM of {depth} words of {width} bits: {pieces}")


def piece_names(name: str, pieces: Sequence[Piece]) -> list[str]:
    """Return the names of the images of a ROM's pieces; a ROM of one piece keeps its name."""
    if len(pieces) == 1:
        return [name]
    return [f"{name}_{index}" for index in range(len(pieces))]


def piece_words(words: Sequence[int], piece: Piece) -> list[int]:
    """Return the content of a piece, zeros where the ROM is deeper than its content.

    Parameters
    ----------
    words : sequence of int
        Unsigned words of the ROM from address 0 on.
    piece : Piece
    """
    mask = (1 << piece.bits) - 1
    found = words[piece.first_word : piece.first_word + piece.words]
    return [word >> piece.first_bit & mask for word in found] + [0] * (piece.words - len(found))


def joined(contents: Sequence[Sequence[int]], pieces: Sequence[Piece]) -> list[int]:
    """Return the words of a ROM from the content of each piece: the inverse of `piece_words`."""
    words = [0] * depth_of(pieces)
    for content, piece in zip(contents, pieces, strict=True):
        for index, word in enumerate(content):
            words[piece.first_word + index] |= word << piece.first_bit
    return words


def to_plain(pieces: Pieces) -> dict[str, list[list[int]]]:
    """Return pieces as plain data: first word, words, first bit and bits of each."""
    return {name: [list(astuple(piece)) for piece in parts] for name, parts in pieces.items()}


def from_plain(plain: Any, source: str) -> dict[str, tuple[Piece, ...]]:
    """Return the pieces that `to_plain` turned into plain data.

    Raises
    ------
    SqhwError
        If they are no such data; the message begins with `source`.
    """
    try:
        rectangles = typed(dict[str, tuple[tuple[int, int, int, int], ...]], plain)
        found = {
            name: tuple(Piece(*numbers) for numbers in parts[: MAX_PIECES + 1])
            for name, parts in rectangles.items()
        }
        for parts in found.values():
            if not 1 <= len(parts) <= MAX_PIECES or depth_of(parts) > MAX_WORDS:
                raise ValueError(f"{len(parts)} pieces of a ROM")
            check_pieces(parts, depth_of(parts), width_of(parts))
    except (SqhwError, ValueError):
        raise SqhwError(
            f"{source} does not say which pieces the ROMs have; write the ROM images with "
            "`sqhw rom` and the Verilog with `sqhw rtl`"
        ) from None
    return found
