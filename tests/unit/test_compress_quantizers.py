"""Quantizers against brute force, published level sets and each other."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compress.quantizers import (
    QUANTIZERS,
    AfpQuantizer,
    ApotQuantizer,
    Codebook,
    DeadZoneQuantizer,
    EntropyConstrainedQuantizer,
    HessianKMeansQuantizer,
    KMeansQuantizer,
    LeastSquaresBinaryQuantizer,
    PowerOfTwoQuantizer,
    QuantizationNetwork,
    TernaryQuantizer,
    UniformMeansQuantizer,
    UniformQuantizer,
    find_quantizer,
)
from sqhw.compress.quantizers.apot import apot_levels
from sqhw.compress.quantizers.dead_zone import DeadZoneModule, dead_zone_book
from sqhw.compress.quantizers.entropy_constrained import entropy_constrained, envelope
from sqhw.compress.quantizers.least_squares_binary import best_ternary, best_two_factors
from sqhw.errors import SqhwError

ALL = [
    AfpQuantizer(4),
    ApotQuantizer(4),
    DeadZoneQuantizer(4),
    EntropyConstrainedQuantizer(4, rate=1.5),
    HessianKMeansQuantizer(3),
    KMeansQuantizer(3),
    KMeansQuantizer(3, start="quantile", pinned_zero=False),
    LeastSquaresBinaryQuantizer(2),
    PowerOfTwoQuantizer(4),
    PowerOfTwoQuantizer(4, scale="real"),
    QuantizationNetwork(3),
    TernaryQuantizer(),
    UniformQuantizer(8),
    UniformQuantizer(3, clip="mse"),
    UniformQuantizer(1, zero=False),
    UniformMeansQuantizer(4),
]
IDS = [f"{q.name}-{i}" for i, q in enumerate(ALL)]
WEIGHTS = st.lists(st.floats(-8, 8, allow_subnormal=False, width=32), min_size=1, max_size=60)


def error(book, values, importance=None):
    worth = np.ones(len(values)) if importance is None else importance
    return float((worth * (book.quantize(values) - values) ** 2).sum())


def best_partition(values, worth, parts, fixed=None):
    """Return the least squared error of `parts` intervals, one of them with the value `fixed`."""
    order = np.argsort(values)
    x, w = values[order], worth[order]

    def cost(lo, hi, mean):
        return float((w[lo:hi] * (x[lo:hi] - mean) ** 2).sum())

    best = np.inf
    cells = parts + (fixed is not None)
    for cuts in itertools.combinations_with_replacement(range(len(x) + 1), cells - 1):
        ends = [0, *cuts, len(x)]
        gains = []
        total = 0.0
        for lo, hi in itertools.pairwise(ends):
            own = cost(lo, hi, np.average(x[lo:hi], weights=w[lo:hi])) if hi > lo else 0.0
            total += own
            if fixed is not None:
                gains.append(cost(lo, hi, fixed) - own)
        best = min(best, total + min(gains, default=0.0))
    return best


@pytest.mark.parametrize("quantizer", ALL, ids=IDS)
@settings(max_examples=20)
@given(values=WEIGHTS)
def test_every_quantizer_gives_few_finite_levels(quantizer, values):
    weights = np.array(values)
    book = quantizer.fit(weights)
    assert len(book.levels) <= (1 << quantizer.bits) + 1
    assert np.isin(book.quantize(weights), book.levels).all()
    assert np.array_equal(quantizer.fit(weights[::-1]).levels, book.levels)


@pytest.mark.parametrize("quantizer", ALL, ids=IDS)
def test_the_trainable_module_begins_at_its_codebook(quantizer):
    print("seed 3")
    rng = np.random.default_rng(3)
    weights = rng.normal(0, 0.2, (16, 5, 3, 3)).astype(np.float32)
    book = quantizer.fit(weights)
    module = quantizer.trainable(book).eval()
    tensor = torch.from_numpy(weights).requires_grad_()
    taken = module(tensor)
    if quantizer.name == "dead-zone":  # whose range is a weight, between two of which `fit` is
        reach = float(module.reach)
        book = dead_zone_book(reach, quantizer.dead * reach, quantizer.bits)
    elif quantizer.name in ("ecsq", "uniform-means"):  # whose levels move, the cells with them
        book = Codebook.nearest(book.levels)
    edge = np.abs(weights[..., None] - book.edges).min(axis=-1) < 1e-6
    wanted = book.quantize(weights.astype(np.float64))
    assert np.abs(taken.detach().numpy() - wanted)[~edge].max() < 1e-5
    module.train()
    module(tensor).sum().backward()
    assert torch.isfinite(tensor.grad).all()
    assert (tensor.grad != 0).any()
    learning = [p for p in module.parameters() if p.requires_grad]
    if not learning:  # shifts and floating-point numbers they stay
        assert quantizer.name in ("power-of-two", "afp")
        return
    assert any(p.grad is not None and (p.grad != 0).any() for p in learning)


@pytest.mark.parametrize(
    "quantizer",
    [
        UniformQuantizer(8),
        UniformQuantizer(3, zero=False),
        PowerOfTwoQuantizer(4),
        PowerOfTwoQuantizer(4, scale="real"),
        AfpQuantizer(4),
        LeastSquaresBinaryQuantizer(2),
    ],
    ids=repr,
)
def test_trained_values_keep_their_structure(quantizer):
    print("seed 4")
    rng = np.random.default_rng(4)
    weight = torch.from_numpy(rng.normal(0, 0.2, 500).astype(np.float32)).requires_grad_()
    wanted = torch.from_numpy(rng.normal(0.1, 0.3, 500).astype(np.float32))
    book = quantizer.fit(weight.detach().numpy())
    module = quantizer.trainable(book)
    learning = [weight, *(p for p in module.parameters() if p.requires_grad)]
    optimizer = torch.optim.Adam(learning, lr=1e-3)
    for _ in range(100):
        optimizer.zero_grad()
        ((module(weight) - wanted) ** 2).sum().backward()
        optimizer.step()
    levels = module(torch.linspace(-3, 3, 20001)).detach().unique().numpy()
    assert np.allclose(levels / levels[-1], book.levels / book.levels[-1], atol=1e-6)
    fixed = levels[-1] == pytest.approx(book.levels[-1], rel=1e-6)
    assert fixed == (len(learning) == 1)


def test_straight_through_gradients_are_one_and_the_sum_of_the_members():
    book = Codebook.nearest([-1.0, 0.0, 2.0])
    module = KMeansQuantizer(1).trainable(book)
    weight = torch.tensor([-1.2, -0.9, 0.2, 1.5, 3.0], requires_grad=True)
    slope = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    (module(weight) * slope).sum().backward()
    assert torch.equal(weight.grad, slope)
    assert torch.equal(module.levels.grad, torch.tensor([3.0, 0.0, 24.0]))  # zero is pinned


def test_ternary_gradients_are_those_of_the_paper():
    module = TernaryQuantizer().trainable(TernaryQuantizer().fit([-2.0, 0.05, 1.0, 3.0]))
    weight = torch.tensor([-2.0, 0.05, 1.0, 3.0], requires_grad=True)
    slope = torch.tensor([1.0, 10.0, 100.0, 1000.0])
    (module(weight) * slope).sum().backward()
    assert torch.equal(weight.grad, torch.tensor([2.0, 10.0, 200.0, 2000.0]))
    assert float(module.positive.grad) == 1100
    assert float(module.negative.grad) == -1


def test_apot_clip_gradient_is_that_of_the_paper():
    module = ApotQuantizer(3).trainable(Codebook.nearest(apot_levels(3)))  # clip 1
    weight = torch.tensor([1.5, -3.0, 0.6, 0.1], requires_grad=True)
    module(weight).sum().backward()
    assert float(module.clip.grad) == pytest.approx(1 - 1 + (0.5 - 0.6) + (0.0 - 0.1))
    assert torch.equal(weight.grad, torch.tensor([0.0, 0.0, 1.0, 1.0]))


def test_published_levels():
    quarter = np.array([0, 0.25, 0.5, 1.0])
    assert np.array_equal(apot_levels(3), np.unique([-quarter, quarter]))
    # The authors' table of 4 and 5 bits: sums of two terms, divided by the largest.
    four = np.unique([a + b for a in (0, 1 / 2, 1 / 4, 1 / 16) for b in (0, 1 / 8)]) / 0.625
    five = np.unique([a + b for a in (0, 1 / 2, 1 / 8, 1 / 32) for b in (0, 1 / 4, 1 / 16, 1 / 64)])
    assert np.allclose(apot_levels(4)[7:], four, rtol=0, atol=1e-15)
    assert np.allclose(apot_levels(5)[15:], five / 0.75, rtol=0, atol=1e-15)
    assert np.array_equal(apot_levels(2), [-1, 0, 1])
    book = PowerOfTwoQuantizer(3).fit([1.0, -0.2])
    assert np.array_equal(book.levels, [-1, -0.5, -0.25, 0, 0.25, 0.5, 1])
    book = AfpQuantizer(4).fit([3.0, -0.7])  # mantissas 1 and 1.5, exponents 1, 0, -1, -2
    assert np.array_equal(book.levels[7:], [0, 0.375, 0.5, 0.75, 1, 1.5, 2, 3])
    book = AfpQuantizer(3).fit([4.0])
    assert np.array_equal(book.levels, [-4, -2, -1, 0, 1, 2, 4])
    assert np.array_equal(UniformQuantizer(8).fit([-127.0, 3.0]).levels, np.arange(-127, 128))


@given(values=WEIGHTS)
def test_uniform_errors_are_at_most_half_a_step(values):
    weights = np.array(values)
    book = UniformQuantizer(5).fit(weights)
    step = book.levels[1] - book.levels[0]
    assert np.abs(book.quantize(weights) - weights).max() <= step / 2 * (1 + 1e-9)
    fitted = UniformQuantizer(5, clip="mse").fit(weights)
    assert error(fitted, weights) <= error(book, weights) + 1e-12


@settings(max_examples=40)
@given(
    values=st.lists(st.floats(-4, 4, width=16), min_size=3, max_size=9, unique=True),
    seed=st.integers(0, 99),
)
def test_least_squares_binary_is_the_optimum(values, seed):
    weights = np.array(values)
    worth = np.random.default_rng(seed).uniform(0.5, 2, len(weights))
    magnitude = np.abs(weights)
    high, low = best_two_factors(weights, worth)
    assert high >= low >= 0
    found = error(Codebook.nearest([high + low, high - low]), magnitude, worth)
    assert found == pytest.approx(best_partition(magnitude, worth, 2), abs=1e-9)
    ternary = Codebook.nearest([0.0, 2 * best_ternary(weights, worth)])
    best = best_partition(magnitude, worth, 1, fixed=0.0)
    assert error(ternary, magnitude, worth) == pytest.approx(best, abs=1e-9)
    greedy = LeastSquaresBinaryQuantizer(2, method="greedy").fit(weights, worth)
    both = LeastSquaresBinaryQuantizer(2).fit(weights, worth)
    assert error(both, weights, worth) <= error(greedy, weights, worth) + 1e-9


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pinned", [False, True])
def test_kmeans_is_a_fixed_point_near_the_optimum(seed, pinned):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    weights, worth = rng.normal(size=11), rng.uniform(0.2, 1, 11)
    quantizer = HessianKMeansQuantizer(1, pinned_zero=pinned, tolerance=0.0)
    book, left = quantizer.fit_with_error(weights, worth)
    worth = worth + 1e-3 * worth.mean()  # what a weight without importance counts by
    assert left == pytest.approx(error(book, weights, worth), rel=1e-9)
    codes = book.codes(weights)
    for code, level in enumerate(book.levels):
        if level and (codes == code).any():
            mean = np.average(weights[codes == code], weights=worth[codes == code])
            assert level == pytest.approx(mean, rel=1e-9)
    best = best_partition(weights, worth, 2, fixed=0.0 if pinned else None)
    assert best - 1e-12 <= left <= 1.5 * best


def test_kmeans_finds_separate_clusters_exactly():
    rng = np.random.default_rng(0)
    centres = np.array([-3.0, -1.0, 0.0, 2.0, 4.0])
    weights = (centres + rng.uniform(-0.05, 0.05, (20, 5))).reshape(-1)
    book, left = KMeansQuantizer(2, tolerance=0.0).fit_with_error(weights)
    assert len(book.levels) == 5
    assert 0.0 in book.levels
    small = np.abs(weights) < 0.5
    means = [weights[np.abs(weights - c) < 0.5].mean() for c in centres if c]
    assert left == pytest.approx(
        (weights[small] ** 2).sum()
        + sum(((weights[np.abs(weights - m) < 0.5] - m) ** 2).sum() for m in means)
    )


def test_few_distinct_weights_are_kept_as_they_are():
    book, left = KMeansQuantizer(2).fit_with_error([0.5, 0.5, -1.0, 2.0])
    assert np.array_equal(book.levels, [-1, 0, 0.5, 2])
    assert left == 0


def test_a_weight_may_snap_to_the_pinned_zero():
    weights = np.concatenate((np.full(9, 1.0), np.linspace(0.9, 1.1, 9), [0.01, -1.0, -1.1, -0.9]))
    book = KMeansQuantizer(1).fit(weights)
    assert book.quantize(np.array([0.01])) == 0


@given(values=WEIGHTS, width=st.sampled_from([0.25, 1.0, 3.0]))
def test_uniform_cells_have_the_mean_of_their_members(values, width):
    weights = np.array(values)
    book = UniformMeansQuantizer(width=width).fit(weights)
    cells = np.floor(weights / width + 0.5)
    for cell in np.unique(cells):
        members = weights[cells == cell]
        assert book.quantize(members) == pytest.approx(np.full(len(members), members.mean()))


def test_entropy_constraint_is_met_and_zero_multiplier_is_kmeans():
    rng = np.random.default_rng(5)
    weights = np.sort(rng.normal(size=400))
    entropies, errors = [], []
    for rate in (2.5, 1.5, 0.7):
        book = EntropyConstrainedQuantizer(4, rate=rate).fit(weights)
        share = np.bincount(book.codes(weights)) / 400
        share = share[share > 0]
        entropies.append(float(-(share * np.log2(share)).sum()))
        errors.append(error(book, weights))
        assert entropies[-1] <= rate + 1e-9
        # A fixed-rate codebook of as many bits is no better at this entropy.
    assert entropies == sorted(entropies, reverse=True)
    assert errors == sorted(errors)
    start = KMeansQuantizer(3, pinned_zero=False, tolerance=0.0).fit(weights).levels
    book = entropy_constrained(weights, np.ones(400), start, 0.0).book
    assert np.allclose(book.levels, start)


@pytest.mark.parametrize("seed", range(3))
def test_entropy_constrained_codes_are_the_best_of_every_weight(seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    values, worth = np.sort(rng.normal(0, 0.2, 600)), np.exp(rng.normal(0, 2, 600))
    multiplier = 0.02
    found = entropy_constrained(values, worth, np.linspace(-0.5, 0.5, 12), multiplier)
    share = np.bincount(found.codes) / 600
    assert found.entropy == pytest.approx(-(share * np.log2(share)).sum())
    for code, level in enumerate(found.levels):
        own = found.codes == code
        assert level == pytest.approx(np.average(values[own], weights=worth[own]))
    for value, h, code in zip(values, worth, found.codes, strict=True):
        paid = h * (value - found.levels) ** 2 - multiplier * np.log2(share)
        assert paid[code] == pytest.approx(paid.min())


def test_codes_by_importance_lose_less_than_cells():
    print("seed 5")
    rng = np.random.default_rng(5)
    values, worth = rng.normal(0, 0.2, 2000), np.exp(rng.normal(0, 2, 2000))
    quantizer = EntropyConstrainedQuantizer(4, rate=2.0)
    book, codes = quantizer.assign(values, worth)
    share = np.bincount(codes, minlength=len(book.levels)) / 2000
    share = share[share > 0]
    assert -(share * np.log2(share)).sum() <= 2.0
    cells = quantizer.fit(values, worth).quantize(values)
    loss = (worth * (book.levels[codes] - values) ** 2).sum()
    assert loss < (worth * (cells - values) ** 2).sum()
    # By default the code is that of the cell.
    plain, cell_codes = KMeansQuantizer(2).assign(values, worth)
    assert np.array_equal(plain.levels[cell_codes], plain.quantize(values))


@pytest.mark.parametrize("rate", [0.5, 2.0, 3.5])
def test_uniform_cells_meet_a_rate(rate):
    print("seed 6")
    weights = np.random.default_rng(6).normal(0, 0.2, 5000)
    codes = UniformMeansQuantizer(rate=rate).fit(weights).codes(weights)
    share = np.bincount(codes) / 5000
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
    assert rate - 0.05 < entropy <= rate


def test_entropy_constrained_assigns_by_distance_and_rate():
    rng = np.random.default_rng(6)
    levels, costs = np.sort(rng.normal(size=9)), rng.uniform(0, 1, 9)
    kept, own, edges = envelope(levels, costs)
    for x in rng.normal(size=300):
        best = min((x - level) ** 2 + cost for level, cost in zip(levels, costs, strict=True))
        at = np.searchsorted(edges, x, side="right")
        assert (x - kept[at]) ** 2 + own[at] == pytest.approx(best)


def test_quantization_network_cells_come_from_clusters_and_harden():
    rng = np.random.default_rng(7)
    weights = rng.normal(0, 0.3, 500)
    quantizer = QuantizationNetwork(2)
    book = quantizer.fit(weights)
    top = np.abs(weights).max() / 1.25
    assert np.allclose(book.levels, [-top, 0, top])
    module = quantizer.trainable(book)
    module.set_progress(1.0)
    far = np.abs(weights[:, None] - book.edges).min(axis=1) > 0.2
    soft = module(torch.from_numpy(weights).float()).detach().numpy()
    assert np.abs(soft - book.quantize(weights))[far].max() < 1e-3


def test_dead_zone_learns_zone_and_bits():
    torch.manual_seed(0)
    weight = torch.randn(1000)
    module = DeadZoneModule(0.1, 6, learn_bits=True)
    module(weight)
    assert module.bits() == 6
    before = float((module(weight) == 0).float().mean())
    with torch.no_grad():
        module.zone.mul_(0.5)
        module.width.mul_(0.2)
    assert module.bits() < 6
    assert float((module(weight) == 0).float().mean()) > before
    assert len(module(weight).unique()) <= 2 ** module.bits() - 1
    module(weight).pow(2).sum().backward()
    assert float(module.zone.grad) != 0
    assert float(module.width.grad) != 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UniformQuantizer(9), r"^quantizer 'uniform': bits must be 1 to 8, not 9$"),
        (lambda: UniformQuantizer(1), r"1 bit has no room for zero; set zero to false$"),
        (lambda: UniformQuantizer(4, clip="man"), r"^unknown range .* 'man'; did you mean 'max'\?"),
        (lambda: ApotQuantizer(6), r"^quantizer 'apot': bits must be 2 to 5, not 6$"),
        (lambda: TernaryQuantizer(threshold=1.0), r"threshold must be 0 to below 1, not 1.0$"),
        (lambda: EntropyConstrainedQuantizer(4), r"give one of multiplier and rate$"),
        (
            lambda: UniformMeansQuantizer(rate=-1.0),
            r"rate must be finite and not negative, not -1.0$",
        ),
        (lambda: UniformMeansQuantizer(width=1.0, rate=1.0), r"give one of width and rate$"),
        (lambda: KMeansQuantizer(2).fit([]), r"at least one weight, got none"),
        (lambda: KMeansQuantizer(2).fit([np.nan]), r"needs finite weights"),
        (lambda: find_quantizer("kmeans"), r"^unknown quantizer 'kmeans'; did you mean 'k-means'"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(SqhwError, match=message):
        make()


def test_every_quantizer_is_registered():
    assert {type(quantizer).name for quantizer in ALL} == set(QUANTIZERS)
