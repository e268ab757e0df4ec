"""Golomb-Rice streams: their bits, and refusals that name what is wrong."""

import re

import numpy as np
import pytest

from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import Entries, Rice

ENGINE = EngineConfig(word_bits=16, quotient_ones=4, max_gap_bits=5)


def test_strings_of_a_small_layer():
    """Gaps 0, 5 and 13 with a remainder of one bit: quotients 0, 2 and, after a filler of 8, 2."""
    weight = np.zeros((2, 21, 1, 1), np.int8)
    weight[0, [0, 6, 20], 0, 0] = [3, -1, 3]
    form = Rice(1, 4, 1)
    entries = form.encode(weight, (-1, 3))
    fields, quotients = form.written(entries)
    # remainder and code of each weight; the lowest bit first
    assert fields.tolist() == [0, 1, 1, 0, 1, 1]
    # the second channel has no weight, hence one filler
    assert quotients.tolist() == [0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1]
    assert entries.counts.tolist() == [4, 1]
    np.testing.assert_array_equal(form.decode(entries, (-1, 3), weight.shape), weight)


@pytest.mark.parametrize(
    ("quotients", "fields", "message"),
    [
        ([0, 1, 1], [1, 1, 1, 1], "its quotients end within entry 0 of channel 1"),
        ([0, 1, 1, 1], [1, 1], "its fields end before entry 1 of channel 1"),
        ([], [], "its quotients end within entry 0 of channel 0"),
    ],
)
def test_streams_that_end_early(quotients, fields, message):
    strings = (
        np.array(fields, np.uint8),
        np.array([*quotients, *[0] * (len(quotients) == 4)], np.uint8),
    )
    with pytest.raises(SqhwError, match=f"^{message}$"):
        Rice(1, 3, 1).taken_from(strings, np.array([1, 2], np.int32))


def test_entries_that_make_no_sense():
    shape = (2, 3, 1, 1)
    with pytest.raises(ValueError, match=r"^entry 1 of channel 1 points at position 3, the "):
        Rice(1, 3, 1).decode(Entries(np.array([0, 3]), np.array([1, 1], np.int32)), (5,), shape)
    with pytest.raises(ValueError, match=r"^entry 0 of channel 0 has the code 1, the codebook has"):
        Rice(1, 3, 1).decode(Entries(np.array([8, 3]), np.array([1, 1], np.int32)), (5,), shape)


@pytest.mark.parametrize(
    ("form", "changes", "message"),
    [
        (
            Rice(2, 5),
            {},
            (
                "a Golomb-Rice stream with fillers of 5 ones exceeds the engine's 4; "
                "raise quotient_ones or choose the streams for this engine"
            ),
        ),
        (
            Rice(2, 1),
            {"quotient_ones": 0},
            (
                "a Golomb-Rice stream with fillers of 1 ones exceeds the "
                "engine's 0; raise quotient_ones or choose the streams for this engine"
            ),
        ),
        (
            Rice(4, 2),
            {},
            ("a filler of 32 positions exceeds the 31 of the engine's gaps; raise max_gap_bits"),
        ),
        (
            Rice(2, 4),
            {},
            (
                "a filler of 16 positions passes more than the 9 that an entry of this "
                "engine may pass; raise taps_per_entry to 2 or choose the streams for this engine"
            ),
        ),
        (
            Rice(3, 1, 6),
            {},
            ("Golomb-Rice fields of 9 bits exceed 8, half the ROM word of 16; raise word_bits"),
        ),
    ],
)
def test_engines_that_do_not_decode_a_stream(form, changes, message):
    engine = EngineConfig(**(ENGINE.to_dict() | changes))
    with pytest.raises(SqhwError, match=f"^{re.escape(message)}$"):
        form.check_engine(engine, 9, 3)


def test_numbers_out_of_range():
    for numbers, message in (
        ((13, 1), "remainder bits must be 0 to 12, not 13"),
        ((1, 0), "ones must be 1 to 8, not 0"),
        ((1, 9), "ones must be 1 to 8, not 9"),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            Rice(*numbers)
    with pytest.raises(SqhwError, match=r"^a filler of 20 positions is too long for 9 input "):
        Rice(2, 5).check_kernel(9, 3)
    with pytest.raises(SqhwError, match=r"take 0 out of its codebook$"):
        Rice(2, 5, 1).check_codebook((0, 1), zeros=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quotient_ones": 9}, "engine quotient_ones must be 0 to 8, not 9"),
        (
            {"quotient_ones": 8, "word_bits": 17},
            "engine word_bits 17 has no divisor from quotient_ones 8 to 8; take another word_bits",
        ),
        (
            {"quotient_ones": 4, "max_gap_bits": 0},
            "engine quotient_ones needs gaps: raise max_gap_bits above 0",
        ),
    ],
)
def test_bad_engine(changes, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        EngineConfig(**changes)


def test_files_of_engines_without_the_decoder_do_not_name_it():
    assert "quotient_ones" not in EngineConfig().to_dict()
    engine = EngineConfig(quotient_ones=4)
    assert EngineConfig.from_dict(engine.to_dict()) == engine
