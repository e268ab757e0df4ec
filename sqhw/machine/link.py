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

A build with `TAGGED_LINK` has a byte more after command and status, the tag. The host chooses it
and gets it back, so that several frames can be on their way. Between frames such a board also takes
the bytes of LiteX's UARTBone: `BUS_WRITE` or `BUS_READ`, the number of words, the number of the
first word in 4 bytes, high byte first, and the words of a write, likewise. The words of a read come
back. A transaction whose next byte does not come within `BUS_TIMEOUT_SECONDS` is dropped.
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
#: Links of a board: frames alone; tagged frames, a queue for them, and registers for UARTBone.
PLAIN_LINK, TAGGED_LINK = "frames", "uartbone"
LINKS = (PLAIN_LINK, TAGGED_LINK)
#: Commands of UARTBone: words to, or from, registers that follow each other.
BUS_WRITE, BUS_READ = 0x01, 0x02
#: Time without a byte after which a transaction of UARTBone is dropped, as LiteX does (unit: s).
BUS_TIMEOUT_SECONDS = 0.1
#: Bytes of a tag.
TAG_BYTES = 1
#: Bytes of the CRC, which is sent high byte first, and of the number before it.
CRC_BYTES, NUMBER_BYTES = 2, 4


def queue_bytes(pixels: int) -> int:
    """Return the bytes that the queue of a tagged link holds: a frame with few escaped bytes.

    Parameters
    ----------
    pixels : int
        Bytes of a frame.

    Returns
    -------
    int, a power of two
    """
    # Two of 256 values are escaped; a flag, command, tag and CRC are a part of the 16 bytes.
    return 1 << (pixels + pixels // 32 + 16 - 1).bit_length()


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
