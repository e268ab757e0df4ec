"""The bytes of a memory, as flash and soft processors see it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from sqhw.export.images.memory import Memory

ByteOrder = Literal["little", "big"]


def raw_bytes(memory: Memory, order: ByteOrder) -> bytes:
    """Return the words one after the other, each as whole bytes, filled with zeros at its top."""
    size = memory.word_bytes
    return b"".join(word.to_bytes(size, order) for word in memory.words)


def packing_of(order: ByteOrder) -> str:
    """Return the packing of `raw_bytes` for a manifest."""
    return f"whole bytes a word, {order}-endian"


@dataclass(frozen=True)
class RawBinary:
    """The bytes, for flash at an offset.

    Parameters
    ----------
    order : {"little", "big"}
        Order of the bytes of a word.
    """

    name: ClassVar[str] = "bin"
    suffix: ClassVar[str] = ".bin"
    max_width: ClassVar[None] = None
    max_depth: ClassVar[None] = None
    order: ByteOrder = "little"

    @property
    def packing(self) -> str:
        """Way in which a word becomes bytes."""
        return packing_of(self.order)

    def encode(self, memory: Memory) -> bytes:
        """Return the bytes, without a header."""
        return raw_bytes(memory, self.order)
