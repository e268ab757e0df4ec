"""Tables of nested masks against counting and clustering mask by mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compress.choice.mask_sums import mask_sums
from sqhw.compress.choice.nested import nest
from sqhw.compress.choice.value_histogram import histogram_errors
from sqhw.compress.qat.codebook import SortedWeights, kmeans
from sqhw.machine.stream import Dense, Gap, Places

FORMATS = (Dense(), *(Gap(gap_bits) for gap_bits in range(1, 7)))
LEVELS = np.array([2, 4, 8, 16])


def sums(nested, weight, importance, every_row=True, least=(0, 0)):
    return mask_sums(
        nested, weight, importance, importance, FORMATS, every_row=every_row, least=least
    )


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_masks_are_those_of_a_stable_sort_and_entries_are_counted(seed):
    rng = np.random.default_rng(seed)
    rows, inputs, taps = (int(n) for n in rng.integers(1, 9, 3))
    weight = rng.normal(size=(rows, inputs, taps)).astype(np.float32)
    if rng.random() < 0.5:  # many ties
        weight = np.round(weight).astype(np.float32)
    importance = rng.exponential(size=weight.shape).round(1).astype(np.float32)
    score = importance * weight * weight
    floor = rng.random(weight.shape) < 0.1 * rng.random()
    least = tuple(int(n) for n in rng.integers(0, 9, 2))
    near = int(rng.integers(1, weight.size + 1)) if rng.random() < 0.3 else None
    every_row = bool(rng.random() < 0.5)
    nested = nest(score, floor, near=near)
    assert (np.diff(nested.counts) > 0).all()
    if near is None:
        assert nested.counts[0] == max(1, floor.sum())
        assert nested.counts[-1] == weight.size
    found = sums(nested, weight, importance, every_row, least)
    order = np.argsort(-np.where(floor, np.inf, score).reshape(-1), kind="stable")
    for index, count in enumerate(nested.counts):
        mask = np.zeros(weight.size, dtype=bool)
        mask[order[:count]] = True
        mask = mask.reshape(weight.shape)
        assert np.array_equal(mask, nested.mask(index))
        stream = mask.transpose(0, 2, 1).reshape(rows, -1)
        stored = np.ones(rows, dtype=bool) if every_row else stream.any(axis=1)
        assert found.rows[index] == stored.sum()
        assert np.array_equal(found.by_tap[index], mask.sum(axis=(0, 1)))
        assert found.energy[index] == pytest.approx(float(score[mask].sum(dtype=float)))
        needs = np.where(np.arange(rows) == 0, *least)[stored]
        for at, form in enumerate(FORMATS):
            entries = form.counts(Places(stream))[stored]
            assert found.entries[index, at] == entries.sum()
            assert found.waits[index, at] == np.maximum(0, needs - entries).sum()


@pytest.mark.parametrize("seed", range(4))
def test_errors_of_histograms_are_near_those_of_the_weights(seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(24, 20, 9)).astype(np.float32)
    importance = rng.exponential(size=weight.shape).astype(np.float32)
    nested = nest(importance * weight * weight, np.zeros(weight.shape, dtype=bool))
    found = sums(nested, weight, importance)
    errors = histogram_errors(found.mass, found.moment, found.second, found.largest, LEVELS, 12)
    for index, count in enumerate(nested.counts):
        kept = nested.mask(index)
        order = np.argsort(weight[kept])
        exact = SortedWeights.make(
            weight[kept][order].astype(float), importance[kept][order].astype(float)
        )
        for option, levels in enumerate(LEVELS):
            # Both are local optima, and either may be the better one.
            if count >= 24 * levels:
                assert (
                    errors[index, option] <= 1.15 * kmeans(exact, int(levels), steps=50)[1] + 1e-9
                )
