"""Tests of the lengths that the study of codes of variable length counts."""

import itertools

import numpy as np
import pytest

from benchmarks.coding.codes import code_bits, code_lengths
from sqhw.machine.stream import code_width


def codewords(values: int, width: int, k: int, limit: int) -> list[str]:
    """Return the code of each value: ones, a zero unless they are the escape, and the remainder."""
    words = []
    for value in range(values):
        ones = value >> k
        if ones < limit:
            words.append("1" * ones + "0" + (f"{value & (1 << k) - 1:0{k}b}" if k else ""))
        else:
            words.append("1" * limit + (f"{value:0{width}b}" if width else ""))
    return words


@pytest.mark.parametrize("values", [1, 2, 3, 5, 16, 31])
@pytest.mark.parametrize("limit", [0, 1, 3, 7])
def test_lengths_are_those_of_codes_of_which_none_begins_another(values: int, limit: int) -> None:
    width = code_width(values)
    for k in range(width + 1):
        words = codewords(values, width, k, limit)
        assert code_lengths(values, width, k, limit).tolist() == [len(word) for word in words]
        for one, other in itertools.permutations(words, 2):
            assert not other.startswith(one)


def test_bits_worked_out_by_hand() -> None:
    uses = np.array([1, 10, 3, 2])  # 10, 3, 2 and 1 by falling frequency
    # One width: 2 bits for 16 weights. In unary, up to 3 ones: 10 * 1 + 3 * 2 + 2 * 3 and, after
    # three ones, 1 * 5; up to 2 ones: 10 + 6, and the rest of 2 + 2 bits: 12.
    assert code_bits(uses, 0) == 32
    assert code_bits(uses, 1) == 10 + 6 * 3
    assert code_bits(uses, 3) == 10 + 6 + 6 + 5


def test_a_single_value_takes_the_bit_that_a_code_has_at_least() -> None:
    assert code_bits(np.array([7]), 0) == 7
    assert code_bits(np.array([7]), 8) == 7
