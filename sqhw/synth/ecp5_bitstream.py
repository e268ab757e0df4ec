"""The contents of block RAM in the bitstream of an ECP5, read and replaced in place.

``ecppack`` and ``ecpunpack`` read a database of the whole device, which takes seconds of processor
time; the contents are 2 KB a block at the end of the file. Format: the commands LSC_EBR_ADDRESS and
LSC_EBR_WRITE of Lattice FPGA-TN-02039, in the form that YosysHQ/prjtrellis writes (libtrellis,
Bitstream.cpp): both commands, 2,048 values of 9 bits, the highest bit first, and a CRC-16/UMTS of
all of that. A build compares what is replaced here with the output of ``ecppack``.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError

Bits = npt.NDArray[np.uint8]

#: Values of a block, and the bits of each.
VALUES, VALUE_BITS = 2048, 9
#: Bytes of a block: address, head of the data, data, CRC.
ADDRESS_BYTES, HEAD_BYTES, DATA_BYTES, CRC_BYTES = 8, 4, VALUES * VALUE_BITS // 8, 2
BLOCK_BYTES = ADDRESS_BYTES + HEAD_BYTES + DATA_BYTES + CRC_BYTES
#: LSC_EBR_ADDRESS; LSC_EBR_WRITE with a CRC, 256 frames of 72 bits.
ADDRESS, WRITE = bytes.fromhex("f6000000"), bytes.fromhex("b2d00100")
#: Place of a block's number in the address.
NUMBER_SHIFT = 11
#: ISC_PROGRAM_DONE and the padding behind it: the end of a bitstream.
END = bytes.fromhex("5e000000ffffffff")
POLYNOMIAL = 0x8005


class Ecp5Blocks:
    """The blocks at the end of a bitstream.

    Parameters
    ----------
    data : bytes
        Bitstream that ``ecppack`` wrote.

    Raises
    ------
    SqhwError
        If it does not end as such a bitstream does, or the CRC of a block is wrong.
    """

    def __init__(self, data: bytes) -> None:
        stop = len(data) - len(END)
        if not data.endswith(END):
            raise SqhwError("the bitstream does not end as those of ecppack do; build again")
        start = stop
        while start >= BLOCK_BYTES and _begins_block(data, start - BLOCK_BYTES):
            start -= BLOCK_BYTES
        self._before, self._after = data[:start], data[stop:]
        rows = np.frombuffer(data[start:stop], np.uint8).reshape(-1, BLOCK_BYTES).copy()
        if crc16(rows).any():
            raise SqhwError("the CRC of a block RAM in the bitstream is wrong; build again")
        self._rows = rows
        addresses = np.ascontiguousarray(rows[:, 4:8]).view(">u4")[:, 0]
        #: Names of the blocks, as in the text of a placed design, in the order of the file.
        self.names = tuple(f".bram_init {int(one) >> NUMBER_SHIFT}" for one in addresses)

    @property
    def bits(self) -> Bits:
        """Bits of the blocks, shape (blocks, 18432), the lowest bit of a value first."""
        data = self._rows[:, ADDRESS_BYTES + HEAD_BYTES : -CRC_BYTES]
        values = np.unpackbits(data, axis=1).reshape(-1, VALUES, VALUE_BITS)
        return values[:, :, ::-1].reshape(len(values), -1)

    def replaced(self, blocks: Mapping[str, Bits]) -> bytes:
        """Return the bitstream with other bits in some of its blocks.

        Parameters
        ----------
        blocks : mapping of str to ndarray of uint8, shape (18432,)
            Bits by the name of the block, as `bits` has them.

        Raises
        ------
        SqhwError
            If the bitstream has no such block.
        """
        rows = self._rows.copy()
        places = {name: row for row, name in enumerate(self.names)}
        for name, bits in blocks.items():
            if name not in places:
                raise SqhwError(f"the bitstream has no block RAM {name}; build again")
            values = bits.reshape(VALUES, VALUE_BITS)[:, ::-1]
            data = np.packbits(values.reshape(-1))
            rows[places[name], ADDRESS_BYTES + HEAD_BYTES : -CRC_BYTES] = data
        crc = crc16(rows[:, :-CRC_BYTES])
        rows[:, -2], rows[:, -1] = crc >> 8, crc & 0xFF
        return self._before + rows.tobytes() + self._after


def crc16(rows: Bits) -> npt.NDArray[np.uint16]:
    """Return the CRC-16/UMTS of each row (polynomial 0x8005, from 0, the highest bit first).

    With its CRC behind it, high byte first, a row has the CRC 0.
    """
    table = np.arange(256, dtype=np.uint16) << 8
    for _ in range(8):
        table = np.where(table >> 15, table << 1 ^ POLYNOMIAL, table << 1).astype(np.uint16)
    crc = np.zeros(len(rows), np.uint16)
    for column in np.ascontiguousarray(rows.T):
        crc = crc << 8 ^ table[crc >> 8 ^ column]
    return crc


def _begins_block(data: bytes, at: int) -> bool:
    write = at + ADDRESS_BYTES
    return data.startswith(ADDRESS, at) and data.startswith(WRITE, write)
