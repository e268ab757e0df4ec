"""Text for Verilog's ``$readmemh`` and ``$readmemb`` (IEEE 1800, 21.4)."""

from dataclasses import dataclass
from typing import ClassVar

from sqhw.export.images.image_format import AS_NUMBER, text_lines
from sqhw.export.images.memory import Memory


@dataclass(frozen=True)
class Readmemh:
    """Hex digits, a word a line; no comments or addresses, which Vivado takes none of (UG901)."""

    name: ClassVar[str] = "hex"
    suffix: ClassVar[str] = ".hex"
    packing: ClassVar[str] = AS_NUMBER
    max_width: ClassVar[None] = None
    max_depth: ClassVar[None] = None

    def encode(self, memory: Memory) -> bytes:
        """Return one line a word, all with the same number of lower-case digits."""
        return text_lines([f"{word:0{memory.digits}x}" for word in memory.words])


@dataclass(frozen=True)
class Readmemb:
    """Binary digits, a word a line."""

    name: ClassVar[str] = "bmem"
    suffix: ClassVar[str] = ".bmem"
    packing: ClassVar[str] = AS_NUMBER
    max_width: ClassVar[None] = None
    max_depth: ClassVar[None] = None

    def encode(self, memory: Memory) -> bytes:
        """Return one line a word, all with as many digits as the word has bits."""
        return text_lines([f"{word:0{memory.width}b}" for word in memory.words])
