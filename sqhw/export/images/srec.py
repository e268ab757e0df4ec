"""Motorola's S-records for flash programmers and loaders."""

from dataclasses import dataclass
from typing import ClassVar

from sqhw.export.images.image_format import text_lines
from sqhw.export.images.memory import Memory
from sqhw.export.images.raw import ByteFormat, raw_bytes

#: Bytes of data in a record.
RECORD = 32
#: Types of data and of end records by the bytes of an address.
TYPES = {2: (1, 9), 3: (2, 8), 4: (3, 7)}


@dataclass(frozen=True)
class Srec(ByteFormat):
    """Byte addresses from 0 on, of as many bytes as the last one needs; whole bytes a word."""

    name: ClassVar[str] = "srec"
    suffix: ClassVar[str] = ".srec"

    def encode(self, memory: Memory) -> bytes:
        """Return a header with the memory's name, the data and an end record."""
        data = raw_bytes(memory, self.order)
        size = max(2, -(-(len(data) - 1).bit_length() // 8))
        kind, end = TYPES[size]
        places = range(0, len(data), RECORD)
        records = [record(kind, at.to_bytes(size, "big"), data[at : at + RECORD]) for at in places]
        head = record(0, bytes(2), memory.name.encode("ascii"))
        return text_lines([head, *records, record(end, bytes(size), b"")])


def record(kind: int, address: bytes, data: bytes) -> str:
    """Return a record: type, length, address, data, and the complement of the sum of all bytes."""
    content = bytes([len(address) + len(data) + 1]) + address + data
    return f"S{kind}{content.hex().upper()}{~sum(content) & 0xFF:02X}"
