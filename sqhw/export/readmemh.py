"""ROM images for ``$readmemh``."""

from pathlib import Path

from sqhw.atomic import atomic_write_text
from sqhw.errors import SqhwError
from sqhw.program import RomImage


def readmemh_text(image: RomImage) -> str:
    """Return the image as text: one word a line, all of the same number of digits, nothing else.

    Vivado takes no comments in such files (UG901), and simulators disagree about files that are
    shorter or longer than the memory, so there are exactly as many lines as words.
    """
    digits = -(-image.width // 4)
    return "".join(f"{word:0{digits}x}\n" for word in image.words)


def write_readmemh(image: RomImage, folder: Path) -> Path:
    """Write an image to ``folder/NAME.hex`` and return the path."""
    path = folder / f"{image.name}.hex"
    atomic_write_text(path, readmemh_text(image))
    return path


def read_readmemh(path: Path, name: str, width: int) -> RomImage:
    """Read an image that `write_readmemh` wrote.

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
