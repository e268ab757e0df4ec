"""ROM images for ``$readmemh``."""

from collections.abc import Sequence
from pathlib import Path

from sqhw.atomic import atomic_write_text
from sqhw.errors import SqhwError
from sqhw.program import RomImage
from sqhw.rom_pieces import Piece, depth_of, joined, piece_names, piece_words, width_of


def readmemh_text(image: RomImage) -> str:
    """Return the image as text: one word a line, all of the same number of digits, nothing else.

    Vivado takes no comments in such files (UG901), and simulators disagree about files that are
    shorter or longer than the memory, so there are exactly as many lines as words.
    """
    digits = -(-image.width // 4)
    return "".join(f"{word:0{digits}x}\n" for word in image.words)


def image_texts(image: RomImage, pieces: Sequence[Piece]) -> dict[str, str]:
    """Return the text of the file of each piece of a ROM, by file name.

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
    for name, piece in zip(piece_names(image.name, pieces), pieces, strict=True):
        content = RomImage(name, piece.bits, tuple(piece_words(image.words, piece)))
        texts[f"{name}.hex"] = readmemh_text(content)
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


def read_image(name: str, pieces: Sequence[Piece], folder: Path) -> RomImage:
    """Read the files that `write_image` wrote.

    Raises
    ------
    SqhwError
        If a file is missing, has another number of lines than its piece has words, or a line is
        not a word of its width; names the file.
    """
    contents = []
    for part, piece in zip(piece_names(name, pieces), pieces, strict=True):
        content = read_readmemh(folder / f"{part}.hex", part, piece.bits)
        if content.depth != piece.words:
            raise SqhwError(
                f"ROM image {folder / f'{part}.hex'} has {content.depth} words instead of "
                f"{piece.words}; write it anew with `sqhw rom`"
            )
        contents.append(content.words)
    return RomImage(name, width_of(pieces), tuple(joined(contents, pieces)))


def read_readmemh(path: Path, name: str, width: int) -> RomImage:
    """Read a file of words.

    Raises
    ------
    SqhwError
        If the file is missing or a line is not a word of that width; names file and line.
    """
    digits = -(-width // 4)
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise SqhwError(f"{path} is missing; write it with `sqhw rom`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SqhwError(f"cannot read ROM image: {error}") from None
    words = []
    for number, line in enumerate(lines, 1):
        try:
            word = int(line, 16)
        except ValueError:
            word = -1
        if len(line) != digits or word < 0 or word >> width:
            raise SqhwError(
                f"ROM image {path}, line {number}: {line!r} is not a word of {width} bits in "
                f"{digits} hex digits"
            )
        words.append(word)
    return RomImage(name, width, tuple(words))
