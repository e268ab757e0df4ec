"""Requantization in torch against the reference's integers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compress.qat.requantize import best_step, dyadic, requantize
from sqhw.sim import reference


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20),
    st.integers(1, 65535),
    st.integers(0, 31),
    st.sampled_from([(0, 255), (-128, 127), (0, 3)]),
)
def test_equals_the_reference(values, multiplier, shift, limits):
    acc = torch.tensor(values, dtype=torch.float64)
    found = requantize(acc, multiplier, shift, *limits)
    assert found.tolist() == [
        reference.requantize(value, multiplier, shift, *limits) for value in values
    ]


def test_halves_round_up_in_float32_too():
    acc = torch.tensor([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    assert requantize(acc, 1, 2, -8, 7).tolist() == [-1, 0, 0, 0, 1, 1]


def test_the_gradient_passes_inside_the_clamp_only():
    acc = torch.tensor([-100.0, 4.0, 100.0], requires_grad=True)
    requantize(acc, 3, 2, 0, 15).sum().backward()
    assert acc.grad.tolist() == [0, 0.75, 0]


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.floats(1e-6, 100), st.integers(1, 16))
def test_dyadic_is_as_near_as_the_multiplier_admits(ratio, bits):
    multiplier, shift = dyadic(ratio, bits)
    assert 1 <= multiplier < 2**bits
    assert 0 <= shift <= 31
    if 2.0 ** (bits - 32) < ratio < 2**bits - 1:
        assert multiplier / 2**shift == pytest.approx(ratio, rel=2.0 ** (1 - bits))


def test_best_step_clips_a_lone_outlier_but_not_on_request():
    print("seed 0")
    values = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, 10_000).astype(np.float32))
    values[0] = 1.4
    assert best_step(values, 0, 3, clip=False) == pytest.approx(1.4 / 3)
    assert best_step(values, 0, 3, clip=True) < 1.3 / 3
    assert best_step(-values, 0, 3, clip=True) == 1.0
