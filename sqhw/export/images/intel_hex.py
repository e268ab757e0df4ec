"""Intel HEX: by bytes for flash programmers and loaders, by words for Quartus."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from sqhw.export.images.image_format import text_lines
from sqhw.export.images.memory import Memory
from sqhw.export.images.raw import ByteFormat, raw_bytes

#: Types of the records: data, end of file, upper 16 bits of the addresses that follow.
DATA, END, UPPER = 0, 1, 4
#: Bytes of a record.
RECORD = 16


@dataclass(frozen=True)
class IntelHex(ByteFormat):
    """Byte addresses from 0 on; each word takes whole bytes."""

    name: ClassVar[str] = "ihex"
    suffix: ClassVar[str] = ".ihex"

    def encode(self, memory: Memory) -> bytes:
        """Return records of 16 bytes, with the upper half of the address where it changes."""
        return text_lines([*self._records(raw_bytes(memory, self.order)), record(END, 0, b"")])

    def _records(self, data: bytes) -> Iterator[str]:
        for at in range(0, len(data), RECORD):
            upper, lower = divmod(at, 1 << 16)
            if upper and not lower:
                yield record(UPPER, 0, upper.to_bytes(2, "big"))
            yield record(DATA, lower, data[at : at + RECORD])


@dataclass(frozen=True)
class QuartusHex:
    """The flavour of Quartus: a record a word, whose address is the number of the word.

    A word has whole bytes, the highest first. Quartus documents addresses of 16 bits.
    """

    name: ClassVar[str] = "quartus-hex"
    suffix: ClassVar[str] = ".quartus.hex"
    packing: ClassVar[str] = "one record a word, whole bytes, big-endian"
    max_width: ClassVar[int] = 255 * 8
    max_depth: ClassVar[int] = 1 << 16

    def encode(self, memory: Memory) -> bytes:
        """Return one record a word."""
        size = memory.word_bytes
        words = enumerate(word.to_bytes(size, "big") for word in memory.words)
        return text_lines([*(record(DATA, at, data) for at, data in words), record(END, 0, b"")])


def record(kind: int, address: int, data: bytes) -> str:
    """Return a record: length, address, type, data, and what makes the sum of all bytes 0.

    Parameters
    ----------
    kind : int
        Type of the record.
    address : int, 0 to 65535
    data : bytes, at most 255
    """
    content = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{content.hex().upper()}{-sum(content) & 0xFF:02X}"
