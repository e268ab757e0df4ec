"""Tables of nested masks against counting mask by mask."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compress.choice.mask_sums import mask_sums
from sqhw.compress.choice.nested import nest
from sqhw.machine.stream import Dense, Gap, Places

FORMATS = (Dense(), *(Gap(gap_bits) for gap_bits in range(1, 7)))


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
    found = mask_sums(nested, FORMATS, every_row=every_row, least=least)
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
        needs = np.where(np.arange(rows) == 0, *least)[stored]
        for at, form in enumerate(FORMATS):
            entries = form.counts(Places(stream))[stored]
            assert found.entries[index, at] == entries.sum()
            assert found.waits[index, at] == np.maximum(0, needs - entries).sum()
