"""A C header for the program of a soft processor."""

from dataclasses import dataclass
from typing import ClassVar

from sqhw.export.images.image_format import text_lines
from sqhw.export.images.memory import Memory

#: Widths of C's unsigned integers (unit: bit) and the suffixes of their constants.
TYPES = {8: "u", 16: "u", 32: "u", 64: "ull"}
#: Longest line of constants.
LINE = 96


@dataclass(frozen=True)
class CHeader:
    """A constant array of the narrowest unsigned type that holds a word, for C99 and C++11."""

    name: ClassVar[str] = "c"
    suffix: ClassVar[str] = ".h"
    packing: ClassVar[str] = "one unsigned integer a word, in the byte order of the processor"
    max_width: ClassVar[int] = 64
    max_depth: ClassVar[None] = None

    def encode(self, memory: Memory) -> bytes:
        """Return the header: the array has the memory's name, two macros its depth and width."""
        name, upper = memory.name, memory.name.upper()
        bits = next(bits for bits in TYPES if memory.width <= bits)
        constants = [f"0x{word:0{bits // 4}x}{TYPES[bits]}," for word in memory.words]
        row = LINE // (len(constants[0]) + 1)
        return text_lines(
            [
                f"#ifndef {upper}_H",
                f"#define {upper}_H",
                "",
                "#include <stdint.h>",
                "",
                f"#define {upper}_DEPTH {memory.depth}",
                f"#define {upper}_BITS {memory.width}",
                "",
                f"static const uint{bits}_t {name}[{upper}_DEPTH] __attribute__((aligned(8))) = {{",
                *(
                    "    " + " ".join(constants[at : at + row])
                    for at in range(0, memory.depth, row)
                ),
                "};",
                "",
                f"#endif  /* {upper}_H */",
            ]
        )
