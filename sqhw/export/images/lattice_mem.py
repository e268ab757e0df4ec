"""Lattice's ``.mem`` for the memory generators of Diamond and Radiant."""

from dataclasses import dataclass
from typing import ClassVar

from sqhw.export.images.image_format import AS_NUMBER, text_lines
from sqhw.export.images.memory import Memory


@dataclass(frozen=True)
class LatticeMem:
    """A header without comments, then a word a line in hex digits."""

    name: ClassVar[str] = "lattice-mem"
    suffix: ClassVar[str] = ".lattice.mem"
    packing: ClassVar[str] = AS_NUMBER
    max_width: ClassVar[int] = 256
    max_depth: ClassVar[int] = 65536

    def encode(self, memory: Memory) -> bytes:
        """Return the file; radix 3 is hexadecimal."""
        head = [
            "#Format=Hex",
            f"#Depth={memory.depth}",
            f"#Width={memory.width}",
            "#AddrRadix=3",
            "#DataRadix=3",
            "#Data",
        ]
        return text_lines([*head, *(f"{word:0{memory.digits}x}" for word in memory.words)])
