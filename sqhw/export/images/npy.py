"""NumPy's ``.npy`` (version 1.0)."""

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sqhw.export.images.memory import Memory

#: Widths of NumPy's unsigned integers (unit: bit).
WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Npy:
    """An array of the narrowest unsigned type that holds a word, in one dimension."""

    name: ClassVar[str] = "npy"
    suffix: ClassVar[str] = ".npy"
    packing: ClassVar[str] = "one unsigned integer a word, little-endian"
    max_width: ClassVar[int] = 64
    max_depth: ClassVar[None] = None

    def encode(self, memory: Memory) -> bytes:
        """Return the file, which `numpy.load` reads without unpickling."""
        bits = next(bits for bits in WIDTHS if memory.width <= bits)
        file = io.BytesIO()
        np.save(file, np.array(memory.words, dtype=f"<u{bits // 8}"), allow_pickle=False)
        return file.getvalue()
