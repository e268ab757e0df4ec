"""Quotients and fields at one ROM port: every entry in time, whatever the stream."""

import random

import pytest
from hdl.support import clocked

from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import words_of
from sqhw.machine.timing import entry_window_cycles, jump_cycles, rom_cycles
from sqhw.rtl.split_reader import SplitReader

#: Word width, most ones, lanes: two chunks a word, three, four, and many; both latencies.
SHAPES = [(16, 8, 8), (18, 8, 16), (21, 7, 8), (32, 8, 16)]
MORE_SHAPES = [(8, 4, 8), (18, 4, 8), (18, 8, 8), (16, 8, 16), (64, 3, 16), (9, 1, 8), (17, 1, 16)]
#: Entries of a tile.
ENTRIES = 24


def engine_of(word_bits, ones, lanes):
    return EngineConfig(
        lanes=lanes,
        word_bits=word_bits,
        acc_bits=16,
        mult_bits=8,
        max_gap_bits=7,
        weight_addr_bits=12,
        quotient_ones=ones,
    )


class Tile:
    """Entries of a layer: quotients of which `ones` is a filler, and fields of `width` bits."""

    def __init__(self, rng, ones, width, quotients):
        self.ones, self.width = ones, width
        self.quotients = quotients
        self.fields = [rng.getrandbits(width) if width else 0 for _ in quotients]

    def words(self, word_bits):
        bits = [
            bit
            for quotient in self.quotients
            for bit in [1] * quotient + [0] * (quotient < self.ones)
        ]
        fields = [
            field >> bit & 1
            for field, quotient in zip(self.fields, self.quotients, strict=True)
            for bit in range(self.width)
            if quotient < self.ones
        ]
        return words_of(fields, word_bits), words_of(bits, word_bits)


def tiles_of(rng, word_bits, most):
    """Return streams of all kinds, the worst among them: the most bits a cycle, in every rhythm."""
    half = word_bits // 2
    for ones in {1, most, rng.randint(1, most)}:
        for width in {0, half, half - 1, rng.randint(1, half)}:
            for share in (0.0, 0.1, 0.5, 1.0):
                yield Tile(
                    rng,
                    ones,
                    width,
                    [ones if rng.random() < share else ones - 1 for _ in range(ENTRIES)],
                )
            yield Tile(rng, ones, width, [rng.randint(0, ones) for _ in range(ENTRIES)])
            yield Tile(rng, ones, width, [0] * ENTRIES)


def idle(cycles):
    return [{"jump": 0, "take": 0}] * cycles


def run(engine, tiles, pause_chance, rng):
    """Check each entry of layers of two tiles that follow each other."""
    word_bits, rom, stimulus, wanted = engine.word_bits, [], [], []
    late = entry_window_cycles(engine)
    for tile in tiles:
        fields, quotients = tile.words(word_bits)
        place = len(rom), len(rom) + len(fields)
        if rng.random() < 0.5:
            place = len(rom) + len(quotients), len(rom)
            fields, quotients = quotients, fields
        rom += fields + quotients
        facts = {"jump_addr": place[0], "quotient_addr": place[1], "next_width": tile.width,
                 "filler_ones": tile.ones}  # fmt: skip
        # The format is there long before the first tile. As in the engine, the reader jumps to the
        # next tile in the cycle in which the last entry of a tile is taken.
        stimulus += [{**facts, "jump": 0, "take": 0}, *idle(1), {"jump": 1, "take": 0}]
        stimulus += idle(jump_cycles(engine) - 1)
        for last_tile in (False, True):
            entries = list(zip(tile.quotients, tile.fields, strict=True))
            for quotient, field in entries:
                while rng.random() < pause_chance:
                    stimulus += idle(1)
                wanted.append((len(stimulus), tile, quotient, field))
                stimulus.append({"jump": 0, "take": 1})
            if not last_tile:
                stimulus[-1] = {"jump": 1, "take": 1}
                stimulus += idle(jump_cycles(engine) - 1)
        stimulus += idle(3)
    assert len(rom) <= 1 << engine.weight_addr_bits
    stimulus += idle(late + 1)
    seen = clocked(
        SplitReader(engine),
        stimulus,
        ["window", "quotient", "filler"],
        rom=rom,
        rom_cycles=rom_cycles(engine, "weights"),
    )
    for at, tile, quotient, field in wanted:
        assert seen[at]["quotient"] == quotient
        assert seen[at]["filler"] == (quotient == tile.ones)
        if quotient < tile.ones:
            assert seen[at + late]["window"] & ((1 << tile.width) - 1) == field


def check(word_bits, ones, lanes, share):
    print("seed", word_bits * lanes)
    rng = random.Random(word_bits * lanes)
    engine = engine_of(word_bits, ones, lanes)
    tiles = list(tiles_of(rng, word_bits, ones))
    rng.shuffle(tiles)
    half = len(tiles) // share // 2
    run(engine, tiles[:half], 0, rng)
    run(engine, tiles[half : 2 * half], 0.3, rng)


@pytest.mark.parametrize(("word_bits", "ones", "lanes"), SHAPES)
def test_no_entry_is_late(word_bits, ones, lanes):
    check(word_bits, ones, lanes, share=8)


@pytest.mark.evidence
@pytest.mark.parametrize(("word_bits", "ones", "lanes"), SHAPES + MORE_SHAPES)
def test_no_entry_of_all_streams_is_late(word_bits, ones, lanes):
    check(word_bits, ones, lanes, share=1)
