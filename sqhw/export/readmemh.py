"""ROM images for ``$readmemh``."""

import re
from collections.abc import Sequence
from pathlib import Path

from sqhw.atomic import atomic_write_text, is_file
from sqhw.compiler.program import RomImage
from sqhw.errors import SqhwError, shown
from sqhw.files.input_file import read_bytes
from sqhw.files.plain import located
from sqhw.machine.naming import DEFAULT_NAME, image_name
from sqhw.machine.rom_pieces import (
    MAX_WORDS,
    Piece,
    depth_of,
    joined,
    piece_names,
    piece_words,
    width_of,
)

#: Largest number of bytes that are read beyond the expected words. Such a file is refused by its
#: lines, because they tell more than its size.
MAX_EXCESS_BYTES = 4096


def readmemh_text(image: RomImage) -> str:
    """Return the image as text: one word a line, all with the same number of digits, nothing else.

    Vivado takes no comments in such files (UG901). Simulators disagree about files that are shorter
    or longer than the memory, so there are exactly as many lines as words.
    """
    digits = -(-image.width // 4)
    return "".join(f"{word:0{digits}x}\n" for word in image.words)


def image_texts(
    image: RomImage, pieces: Sequence[Piece], name: str = DEFAULT_NAME
) -> dict[str, str]:
    """Return the text of the file of each piece of a ROM, by file name.

    Parameters
    ----------
    image : RomImage
    pieces : sequence of Piece
    name : str
        Name of the engine, with which file names begin: see `sqhw.machine.naming.image_name`.

    Raises
    ------
    SqhwError
        If the image has more words than the pieces.
    """
    if image.depth > depth_of(pieces):
        raise SqhwError(
            f"the {image.name} image has {image.depth} words, the ROM {depth_of(pieces)}; write "
            "Verilog with deeper ROMs with `sqhw rtl`"
        )
    texts = {}
    files = piece_names(image_name(name, image.name), pieces)
    for file, piece in zip(files, pieces, strict=True):
        content = RomImage(file, piece.bits, tuple(piece_words(image.words, piece)))
        texts[f"{file}.hex"] = readmemh_text(content)
    return texts


def write_image(image: RomImage, pieces: Sequence[Piece], folder: Path) -> list[Path]:
    """Write a file for each piece of a ROM and return the paths.

    Raises
    ------
    SqhwError
        If the image has more words than the pieces, or the folder cannot be written to.
    """
    texts = image_texts(image, pieces)
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    return [folder / name for name in texts]


def read_image(
    rom: str, pieces: Sequence[Piece], folder: Path, name: str = DEFAULT_NAME
) -> RomImage:
    """Read the files that `image_texts` names.

    Parameters
    ----------
    rom : str
    pieces : sequence of Piece
    folder : path
    name : str
        Name of the engine, see `image_texts`.

    Raises
    ------
    SqhwError
        If a file is missing, has another number of lines than its piece has words, or a line is
        not a word of its width; the message names the file.
    """
    contents = []
    files = piece_names(image_name(name, rom), pieces)
    for part, piece in zip(files, pieces, strict=True):
        content = read_readmemh(folder / f"{part}.hex", part, piece.bits, piece.words)
        if content.depth != piece.words:
            raise SqhwError(
                f"ROM image {folder / f'{part}.hex'} has {content.depth} words instead of "
                f"{piece.words}; write it anew with `sqhw rom`"
            )
        contents.append(content.words)
    return RomImage(rom, width_of(pieces), tuple(joined(contents, pieces)))


def read_readmemh(path: Path, name: str, width: int, words: int = MAX_WORDS) -> RomImage:
    """Read a file of words, each on a line of its own, as `readmemh_text` writes them.

    Lines end in a line feed, which may follow a carriage return. The last line may lack it. Digits
    may be of either case. Everything else that ``$readmemh`` takes (comments, addresses, blanks,
    underscores, ``x`` and ``z``) is refused, and so are signs, which it does not take.

    Parameters
    ----------
    path : path
    name : str
        Name of the image.
    width : int
        Bits of a word.
    words : int
        Number of expected words; a file with room for many more is not read.

    Raises
    ------
    SqhwError
        If the file is missing or too large, or a line is not a word of that width; the message
        names file and line.
    """
    digits = -(-width // 4)
    if not is_file(path):
        raise SqhwError(f"{path} is missing; write it with `sqhw rom`")
    with located(f"ROM image {path}"):
        data = read_bytes(path, (digits + 2) * words + MAX_EXCESS_BYTES)
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    word = re.compile(rb"[0-9a-fA-F]{%d}\r?" % digits)
    found = []
    for number, line in enumerate(lines, 1):
        value = int(line, 16) if word.fullmatch(line) else -1
        if value < 0 or value >> width:
            raise SqhwError(
                f"ROM image {path}, line {number}: {shown(line.decode('latin-1'))} is not a word "
                f"of {width} bits in {digits} hex digits"
            )
        found.append(value)
    return RomImage(name, width, tuple(found))
