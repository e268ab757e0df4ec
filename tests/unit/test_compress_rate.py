"""Masks by rate and distortion: exact within a channel."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compress.choice.rate_distortion import best_places, saved, thrifty_mask
from sqhw.machine.stream import Gap, Places, Rice


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_no_other_places_of_a_channel_are_worth_more(seed):
    rng = np.random.default_rng(seed)
    places, every = int(rng.integers(1, 10)), int(rng.integers(1, 5))
    gain = rng.normal(size=(1, places))
    always = rng.random((1, places)) < 0.1
    least, price = float(rng.normal()) / 2, float(rng.random())

    def worth(kept):
        at = np.flatnonzero(kept)
        zeros = np.diff(at, prepend=-1) - 1
        return float((gain[0, at] - least).sum() - price * (zeros // every).sum())

    found = best_places(gain, always, least, price, every)[0]
    every_choice = (np.array(kept) for kept in product((False, True), repeat=places))
    best = max(worth(kept) for kept in every_choice if not (always[0] & ~kept).any())
    assert not (always[0] & ~found).any()
    assert worth(found) == pytest.approx(best)


@pytest.mark.parametrize("form", [Rice(2, 8, 1), Rice(0, 3, 2), Gap(3, 1)])
def test_the_bits_of_weights_are_those_of_the_stream(form):
    print("seed 0")
    mask = np.random.default_rng(0).random((5, 8, 3, 3)) < 0.15
    mask[:, 0, 0, 0] = True
    assert form.bits_after(Places.of(mask).runs[1]).sum() == sum(form.sizes(Places.of(mask)))


def test_fewer_bits_are_weighed_against_more_error():
    print("seed 0")
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(16, 16, 3, 3)).astype(np.float32)
    book = np.array([-1.6, 1.6], dtype=np.float32)
    room = rng.random(weight.shape) < 0.9
    floor = np.zeros(weight.shape, dtype=bool)
    floor[:, 0, 0, 0] = room[:, 0, 0, 0] = True
    size = np.where(floor, np.inf, np.abs(weight) * room)
    mask = size >= np.sort(size.reshape(-1))[-460]
    form = Rice(1, 8, 1)
    found = thrifty_mask(weight, book, mask, room, floor, form)
    assert 0.99 * mask.sum() <= found.sum() <= mask.sum()
    assert not (found & ~room).any()
    assert not (floor & ~found).any()

    def bits(kept):
        return sum(form.sizes(Places.of(kept)))

    def error(kept):
        return float(-saved(weight, book)[kept].sum())

    assert bits(found) < 0.985 * bits(mask)
    gain = saved(weight, book)[mask & ~floor].min() * mask.sum() / bits(mask)
    assert error(found) + gain * bits(found) < error(mask) + gain * bits(mask)
