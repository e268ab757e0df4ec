"""The protocol of a format of memory images."""

from typing import Protocol

from sqhw.errors import SqhwError
from sqhw.export.images.memory import Memory

#: Packing of a word that the file holds as one number.
AS_NUMBER = "one number a word"


class ImageFormat(Protocol):
    """A format of files that hold the content of one memory each."""

    @property
    def name(self) -> str:
        """Name of the format, as ``--format`` takes it."""

    @property
    def suffix(self) -> str:
        """Last part of the file names, which no other format has."""

    @property
    def packing(self) -> str:
        """Way in which a word becomes bytes, for the manifest."""

    @property
    def max_width(self) -> int | None:
        """Widest word that the format holds (unit: bit), if there is a limit."""

    @property
    def max_depth(self) -> int | None:
        """Largest number of words that the format holds, if there is a limit."""

    def encode(self, memory: Memory) -> bytes:
        """Return the file of a memory within the limits."""


def encoded(form: ImageFormat, memory: Memory) -> bytes:
    """Return the file of a memory.

    Raises
    ------
    SqhwError
        If the format cannot hold it; the message names the limit.
    """
    if form.max_width is not None and memory.width > form.max_width:
        raise SqhwError(
            f"{form.name} holds words of at most {form.max_width} bits, the {memory.name} image "
            f"has words of {memory.width}; give --width {form.max_width} or less, or another format"
        )
    if form.max_depth is not None and memory.depth > form.max_depth:
        raise SqhwError(
            f"{form.name} holds at most {form.max_depth} words, the {memory.name} image has "
            f"{memory.depth}; give a larger --width, or another format"
        )
    return form.encode(memory)


def text_lines(lines: list[str]) -> bytes:
    """Return lines as a text file with line feeds."""
    return "".join(f"{line}\n" for line in lines).encode("ascii")
