"""The contents of block RAM in the bitstream of an iCE40, read and replaced in place.

Format: commands of Lattice TN1248 as YosysHQ/icestorm documents them (docs, "Bitstream File
Format"): four bits of opcode, four of the payload's length, the payload with the highest byte
first. A command for block RAM is followed by rows of its bank and two zero bytes. The rows of a
bank hold 16 bits of each of its blocks, the highest bit first; 256 rows are the block. A CRC-16
over all commands is before the last one. A build compares what is replaced here with the output of
``icepack``.
"""

from binascii import crc_hqx
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError

Bits = npt.NDArray[np.uint8]

PREAMBLE = bytes.fromhex("7eaa997e")
#: Opcodes: action, bank, CRC, width less one, height, first row of what follows (unit: bit).
ACTION, BANK, CRC, WIDTH, HEIGHT, OFFSET = 0, 1, 2, 6, 7, 8
#: Actions: data of the configuration, of block RAM, CRC from its initial value, end.
CRAM_DATA, BRAM_DATA, RESET_CRC, WAKE_UP = 1, 3, 5, 6
CRC_START = 0xFFFF
#: Bytes behind the rows of a command.
DATA_END = bytes(2)
#: Rows of a block, and its bits in a row.
ROWS, ROW_BITS = 256, 16
#: Columns of the device with block RAM, by the widths of the banks of each: lower and upper half.
COLUMNS = {(64, 64): (3, 10), (128, 128): (8, 25), (160, 80): (6, 19)}
BANKS = 4


class Part(NamedTuple):
    """Rows of a bank in the file.

    Parameters
    ----------
    at : int
        First byte of the data.
    bank, row : int
        Bank, and the first of its rows.
    height, width : int
        Rows, and bits of a row.
    """

    at: int
    bank: int
    row: int
    height: int
    width: int

    @property
    def stop(self) -> int:
        """First byte behind the data."""
        return self.at + self.height * self.width // 8


class Ice40Blocks:
    """The blocks in a bitstream.

    Parameters
    ----------
    data : bytes
        Bitstream that ``icepack`` wrote.

    Raises
    ------
    SqhwError
        If it is not made up as such a bitstream is, or its CRC is wrong.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._start, self._crc, parts = _scan(data)
        if crc_hqx(data[self._start : self._crc + 2], CRC_START):
            raise SqhwError("the CRC of the bitstream is wrong; build again")
        self._parts = parts
        widths = {part.bank: part.width for part in parts}
        halves = {(widths.get(bank, 0), widths.get(bank + 1, 0)) for bank in (0, 2)}
        if len(halves) != 1 or not halves <= COLUMNS.keys() or not _whole(parts, widths):
            raise SqhwError("the bitstream is not of an iCE40 whose block RAM is known")
        (self._widths,) = halves
        self._banks = {bank: np.zeros((ROWS, width), np.uint8) for bank, width in widths.items()}
        for part in parts:
            bits = np.unpackbits(np.frombuffer(data[part.at : part.stop], np.uint8))
            target = self._banks[part.bank][part.row : part.row + part.height]
            target[:] = bits.reshape(part.height, part.width)
        self._places = dict(self._placed())
        #: Names of the blocks, as in the text of a placed design.
        self.names = tuple(self._places)

    @property
    def bits(self) -> Bits:
        """Bits of the blocks, shape (blocks, 4096), the lowest bit of a word first."""
        banks = ((self._banks[bank], at) for bank, at in self._places.values())
        words = [rows[:, at : at + ROW_BITS][:, ::-1].reshape(-1) for rows, at in banks]
        return np.stack(words)

    def replaced(self, blocks: Mapping[str, Bits]) -> bytes:
        """Return the bitstream with other bits in some of its blocks.

        Parameters
        ----------
        blocks : mapping of str to ndarray of uint8, shape (4096,)
            Bits by the name of the block, as `bits` has them.

        Raises
        ------
        SqhwError
            If the bitstream has no such block.
        """
        banks = {bank: rows.copy() for bank, rows in self._banks.items()}
        for name, bits in blocks.items():
            if name not in self._places:
                raise SqhwError(f"the bitstream has no block RAM {name}; build again")
            bank, at = self._places[name]
            banks[bank][:, at : at + ROW_BITS] = bits.reshape(ROWS, ROW_BITS)[:, ::-1]
        data = bytearray(self._data)
        for part in self._parts:
            rows = banks[part.bank][part.row : part.row + part.height]
            data[part.at : part.stop] = np.packbits(rows.reshape(-1)).tobytes()
        crc = crc_hqx(bytes(data[self._start : self._crc]), CRC_START)
        data[self._crc : self._crc + 2] = crc.to_bytes(2, "big")
        return bytes(data)

    def _placed(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield the name of each block, its bank, and its first bit in the rows of the bank."""
        for side, x in enumerate(COLUMNS[self._widths]):
            y = 1
            for half, width in enumerate(self._widths):
                for at in range(0, width, ROW_BITS):
                    yield f".ram_data {x} {y}", (2 * side + half, at)
                    y += 2


def _whole(parts: Iterable[Part], widths: Mapping[int, int]) -> bool:
    """Return whether parts are all rows of the banks, each once and as wide as its bank."""
    rows = [
        (part.bank, row)
        for part in parts
        if part.width == widths[part.bank]
        for row in range(part.row, part.row + part.height)
    ]
    return sorted(rows) == [(bank, row) for bank in range(BANKS) for row in range(ROWS)]


def _scan(data: bytes) -> tuple[int, int, tuple[Part, ...]]:
    """Return the first byte of the CRC's range, the place of the CRC, and the rows of block RAM."""
    head, preamble, _ = data.partition(PREAMBLE)
    at = len(head) + len(preamble)
    state = dict.fromkeys((BANK, WIDTH, HEIGHT, OFFSET), 0)
    start = crc = -1
    parts = []
    while preamble and at < len(data):
        opcode, size = data[at] >> 4, data[at] & 15
        value = int.from_bytes(data[at + 1 : at + 1 + size], "big")
        at += 1 + size
        if opcode in state:
            state[opcode] = value
        elif opcode == CRC:
            crc = at - size
        elif opcode == ACTION and value == RESET_CRC:
            start = at
        elif opcode == ACTION and value in (CRAM_DATA, BRAM_DATA):
            part = Part(at, state[BANK], state[OFFSET], state[HEIGHT], state[WIDTH] + 1)
            if value == BRAM_DATA:
                parts.append(part)
            at = part.stop + len(DATA_END)
            if data[part.stop : at] != DATA_END:
                break
        elif opcode == ACTION and value == WAKE_UP and 0 <= start < crc <= at - 4:
            return start, crc, tuple(parts)
    raise SqhwError("the bitstream is not made up as those of icepack are; build again")
