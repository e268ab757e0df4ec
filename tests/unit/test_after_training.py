"""The error that is expected after training, against known optima of normal weights."""

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


def test_of_one_value_on_each_side_it_is_the_moment_of_the_tails():
    """A share p of normal weights, those beyond t: their energy less what two values miss."""
    density = 0.264
    t = 1.1170  # 2 * (1 - Phi(t)) = 0.264
    tail = 2 * np.exp(-t * t / 2) / np.sqrt(2 * np.pi)  # mean magnitude of the tails, times p
    expected = 1 - tail * tail / density
    found = expected_error(np.array([density]), np.array([2]))[0] / (1 + density**2)
    assert found == pytest.approx(expected, abs=0.004)


def test_it_falls_with_more_weights_and_with_more_values():
    shares = np.linspace(0.001, 0.3, 60)
    by_levels = [expected_error(shares, np.full(60, levels)) for levels in (2, 4, 8, 16)]
    for errors in by_levels:
        assert (np.diff(errors) < 1e-9).all()
        assert errors.max() <= 1.0
    for more, fewer in zip(by_levels[1:], by_levels, strict=False):
        assert (more <= fewer + 1e-9).all()
    assert expected_error(np.array([0.0]), np.array([2]))[0] == pytest.approx(1.0, abs=0.01)
