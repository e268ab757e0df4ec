"""AMD's ``.coe`` for the memory generators of Vivado (UG896)."""

from dataclasses import dataclass
from typing import ClassVar

from sqhw.export.images.image_format import AS_NUMBER, text_lines
from sqhw.export.images.memory import Memory


@dataclass(frozen=True)
class Coe:
    """A radix, then the vector of all words with commas between them and a semicolon at the end."""

    name: ClassVar[str] = "coe"
    suffix: ClassVar[str] = ".coe"
    packing: ClassVar[str] = AS_NUMBER
    max_width: ClassVar[None] = None
    max_depth: ClassVar[None] = None

    def encode(self, memory: Memory) -> bytes:
        """Return the file, a word a line, in hex digits without a prefix."""
        *words, last = (f"{word:0{memory.digits}x}" for word in memory.words)
        head = ["memory_initialization_radix=16;", "memory_initialization_vector="]
        return text_lines([*head, *(f"{word}," for word in words), f"{last};"])
