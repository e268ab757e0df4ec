"""AMD's ``.mem`` for ``updatemem``, which patches a finished bitstream (UG1580)."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sqhw.export.images.image_format import text_lines
from sqhw.export.images.memory import Memory
from sqhw.export.images.mmi import AddressSpace, read_mmi, space_of


@dataclass(frozen=True)
class MemoryMap:
    """The memories of the design that images go into.

    Parameters
    ----------
    source : str
        Name of the ``.mmi`` file.
    spaces : tuple of AddressSpace
    instance : str
        Path of the instance that the image is for, if it was named.
    """

    source: str
    spaces: tuple[AddressSpace, ...]
    instance: str = ""

    @classmethod
    def read(cls, option: str) -> "MemoryMap":
        """Return the memories of ``FILE.mmi`` or ``FILE.mmi:INSTANCE``."""
        head, dot, instance = option.partition(".mmi:")
        source = f"{head}.mmi" if dot else option
        return cls(source, read_mmi(Path(source)), instance)


@dataclass(frozen=True)
class Updatemem:
    """One byte address, then a word a line in hex digits of whole bytes, the highest first.

    Parameters
    ----------
    memories : MemoryMap, optional
        Memories of the design; without them a memory begins at byte address 0.
    """

    name: ClassVar[str] = "updatemem"
    suffix: ClassVar[str] = ".updatemem.mem"
    packing: ClassVar[str] = "whole bytes a word, the highest first, at byte addresses"
    max_width: ClassVar[None] = None
    max_depth: ClassVar[None] = None
    memories: MemoryMap | None = None

    def encode(self, memory: Memory) -> bytes:
        """Return the file.

        Raises
        ------
        SqhwError
            If the design has no memory of that geometry.
        """
        begin = 0
        if self.memories is not None:
            found = self.memories
            begin = space_of(found.spaces, memory, found.source, found.instance).begin
        digits = 2 * memory.word_bytes
        return text_lines([f"@{begin:08x}", *(f"{word:0{digits}x}" for word in memory.words)])
