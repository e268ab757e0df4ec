"""Entries of random masks: the expectation against all masks there are, and against drawn ones."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.cost_models.entries import DenseEntries, KnownEntries, RandomEntries
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing

TIMING = Timing.of(EngineConfig())
SERIAL = Timing.of(EngineConfig(lanes=32, requantizers=8))


def masks(rng, options, channels, length, nonzeros):
    """Draw masks with just so many weights, shape (options, channels, length, 1, 1)."""
    rank = rng.random((options, channels * length)).argsort(axis=1).argsort(axis=1)
    return (rank < nonzeros).reshape(options, channels, length, 1, 1)


@pytest.mark.parametrize("gap_bits", [1, 2, 3])
@pytest.mark.parametrize(("channels", "length"), [(1, 8), (3, 4), (2, 5)])
def test_expected_entries_are_the_mean_over_all_masks(channels, length, gap_bits):
    size = channels * length
    counts = np.arange(size + 1)
    model = RandomEntries(counts, channels, length, gap_bits)
    for nonzeros in counts:
        places = list(combinations(range(size), nonzeros))
        every = np.zeros((len(places), size), dtype=bool)
        every[np.arange(len(places)).repeat(nonzeros), np.array(places, dtype=int).reshape(-1)] = 1
        known = KnownEntries.of(every.reshape(-1, channels, length, 1, 1), gap_bits)
        assert model.total[nonzeros] == pytest.approx(known.total.mean(), rel=1e-9)
        for timing in (TIMING, replace(TIMING, min_slot=3), replace(TIMING, min_slot=1)):
            cycles = known.tile_cycles(timing, False, False).mean()
            expected = model.tile_cycles(timing, False, False)
            assert expected[nonzeros] == pytest.approx(cycles, rel=1e-9)


@pytest.mark.parametrize("timing", [TIMING, SERIAL], ids=["8 lanes", "32 lanes"])
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(
    ("channels", "length", "density", "gap_bits"),
    [(64, 9, 0.3, 1), (64, 144, 0.05, 4), (32, 576, 0.02, 5), (200, 40, 0.5, 2), (10, 64, 0.4, 3)],
)
def test_expectations_are_near_those_of_drawn_masks(
    channels, length, density, gap_bits, timing, skips
):
    print("seed 0")
    nonzeros = round(density * channels * length)
    drawn = masks(np.random.default_rng(0), 100, channels, length, nonzeros)
    known = KnownEntries.of(drawn, gap_bits)
    model = RandomEntries(np.array([nonzeros]), channels, length, gap_bits)
    assert set(known.nonzeros) == {nonzeros}
    assert model.total == pytest.approx(known.total.mean(), rel=0.005)
    for serial in (False, True):
        cycles = known.tile_cycles(timing, serial, skips).mean()
        assert model.tile_cycles(timing, serial, skips) == pytest.approx(cycles, rel=0.01)
    assert abs(model.count_bits - known.count_bits.mean()) <= 1


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_dense_entries_are_those_that_are_counted(channels, length, seed):
    print("seed", seed)
    mask = np.random.default_rng(seed).random((1, channels, length, 1, 1)) < 0.5
    known = KnownEntries.of(mask, 0)
    dense = DenseEntries(known.nonzeros, channels, length)
    assert known.total == dense.total
    assert known.count_bits == dense.count_bits
    for serial in (False, True):
        for skips in (False, True):
            cycles = known.tile_cycles(SERIAL, serial, skips)
            assert cycles == dense.tile_cycles(SERIAL, serial, skips)


def test_no_rounding_where_the_layer_is_large():
    """512 channels of 4,608 weights: one weight, and all of them."""
    model = RandomEntries(np.array([1, 512 * 4608]), 512, 4608, 9)
    # one weight has a mean of 4.02 fillers before it; 511 channels have a filler each
    fillers = np.arange(4608) // 511
    assert model.total == pytest.approx([1 + fillers.mean() + 511, 512 * 4608], rel=1e-6)
    assert model.count_bits[1] == 0
