"""Expected entries where formulas could lose digits; the rest is in test_stream_formats."""

import numpy as np
import pytest

from sqhw.machine.stream import Gap


def test_no_rounding_where_the_layer_is_large():
    """512 channels of 4,608 weights: one weight, and all of them."""
    model = Gap(9).expected(np.array([1, 512 * 4608]), 512, 4608)
    # one weight has a mean of 4.02 fillers before it; 511 channels have a filler each
    fillers = np.arange(4608) // 511
    assert model.total == pytest.approx([1 + fillers.mean() + 511, 512 * 4608], rel=1e-6)
    assert model.count_bits[1] == 0
