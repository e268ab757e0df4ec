"""The text in a Netpbm file (PBM, PGM, PPM): Pillow's time for comments there has no bound."""

import re

from sqhw.errors import SqhwError

#: Largest header of a Netpbm file, comments included (unit: byte).
MAX_NETPBM_HEADER_BYTES = 4096
_NUMBER = rb"\s(?:\s|#[^\r\n]*+[\r\n])*+[0-9]{1,10}"
_HEADER = re.compile(rb"(?:P[14](?:%b){2}|P[2356](?:%b){3})\s" % (_NUMBER, _NUMBER))
#: First bytes of the formats whose pixels are decimal text.
_PLAIN = (b"P1", b"P2", b"P3")


def check_netpbm(data: bytes) -> None:
    """Check the header of a Netpbm file; files that do not begin with ``P`` pass.

    Parameters
    ----------
    data : bytes
        The whole file of a picture.

    Raises
    ------
    SqhwError
        If the header is none or longer than `MAX_NETPBM_HEADER_BYTES`, or comments stand among
        pixels. The message does not name the file.
    """
    if not data.startswith(b"P"):
        return
    header = _HEADER.match(data[:MAX_NETPBM_HEADER_BYTES])
    if header is None:
        raise SqhwError(
            "is damaged, or no picture; a PBM, PGM or PPM file begins with P1 to P6 and its size, "
            f"within {MAX_NETPBM_HEADER_BYTES:,} bytes"
        )
    if data.startswith(_PLAIN) and data.find(b"#", header.end()) >= 0:
        raise SqhwError("has comments among its pixels; write it without")
