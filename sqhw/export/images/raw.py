"""The bytes of a memory, as flash and soft processors see it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from sqhw.export.images.memory import Memory

ByteOrder = Literal["little", "big"]


def raw_bytes(memory: Memory, order: ByteOrder) -> bytes:
    """Return the words one after the other, each as whole bytes, filled with zeros at its top."""
    size = memory.word_bytes
    return b"".join(word.to_bytes(size, order) for word in memory.words)


@dataclass(frozen=True)
class ByteFormat:
    """Common part of the formats of bytes, which hold a memory of any geometry.

    Parameters
    ----------
    order : {"little", "big"}
        Order of the bytes of a word.
    """

    max_width: ClassVar[None] = None
    max_depth: ClassVar[None] = None
    order: ByteOrder = "little"

    @property
    def packing(self) -> str:
        """Way in which a word becomes bytes."""
        return f"whole bytes a word, {self.order}-endian"


@dataclass(frozen=True)
class RawBinary(ByteFormat):
    """The bytes, for flash at an offset."""

    name: ClassVar[str] = "bin"
    suffix: ClassVar[str] = ".bin"

    def encode(self, memory: Memory) -> bytes:
        """Return the bytes, without a header."""
        return raw_bytes(memory, self.order)
