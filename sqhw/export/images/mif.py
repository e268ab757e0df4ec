"""Intel's memory initialization file ``.mif`` for Quartus."""

from dataclasses import dataclass
from typing import ClassVar

from sqhw.export.images.image_format import AS_NUMBER, text_lines
from sqhw.export.images.memory import Memory


@dataclass(frozen=True)
class Mif:
    """Depth (words), width (bits) and radices, then a line ``address : word;`` a word."""

    name: ClassVar[str] = "mif"
    suffix: ClassVar[str] = ".mif"
    packing: ClassVar[str] = AS_NUMBER
    max_width: ClassVar[None] = None
    max_depth: ClassVar[None] = None

    def encode(self, memory: Memory) -> bytes:
        """Return the file with addresses and words in hex digits."""
        head = [
            f"DEPTH = {memory.depth};",
            f"WIDTH = {memory.width};",
            "ADDRESS_RADIX = HEX;",
            "DATA_RADIX = HEX;",
            "CONTENT BEGIN",
        ]
        words = [f"{at:x} : {word:0{memory.digits}x};" for at, word in enumerate(memory.words)]
        return text_lines([*head, *words, "END;"])
