"""SQL's projections against brute force and the facts of the published checkpoint."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest
from method_cases import QUICK, compressed

from sqhw.compress.methods.sql_projections import quantize_layers, sparsify
from sqhw.compress.quantizers import KMeansQuantizer
from sqhw.errors import SqhwError
from sqhw.frontends.zoo.catalogue import float_network

#: Folder with `lenet5_caffe.safetensors`, the dense checkpoint that the authors of SQL publish.
MODELS = os.environ.get("SQHW_MODELS")


@pytest.mark.parametrize("seed", range(4))
def test_sparsify_keeps_the_best_by_energy_a_bit(seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape) for shape in ((4, 3), (7,), (2, 2, 2))]
    bits = [int(b) for b in rng.integers(1, 5, 3)]
    masks = sparsify(weights, bits, 25)
    assert [mask.shape for mask in masks] == [w.shape for w in weights]
    score = np.concatenate([w.reshape(-1) ** 2 / b for w, b in zip(weights, bits, strict=True)])
    kept = np.concatenate([mask.reshape(-1) for mask in masks])
    assert score[kept].min() > score[~kept].max()
    spent = sum(int(mask.sum()) * b for mask, b in zip(masks, bits, strict=True))
    assert spent <= 25
    assert spent + 2 * max(bits) > 25 - max(bits)  # less one weight, and the first that overflows


def test_the_floor_comes_first():
    weights = [np.full(50, 1.0), np.full(5, 1e-6)]
    assert [int(m.sum()) for m in sparsify(weights, [2, 2], 20)] == [9, 0]
    assert [int(m.sum()) for m in sparsify(weights, [2, 2], 20, floor=2)] == [7, 2]
    with pytest.raises(SqhwError, match=r"^budget payload=20 is too small: 6 weights in each of"):
        sparsify(weights, [2, 2], 20, floor=6)


@pytest.mark.parametrize("seed", range(4))
def test_bits_are_nearly_optimal_and_within_the_budget(seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, s, n) for s, n in ((1.0, 40), (0.3, 90), (2.0, 25))]
    counts = [w.size for w in weights]
    budget = 3 * sum(counts)
    quantizer = KMeansQuantizer()
    copies, bits = quantize_layers(weights, counts, budget, quantizer)
    assert sum(b * n for b, n in zip(bits, counts, strict=True)) <= budget
    errors = [[quantizer.with_bits(b).fit_with_error(w)[1] for b in range(1, 9)] for w in weights]
    for copy, weight, b, row in zip(copies, weights, bits, errors, strict=True):
        assert ((copy - weight) ** 2).sum() == pytest.approx(row[b - 1])
    best = min(
        sum(row[b - 1] for row, b in zip(errors, choice, strict=True))
        for choice in itertools.product(range(1, 9), repeat=3)
        if sum(b * n for b, n in zip(choice, counts, strict=True)) <= budget
    )
    found = sum(row[b - 1] for row, b in zip(errors, bits, strict=True))
    assert found <= 1.35 * best  # one increment of the hull is left over at most


def test_an_infeasible_bit_budget_names_the_least():
    with pytest.raises(SqhwError, match=r"too small for 8 weights of 2 bits; .* payload=16$"):
        quantize_layers([np.ones(8)], [8], 15, KMeansQuantizer(), least_bits=2)


def test_the_history_shows_bits_nonzeros_and_the_gap():
    result = compressed("sql", nonzeros=0.2, bits=3.0, warmup=1, **QUICK)
    weights = sum(layer.weights_before for layer in result.layers)
    for row in result.history:
        cost = sum(b * n for b, n in zip(row["bits"], row["nonzeros"], strict=True))
        assert cost <= 3 * sum(math.ceil(0.2 * layer.weights_before) for layer in result.layers)
        assert row["gap"] >= 0
    assert sum(layer.nonzeros for layer in result.layers) < 0.4 * weights


@pytest.mark.slow
@pytest.mark.skipif(not MODELS, reason="SQHW_MODELS names no folder with the checkpoint")
def test_projections_of_the_published_checkpoint():
    """At the authors' README budget, 0.54 % non-zeros of 3 bits (batch 1 of their own run)."""
    network = float_network("lenet5-caffe", Path(MODELS) / "lenet5_caffe.safetensors")
    weights = [layer.weight.astype(np.float64) for layer in network.convs]
    assert sum(w.size for w in weights) == 430_500
    budget = 3 * sum(math.ceil(0.0054 * w.size) for w in weights)
    masks = sparsify(weights, [3] * 4, budget)
    counts = [int(mask.sum()) for mask in masks]
    assert counts == [385, 697, 2, 1240]
    assert sparsify(weights, [3] * 4, budget, floor=1)[2].sum() == 2  # no layer needs its floor
    sparse = [np.where(mask, w, 0) for mask, w in zip(masks, weights, strict=True)]
    _, bits = quantize_layers(sparse, counts, budget, KMeansQuantizer())
    assert bits == [4, 2, 1, 3]


def test_without_fine_tuning_the_result_is_the_quantized_copy():
    result = compressed("sql", nonzeros=0.3, bits=3.0, **QUICK)
    assert all(len(layer.levels) <= 256 for layer in result.layers)
    assert result.quantized is not None
    bits = next(row["bits"] for row in reversed(result.history) if "bits" in row)
    assert all(layer.bits <= max(bits) for layer in result.layers)
