"""Weighted k-means on a line."""

import itertools

import numpy as np
import pytest

from sqhw.compress.qat.codebook import SortedWeights, kmeans


def cost(values, importance, centroids):
    gaps = np.abs(values[:, None] - np.asarray(centroids)[None]).min(axis=1)
    return float((importance * gaps**2).sum())


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_near_the_best_split(levels):
    print("seed 0")
    rng = np.random.default_rng(0)
    values = np.sort(rng.normal(size=14))
    importance = rng.uniform(0.2, 1, 14)
    centroids, left = kmeans(SortedWeights.make(values, importance), levels)
    assert left == pytest.approx(cost(values, importance, centroids))
    best = min(
        sum(
            float(np.average((part - np.average(part, weights=w)) ** 2, weights=w) * w.sum())
            for part, w in zip(np.split(values, cuts), np.split(importance, cuts), strict=True)
        )
        for cuts in itertools.combinations(range(1, 14), levels - 1)
    )
    assert best - 1e-12 <= left <= 1.5 * best


def test_few_values_are_kept_exactly():
    values = np.array([-2.0, -2.0, 5.0])
    centroids, left = kmeans(SortedWeights.make(values, np.ones(3)), 4)
    assert list(centroids) == [-2, 5]
    assert left == 0


def test_many_equal_values():
    values = np.concatenate((np.full(50, -1.0), np.full(50, 1.0)))
    centroids, left = kmeans(SortedWeights.make(values, np.ones(100)), 8)
    assert set(np.round(centroids, 12)) == {-1.0, 1.0}
    assert left == pytest.approx(0, abs=1e-9)
