"""The error that is expected after training, against known optima of normal weights."""

from statistics import NormalDist

import numpy as np
import pytest

from sqhw.compress.choice.after_training import expected_error, normal_errors


@pytest.mark.parametrize(
    ("levels", "error"),
    # Max, "Quantizing for minimum distortion", IRE Trans. Information Theory 1960, table 1.
    [(1, 1.0), (2, 0.3634), (3, 0.1902), (4, 0.1175), (7, 0.04400), (8, 0.03454), (16, 0.009497)],
)
def test_with_all_weights_it_is_that_of_the_best_scalar_quantizer(levels, error):
    assert normal_errors(levels)[-1] == pytest.approx(error, rel=0.03)


@pytest.mark.parametrize("share", [1e-4, 2e-4, 3e-4, 1e-3, 0.003, 0.03, 0.264])
def test_of_one_value_on_each_side_it_is_the_moment_of_the_tails(share):
    """Two values keep the squared mean magnitude of the kept weights, however few they are."""
    normal = NormalDist()
    least = -normal.inv_cdf(share / 2)
    kept = (2 * normal.pdf(least)) ** 2 / share
    found = expected_error(np.array([share]), np.array([2]))[0] / (1 + share**2)
    assert 1 - found == pytest.approx(kept, rel=0.01)


def test_it_falls_with_more_weights_and_with_more_values():
    shares = np.linspace(0.001, 0.3, 60)
    by_levels = [expected_error(shares, np.full(60, levels)) for levels in (2, 4, 8, 16)]
    for errors in by_levels:
        assert (np.diff(errors) < 1e-9).all()
        assert errors.max() <= 1.0
    for more, fewer in zip(by_levels[1:], by_levels, strict=False):
        assert (more <= fewer + 1e-9).all()
    assert expected_error(np.array([0.0]), np.array([2]))[0] == pytest.approx(1.0, abs=0.01)
