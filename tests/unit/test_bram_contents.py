"""Words of ROMs in the block RAM of placed designs, in the text formats of the open tools."""

import numpy as np
import pytest

from sqhw.errors import SqhwError
from sqhw.synth.bram_contents import BlockContents, PlacedRoms, placeholder, word_bits

WIDTH = 6


def ice40_text(blocks):
    """Return an .asc file with blocks of 256 rows of 16 bits, as icestorm writes it."""
    text = ".device 5k\n"
    for number, rows in enumerate(blocks):
        words = [sum(int(bit) << at for at, bit in enumerate(row)) for row in rows]
        lines = [
            "".join(f"{word:04x}" for word in reversed(words[line : line + 16]))
            for line in range(0, 256, 16)
        ]
        text += f".ram_data 6 {number}\n" + "\n".join(lines) + "\n\n"
    return text + ".sym 1 x\n"


def ice40_blocks(words):
    """Return the blocks of words of 6 bits: 4 bits a block at 1,024 words, 2 bits at 2,048."""
    bits = np.zeros((2048, WIDTH), np.uint8)
    bits[: len(words)] = word_bits(words, WIDTH)
    blocks = []
    for first in range(0, 2048, 1024):
        part = bits[first : first + 1024, :4]
        # The lanes of neighbouring words lie side by side, with their number reversed.
        lanes = part.reshape(256, 4, 4)[:, [0, 2, 1, 3]]
        blocks.append(lanes.transpose(0, 2, 1).reshape(256, 16))
    blocks.append(bits[:, 4:].reshape(256, 8, 2).transpose(0, 2, 1).reshape(256, 16))
    return blocks


def ecp5_text(values):
    """Return a .config file with one block of 2,048 values of 9 bits, as Trellis writes it."""
    lines = [" ".join(f"{value:03x}" for value in values[at : at + 8]) for at in range(0, 2048, 8)]
    return ".device LFE5U-25F\n\n.bram_init 7\n" + "\n".join(lines) + "\n\n.tile R1C1:PLC2\n"


def ecp5_values(words, width):
    """Return the values of a block of words of 18 bits, or of 4 bits, which leave bit 8 unused."""
    if width == 18:
        return [word >> shift & 0x1FF for word in words for shift in (0, 9)]
    return [low | high << 4 for low, high in zip(words[::2], words[1::2], strict=True)]


@pytest.mark.parametrize("depth", [1280, 2048])
def test_words_are_found_written_and_read_on_ice40(depth):
    words = placeholder("weights", depth, WIDTH, 1)
    text = ice40_text(ice40_blocks(words))
    contents = BlockContents(text, "ice40")
    assert contents.text() == text
    roms = PlacedRoms.find(contents, {"weights": (words, WIDTH)})
    assert roms.read(contents, "weights") == words
    other = tuple(range(depth - 64)) + (0,) * 64
    other = tuple(word % 64 for word in other)
    roms.write(contents, "weights", other)
    assert contents.text() == ice40_text(ice40_blocks(other))
    assert roms.read(BlockContents(contents.text(), "ice40"), "weights") == other


@pytest.mark.parametrize(("depth", "width"), [(1024, 18), (4096, 4)])
def test_words_are_found_written_and_read_on_ecp5(depth, width):
    words = placeholder("params", depth, width, 1)
    text = ecp5_text(ecp5_values(words, width))
    contents = BlockContents(text, "ecp5")
    assert contents.text() == text
    roms = PlacedRoms.find(contents, {"params": (words, width)})
    other = tuple(word * 5 % (1 << width) for word in range(depth))
    roms.write(contents, "params", other)
    assert contents.text() == ecp5_text(ecp5_values(other, width))
    assert roms.read(contents, "params") == other


def test_words_that_are_not_there_are_told():
    words = placeholder("weights", 2048, WIDTH, 1)
    contents = BlockContents(ice40_text(ice40_blocks(words)), "ice40")
    with pytest.raises(SqhwError, match=r"bit 0 of word 0 of the ROM weights is in no block RAM"):
        PlacedRoms.find(contents, {"weights": (placeholder("weights", 2048, WIDTH, 2), WIDTH)})
    one_wrong = (*words[:-1], words[-1] ^ 1)
    with pytest.raises(SqhwError, match="bit 0 of word 1027 of the ROM weights is in no block RAM"):
        PlacedRoms.find(contents, {"weights": (one_wrong, WIDTH)})


def test_words_that_are_there_twice_are_told():
    words = placeholder("weights", 2048, WIDTH, 1)
    contents = BlockContents(ice40_text(ice40_blocks(words) * 2), "ice40")
    with pytest.raises(SqhwError, match="bit 0 of the ROM weights is in two block RAMs"):
        PlacedRoms.find(contents, {"weights": (words, WIDTH)})


def test_blocks_in_another_order_and_missing_ones():
    words = placeholder("weights", 2048, WIDTH, 1)
    contents = BlockContents(ice40_text(ice40_blocks(words)), "ice40")
    names = contents.names
    moved = BlockContents(contents.text(), "ice40").in_order((*reversed(names), "more"))
    assert (moved.bits[:3] == contents.bits[::-1]).all()
    assert not moved.bits[3].any()


def test_placeholders_depend_on_name_and_seed_only():
    assert placeholder("a", 4, 16, 1) == placeholder("a", 4, 16, 1)
    assert placeholder("a", 4, 16, 1)[:2] == placeholder("a", 2, 16, 1)
    assert placeholder("a", 4, 16, 1) != placeholder("b", 4, 16, 1)
    assert placeholder("a", 4, 16, 1) != placeholder("a", 4, 16, 2)
