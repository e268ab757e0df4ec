"""Gowin's ``.mi`` for the memory generators of its IDE."""

from dataclasses import dataclass
from typing import ClassVar

from sqhw.export.images.image_format import AS_NUMBER, text_lines
from sqhw.export.images.memory import Memory


@dataclass(frozen=True)
class GowinMi:
    """A header, then a word a line in upper-case hex digits."""

    name: ClassVar[str] = "gowin-mi"
    suffix: ClassVar[str] = ".mi"
    packing: ClassVar[str] = AS_NUMBER
    max_width: ClassVar[None] = None
    max_depth: ClassVar[None] = None

    def encode(self, memory: Memory) -> bytes:
        """Return the file, without comments."""
        head = [
            "#File_format=Hex",
            f"#Address_depth={memory.depth}",
            f"#Data_width={memory.width}",
        ]
        return text_lines([*head, *(f"{word:0{memory.digits}X}" for word in memory.words)])
