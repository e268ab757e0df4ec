"""Check codes of memory words: every flip, and every pair of flips."""

from itertools import combinations

import numpy as np
import pytest

from sqhw.machine.check_codes import parity, secded

WIDTHS = (8, 16, 18, 32, 64)


def _flipped(word, pairs):
    """Return a word once for each set of bits that flip in it."""
    found = np.repeat(word[None], len(pairs), axis=0)
    for row, bits in enumerate(pairs):
        found[row, list(bits)] ^= 1
    return found


@pytest.mark.parametrize(("data", "checks"), [(4, 4), (8, 5), (11, 5), (16, 6), (32, 7), (64, 8)])
def test_secded_takes_the_check_bits_of_the_table(data, checks):
    """Hsiao 1970, and any table of extended Hamming codes: (8,4), (13,8), (22,16) and so on."""
    assert secded(data).check_bits == checks


@pytest.mark.parametrize("width", WIDTHS)
def test_columns_are_odd_differ_and_fill_rows_evenly(width):
    columns = secded(width).columns
    assert (columns.sum(axis=0) % 2 == 1).all()
    assert (columns.sum(axis=0) >= 3).all()
    assert len(np.unique(columns, axis=1).T) == width
    assert np.ptp(columns.sum(axis=1)) <= 2


@pytest.mark.parametrize("width", WIDTHS)
def test_secded_corrects_every_flip_and_detects_every_pair(width):
    code = secded(width)
    data = np.random.default_rng(width).integers(0, 2, (1, width)).astype(np.uint8)
    stored = code.encode(data)[0]
    assert not code.decode(stored[None]).detected.any()
    assert not code.decode(stored[None]).corrected.any()
    single = code.decode(_flipped(stored, [(bit,) for bit in range(code.stored_bits)]))
    assert (single.data == data).all()
    assert single.corrected.all()
    assert not single.detected.any()
    pairs = list(combinations(range(code.stored_bits), 2))
    double = code.decode(_flipped(stored, pairs))
    assert double.detected.all()
    assert not double.corrected.any()
    assert (double.data == _flipped(stored, pairs)[:, :width]).all()


def test_all_words_of_eight_bits_are_corrected():
    code = secded(8)
    data = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(np.uint8)
    for bit in range(code.stored_bits):
        stored = code.encode(data)
        stored[:, bit] ^= 1
        assert (code.decode(stored).data == data).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_parity_detects_every_flip_and_no_pair(width):
    code = parity(width)
    stored = code.encode(np.ones((1, width), np.uint8))[0]
    assert int(stored.sum()) % 2 == 0
    single = code.decode(_flipped(stored, [(bit,) for bit in range(width + 1)]))
    assert single.detected.all()
    assert not single.corrected.any()
    double = code.decode(_flipped(stored, list(combinations(range(width + 1), 2))))
    assert not double.detected.any()


def test_flips_alone_go_through_the_corrector_as_in_a_word():
    code, rng = secded(16), np.random.default_rng(3)
    data = rng.integers(0, 2, (500, 16)).astype(np.uint8)
    flips = (rng.random((500, code.stored_bits)) < 0.15).astype(np.uint8)
    whole, alone = code.decode(code.encode(data) ^ flips), code.decode(flips)
    assert (whole.data == data ^ alone.data).all()
    assert (whole.detected == alone.detected).all()
    assert (whole.corrected == alone.corrected).all()
