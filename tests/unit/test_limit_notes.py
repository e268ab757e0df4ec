"""How notes of the network say numbers."""

import pytest

from sqhw.compress.calibration.limit_notes import decibels, with_noun


@pytest.mark.parametrize(
    ("noise", "said"),
    [(1.0, "0.0 dB"), (1.0 + 1e-12, "0.0 dB"), (0.5, "3.0 dB"), (0.001, "30.0 dB")],
)
def test_a_signal_is_never_below_zero_decibels(noise, said):
    assert decibels(noise) == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (127, "127 steps")]
)
def test_a_number_of_things(number, said):
    assert with_noun(number, "step") == said
