import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.machine.number import ActivationFormat, distinct_bytes, signed_width, unsigned_width


@pytest.mark.parametrize(
    ("bits", "signed", "lo", "hi", "max_abs", "text"),
    [
        (2, False, 0, 3, 3, "u2"),
        (2, True, -2, 1, 2, "s2"),
        (4, False, 0, 15, 15, "u4"),
        (4, True, -8, 7, 8, "s4"),
        (8, False, 0, 255, 255, "u8"),
        (8, True, -128, 127, 128, "s8"),
    ],
)
def test_activation_format(bits, signed, lo, hi, max_abs, text):
    form = ActivationFormat(bits, signed)
    assert (form.lo, form.hi, form.max_abs, str(form)) == (lo, hi, max_abs, text)


@pytest.mark.parametrize("bits", [-1, 0, 1, 9])
def test_activation_bits_out_of_range(bits):
    with pytest.raises(ValueError, match=rf"^activation bits must be 2 to 8, not {bits}$"):
        ActivationFormat(bits, signed=False)


@pytest.mark.parametrize(("value", "width"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (255, 8)])
def test_unsigned_width(value, width):
    assert unsigned_width(value) == width


@pytest.mark.parametrize(
    ("value", "width"),
    [(0, 0), (-1, 1), (1, 2), (-2, 2), (-3, 3), (3, 3), (127, 8), (-128, 8), (128, 9), (-129, 9)],
)
def test_signed_width(value, width):
    assert signed_width(value) == width


@given(st.integers(-(1 << 40), 1 << 40))
def test_signed_width_is_the_narrowest(value):
    width = signed_width(value)
    half = (1 << width) // 2
    assert -half <= value < max(half, 1)
    if width > 1:
        assert not -(half // 2) <= value < half // 2


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100, 40_003])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 1.0])
def test_distinct_bytes_are_those_of_unique(size, density):
    print("seed", size)
    rng = np.random.default_rng(size)
    for low, high in ((-128, 128), (-3, 0), (126, 128)):
        values = rng.integers(low, high, size).astype(np.int8)
        values[rng.random(size) >= density] = 0
        found = distinct_bytes(values)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, np.unique(values))
    np.testing.assert_array_equal(distinct_bytes(values[::-2]), np.unique(values[::-2]))
