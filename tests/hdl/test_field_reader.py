import random

import pytest
from hdl.support import clocked

from sqhw.machine.layout import pack
from sqhw.rtl.field_reader import FieldReader

WIDTHS = [8, 9, 16, 18, 32, 64]


class FieldModel:
    """The bits of a ROM in one row and the place of the next field."""

    def __init__(self, words, word_bits):
        self.word_bits = word_bits
        self.bits = sum(word << word_bits * index for index, word in enumerate(words))
        self.end = len(words) * word_bits
        self.at = 0
        self.wait = 0  # cycles until the window is valid

    def window(self):
        """Return the next `word_bits` bits, or fewer at the end of the ROM, and their number."""
        width = min(self.word_bits, self.end - self.at)
        return self.bits >> self.at & ((1 << width) - 1), width

    def clock(self, jump, jump_addr, take, width):
        self.wait = max(0, self.wait - 1)
        if take:
            self.at += width
        if jump:
            self.at = jump_addr * self.word_bits
            self.wait = FieldReader.LATENCY - 1


def windows(word_bits, addr_bits, inputs, words, late=0):
    """Return the window of every cycle, given each field's width in the cycle in which it is used.

    With `late` the reader registers the words, and its windows come that many cycles later. With
    a `late` of two, the ROM takes two cycles as well.
    """
    inputs = [*inputs, *[{"jump": 0, "take": 0}] * late]
    widths = []
    for given in inputs:
        widths.append(given.get("width", widths[-1] if widths else 0))
    stimulus = [
        {key: value for key, value in given.items() if key != "width"} | {"next_width": width}
        for given, width in zip(inputs, [*widths[1:], 0], strict=True)
    ]
    reader = FieldReader(word_bits, addr_bits, late)
    outputs = clocked(reader, stimulus, ["window"], rom=words, rom_cycles=max(1, late))
    return [out["window"] for out in outputs][late:]


def random_rom(rng, word_bits, depth):
    return [rng.getrandbits(word_bits) for _ in range(depth)]


def check(word_bits, addr_bits, words, inputs, late=0):
    """Compare the window in every cycle in which it is valid."""
    seen = windows(word_bits, addr_bits, inputs, words, late)
    model = FieldModel(words, word_bits)
    compared = 0
    for cycle, (given, got) in enumerate(zip(inputs, seen, strict=True)):
        if cycle and not model.wait:
            expected, width = model.window()
            assert got & ((1 << width) - 1) == expected, f"cycle {cycle}"
            compared += 1
        model.clock(**given)
    return compared


def random_walk(rng, words, word_bits, cycles, jump_chance):
    """Return inputs that take random fields, pause and jump, and never read beyond the end."""
    model = FieldModel(words, word_bits)
    inputs = []
    narrow = False
    for cycle in range(cycles):
        if rng.random() < 0.05:
            narrow = not narrow
        width = rng.randint(0, min(4, word_bits) if narrow else word_bits)
        take = cycle > 0 and not model.wait and rng.random() < 0.8
        fits = model.at + (width if take else 0) <= model.end
        jump = cycle == 0 or not fits or model.at == model.end or rng.random() < jump_chance
        given = {
            "jump": int(jump),
            "jump_addr": rng.randrange(len(words)),
            "take": int(take and fits),
            "width": width,
        }
        model.clock(**given)
        inputs.append(given)
    return inputs


@pytest.mark.parametrize("late", [0, 1, 2])
@pytest.mark.parametrize("jump_chance", [0.02, 0.4])
@pytest.mark.parametrize("word_bits", WIDTHS)
def test_random_fields_pauses_and_jumps(word_bits, jump_chance, late):
    rng = random.Random(word_bits)
    words = random_rom(rng, word_bits, depth=23)
    inputs = random_walk(rng, words, word_bits, 600, jump_chance)
    assert check(word_bits, 5, words, inputs, late) > 100


@pytest.mark.parametrize("word_bits", WIDTHS)
def test_one_field_a_cycle_to_the_last_bit_of_a_full_rom(word_bits):
    rng = random.Random(word_bits)
    words = random_rom(rng, word_bits, depth=16)
    left = 16 * word_bits
    inputs = [{"jump": 1, "jump_addr": 0, "take": 0, "width": 0}]
    inputs += [{"jump": 0, "jump_addr": 5, "take": 0, "width": 0}] * (FieldReader.LATENCY - 1)
    while left:
        width = rng.choice([0, 1, word_bits, rng.randint(1, word_bits)])
        width = min(width, left)
        left -= width
        inputs.append({"jump": 0, "jump_addr": 5, "take": 1, "width": width})
    check(word_bits, 4, words, inputs)


@pytest.mark.parametrize("width", [1, 7, 11, 15, 16])
def test_fields_of_one_width_come_back_as_they_were_packed(width):
    rng = random.Random(width)
    values = [rng.getrandbits(width) for _ in range(100)]
    start = {"jump": 1, "jump_addr": 3, "take": 0, "width": width}
    go = {"jump": 0, "take": 1}
    stimulus = [start, {"jump": 0}, go] + [{}] * 99
    words = [0, 0, 0, *pack(values, [width] * 100, 16)]
    got = [window & ((1 << width) - 1) for window in windows(16, 8, stimulus, words)]
    assert got[FieldReader.LATENCY :] == values


@pytest.mark.parametrize("word_bits", [8, 18])
def test_first_field_comes_exactly_after_the_latency(word_bits):
    words = list(range(1, 31))
    # Jumps from a field in the middle of a word, used up or not, forwards and backwards, and with
    # another jump in the cycle before.
    stimulus, expected = [], {}
    for address, take, again in [(7, 0, 0), (21, 1, 0), (2, 1, 1), (2, 0, 1), (29, 1, 0)]:
        if again:
            stimulus.append({"jump": 1, "jump_addr": 11, "take": 0})
        stimulus.append({"jump": 1, "jump_addr": address, "take": take, "width": 3})
        expected[len(stimulus) - 1] = words[address]
        stimulus += [{"jump": 0, "take": 0}] * 4
    seen = windows(word_bits, 5, stimulus, words)
    for cycle, word in expected.items():
        after = [window & 31 for window in seen[cycle + 1 : cycle + 5]]
        assert after.index(word) + 1 == FieldReader.LATENCY
        assert after[FieldReader.LATENCY - 1 :] == [word] * (5 - FieldReader.LATENCY)


def test_fields_without_bits_stay_where_they_are():
    stimulus = [
        {"jump": 1, "jump_addr": 1, "take": 0, "width": 0},
        {"jump": 0},
        *[{"take": 1, "width": width} for width in (0, 0, 8, 0, 3, 0, 5, 0)],
    ]
    seen = windows(8, 3, stimulus, [1, 0xA5, 0x3C, 0x77, 0x12])
    assert seen[2:] == [
        0xA5, 0xA5, 0xA5, 0x3C, 0x3C, 0xE7, 0xE7, 0x77,
    ]  # fmt: skip
