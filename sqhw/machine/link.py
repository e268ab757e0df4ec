"""The link between a host and a board: frames of bytes on a serial line.

A frame begins with `FLAG`, which occurs nowhere else: in a payload, `FLAG` and `ESCAPE` are sent as
`ESCAPE` and the byte with `ESCAPE_BIT` inverted, as in HDLC (ISO/IEC 13239). Whoever joins in the
middle, or reads garbage, is in step again at the next flag. A payload ends with its CRC.

======================  ==================================================================
host to board           ``FLAG``, command, the pixels of a run (`RUN` only), CRC
board to host           ``FLAG``, status, results (`DONE` only), 4 bytes little-endian, CRC
======================  ==================================================================

The 4 bytes are the cycles of the run, or, if there was none, the identity of the build. The board
answers each complete frame once and ignores bytes until the answer has gone out. A flag within a
frame begins a new frame.
"""

from binascii import crc_hqx

#: Byte that begins a frame, byte that announces an escaped one, and the bit that is inverted then.
FLAG, ESCAPE, ESCAPE_BIT = 0x7E, 0x7D, 0x20
#: Commands: tell the identity of the build; run the network on the pixels that follow.
IDENTIFY, RUN = 0x49, 0x52
#: Statuses of answers: the identity follows; results follow; the CRC of the frame was wrong.
IDENTITY, DONE, BAD_CRC = 0x69, 0x64, 0x63
#: Polynomial of CRC-16/IBM-3740, and the value that it begins with.
CRC_POLYNOMIAL, CRC_START = 0x1021, 0xFFFF
#: Bytes of the CRC, which is sent high byte first, and of the number before it.
CRC_BYTES, NUMBER_BYTES = 2, 4


def crc(data: bytes) -> int:
    """Return the CRC-16/IBM-3740 of bytes; of a payload with its CRC it is 0."""
    return crc_hqx(data, CRC_START)


def frame(payload: bytes) -> bytes:
    """Return the bytes on the line of a payload: flag, escaped payload and CRC.

    Parameters
    ----------
    payload : bytes
        Command or status and what follows it, without the CRC.
    """
    whole = payload + crc(payload).to_bytes(CRC_BYTES, "big")
    sent = bytearray([FLAG])
    for byte in whole:
        sent += bytes([ESCAPE, byte ^ ESCAPE_BIT]) if byte in (FLAG, ESCAPE) else bytes([byte])
    return bytes(sent)
