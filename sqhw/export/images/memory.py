"""A memory as a tool initialises it: words of one width, from address 0 on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqhw.errors import SqhwError
from sqhw.machine.layout import pack
from sqhw.names import MAX_MEMORY_WIDTH

#: Largest size of a memory of one's own (unit: bit): above the block RAM of any device.
MAX_BITS = 1 << 27


@dataclass(frozen=True)
class Memory:
    """The content of a memory.

    Parameters
    ----------
    name : str
        First part of the file names, an identifier of letters, digits and underscores.
    width : int, 1 or more
        Width of a word (unit: bit).
    words : tuple of int, 1 or more
        Unsigned words from address 0 on, as many as the memory has.
    used : int
        Number of words ahead of those that only fill the memory with zeros.
    """

    name: str
    width: int
    words: tuple[int, ...]
    used: int

    @property
    def depth(self) -> int:
        """Number of words."""
        return len(self.words)

    @property
    def word_bytes(self) -> int:
        """Number of bytes that hold a word."""
        return -(-self.width // 8)

    @property
    def digits(self) -> int:
        """Number of hex digits of a word."""
        return -(-self.width // 4)


def repacked(memory: Memory, width: int | None, depth: int | None) -> Memory:
    """Return the content of a memory in another geometry, filled with zeros.

    The bits form one string, without gaps: bit ``b`` of word ``a`` is bit ``a * memory.width + b``
    of the string, and bit ``j * width + i`` of the string is bit ``i`` of the new word ``j``.

    Parameters
    ----------
    memory : Memory
    width : int, 1 to `sqhw.names.MAX_MEMORY_WIDTH`, optional
        Width of a new word; by default that of the memory.
    depth : int, 1 to `sqhw.names.MAX_MEMORY_DEPTH`, optional
        Number of new words; by default as many as the string needs.

    Raises
    ------
    SqhwError
        If the string does not fit; the message says how much it needs.
    """
    width = memory.width if width is None else width
    if width == memory.width:
        words = list(memory.words[: memory.used])
    else:
        words = pack(memory.words[: memory.used], [memory.width] * memory.used, width)
    needed = len(words)
    depth = needed if depth is None else depth
    if needed > depth:
        bits = memory.used * memory.width
        wider = -(-bits // depth)
        instead = f", or --width {wider} or more" if wider <= MAX_MEMORY_WIDTH else ""
        raise SqhwError(
            f"the {memory.name} image needs {needed} words of {width} bits, --depth {depth} is too "
            f"small; give --depth {needed} or more{instead}"
        )
    if width * depth > MAX_BITS:
        raise SqhwError(
            f"a memory of {depth} words of {width} bits is larger than {MAX_BITS} bits, the most "
            "that is written; give a smaller --width or --depth"
        )
    return replace(memory, width=width, words=filled(words, depth), used=needed)


def filled(words: Sequence[int], depth: int) -> tuple[int, ...]:
    """Return words with as many zeros after them as make up a depth."""
    return (*words, *[0] * (depth - len(words)))
