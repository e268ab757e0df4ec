"""Optimal brain surgeon and GPTQ against brute force; one-shot compression under a budget."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from float_networks import conv, mobile_network, residual_network
from method_cases import DEVICE, ENGINE, compressed, digits, small_network

from sqhw.compress import evaluate, torch_logits
from sqhw.compress.methods import compress_with, configure
from sqhw.compress.methods.input_sums import InputSums, solved
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.layer_codebook import whole
from sqhw.compress.methods.obs import (
    Layer,
    Pruned,
    damped,
    prune_path,
    quantize_rows,
    solve_rows,
)
from sqhw.compress.methods.oneshot import oneshot_curve
from sqhw.compress.quantizers import Codebook
from sqhw.cost_models.rom import rom_cost
from sqhw.data import Dataset, Split
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork
from sqhw.network.graph import INPUT
from sqhw.sim.simulator import Simulator


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with torch_threads(1):
        yield


def problem(seed, rows=3, columns=6, groups=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(groups, columns, 40)) + 0.7 * rng.normal(size=(groups, 1, 40))
    stack = np.stack([damped(2 * part @ part.T, 0.01) for part in x])
    return Layer(rng.normal(size=(rows, columns)), stack, rng.uniform(0.5, 2, rows))


@pytest.mark.parametrize("seed", range(3))
def test_the_best_weights_on_a_support_leave_no_gradient(seed):
    print("seed", seed)
    layer = problem(seed, rows=4, groups=2)
    mask = np.random.default_rng(seed).random(layer.weight.shape) < 0.5
    found = solve_rows(layer, mask)
    assert (found.weight[~mask] == 0).all()
    assert found.loss == pytest.approx(layer.loss(found.weight))
    for row in range(4):
        gradient = layer.of_row(row) @ (found.weight[row] - layer.weight[row])
        assert np.abs(gradient[mask[row]]).max(initial=0) < 1e-9
    assert found.loss <= layer.loss(np.where(mask, layer.weight, 0)) + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_one_weight_a_step_is_the_exact_greedy_choice(seed):
    print("seed", seed)
    layer = problem(seed)
    path = prune_path(layer, list(range(18, 5, -1)), np.zeros((3, 6), dtype=bool))
    for before, after in itertools.pairwise(path):
        gone = np.argwhere(before.mask & ~after.mask)
        assert len(gone) == 1
        losses = []
        for row, column in np.argwhere(before.mask):
            mask = before.mask.copy()
            mask[row, column] = False
            losses.append(solve_rows(layer, mask).loss)
        assert after.loss == pytest.approx(min(losses))


def test_pruning_by_the_hessian_beats_magnitude_and_keeps_what_it_must():
    layer = problem(7, rows=8, columns=20)
    always = np.zeros((8, 20), dtype=bool)
    always[:, 3] = True
    found = prune_path(layer, [160, 100, 60, 30, 8], always)
    assert [int(p.mask.sum()) for p in found] == [160, 100, 60, 30, 8]
    assert all(p.mask[:, 3].all() for p in found)
    flat = np.abs(layer.weight).reshape(-1)
    magnitude = (flat >= np.sort(flat)[-60]).reshape(8, 20)
    assert found[2].loss < 0.7 * layer.loss(np.where(magnitude, layer.weight, 0))


@pytest.mark.parametrize("seed", range(3))
def test_compensated_rounding_beats_plain_rounding(seed):
    print("seed", seed)
    layer = problem(seed, rows=12, columns=16)
    book = Codebook.nearest([-1.5, -0.5, 0.5, 1.5])
    whole = Pruned(np.ones((12, 16), dtype=bool), layer.weight, 0.0)
    [found] = quantize_rows(layer, whole, [book])
    assert np.isin(found, book.levels).all()
    assert layer.loss(found) < layer.loss(book.quantize(layer.weight))
    # With independent inputs nothing can be made up for.
    plain = Layer(layer.weight, np.eye(16)[None], layer.worth)
    assert np.array_equal(quantize_rows(plain, whole, [book])[0], book.quantize(layer.weight))


@pytest.mark.parametrize("seed", range(3))
def test_each_rounding_is_followed_by_the_best_weights_behind_it(seed):
    print("seed", seed)
    layer = problem(seed, rows=4, columns=8, groups=2)
    mask = np.random.default_rng(seed).random((4, 8)) < 0.7
    mask[0] = False
    books = [Codebook.nearest([-0.7, 0.6]), Codebook.nearest([-1.5, -0.5, 0.5, 1.5])]
    found = quantize_rows(layer, solve_rows(layer, mask), books)
    for book, values in zip(books, found, strict=True):
        assert (values[~mask] == 0).all()
        for row in range(4):
            hessian, weight = layer.of_row(row), layer.weight[row]
            free = sorted(np.flatnonzero(mask[row]), key=lambda i: -hessian[i, i])
            fixed = np.zeros(8)
            while free:
                error = hessian[free] @ (weight - fixed)
                best = np.linalg.solve(hessian[np.ix_(free, free)], error)
                fixed[free[0]] = book.quantize(best[:1])[0]
                free = free[1:]
            assert np.allclose(values[row], fixed)


@pytest.mark.parametrize("groups", [1, 3])
def test_the_hessian_is_that_of_the_outputs(groups):
    network = mobile_network()
    layer = network.convs[0] if groups == 1 else None
    rng = np.random.default_rng(0)
    if layer is None:
        from float_networks import conv

        layer = conv(rng, "d", "input", 6, 3, groups=3, stride=2)
    x = torch.from_numpy(rng.normal(size=(4, 3, 8, 8))).float()
    change = rng.normal(size=layer.weight.shape).astype(np.float32)
    y = torch.nn.functional.conv2d(
        torch.nn.functional.pad(x, [layer.padding[i] for i in (2, 3, 0, 1)]),
        torch.from_numpy(change),
        stride=layer.stride,
        groups=layer.groups,
    )
    wrong = torch.from_numpy(rng.normal(size=y.shape)).float()
    sums = InputSums.empty(layer)
    for part in (slice(0, 1), slice(1, 4)):
        sums.add(x[part], layer, error=wrong[part])
    rows = change.reshape(len(change), -1).astype(np.float64)
    free = y.double() - y.double().mean(dim=(0, 2, 3), keepdim=True)
    own = wrong.double() - wrong.double().mean(dim=(0, 2, 3), keepdim=True)
    cross = 2 * (own * free).sum(dim=(0, 2, 3)).numpy()
    for row in range(len(change)):
        group = row * groups // len(change)
        energy = 2 * float((y[:, row].double() ** 2).sum())
        assert rows[row] @ sums.second[group] @ rows[row] == pytest.approx(energy, rel=1e-4)
        # A bias takes the mean off.
        energy = 2 * float((free[:, row] ** 2).sum())
        assert rows[row] @ sums.centred()[group] @ rows[row] == pytest.approx(energy, rel=1e-4)
        assert sums.towards()[row] @ rows[row] == pytest.approx(cross[row], rel=1e-3, abs=1e-3)
    hessian = sums.centred() + np.eye(rows.shape[1])
    for row, found in enumerate(solved(hessian, rows)):
        assert np.allclose(found @ hessian[row * groups // len(change)], rows[row])


def test_codebooks_of_whole_numbers():
    book = Codebook.nearest([-0.31, -0.001, 0.0004, 0.27])
    found = whole(book, 0.01)
    assert np.allclose(found.levels, [-0.31, 0, 0.27])
    own = whole(book, None).levels / (0.31 / 127)
    assert np.allclose(own, [-127, 0, 111])
    assert np.array_equal(whole(book, 1.0).levels, [0])


@pytest.mark.parametrize("budget", ["rom=14000", "payload=4000", "blocks=4"])
def test_budgets_are_met_without_training(budget):
    result = compressed("oneshot", budget=budget, images=128)
    basis, _, limit = budget.partition("=")
    assert result.quantized is not None
    assert rom_cost(result.quantized, ENGINE).size(basis, DEVICE) <= int(limit)
    data = digits()
    logits = torch_logits(result.quantized, data.test.images)
    assert np.array_equal(logits, Simulator(result.quantized).logits(data.test.images))
    before = evaluate(small_network(), data.test.images, data.test.labels)
    assert (logits.argmax(1) == data.test.labels).mean() > before - 0.12
    again = compressed("oneshot", budget=budget, images=128)
    for a, b in zip(result.layers, again.layers, strict=True):
        assert a.weight.tobytes() == b.weight.tobytes()


@pytest.mark.parametrize("make", [residual_network, mobile_network])
def test_graphs_of_every_kind(make):
    rng = np.random.default_rng(0)
    network = make()
    images = rng.integers(0, 256, (240, 3, 8, 8), dtype=np.uint8)
    labels = predict(FloatModule(network), images).argmax(1).numpy()
    parts = [Split(images[at : at + 80], labels[at : at + 80]) for at in (0, 80, 160)]
    engine = EngineConfig(groups=True, residuals=True, codebook_addr_bits=12)
    job = Job(network, Dataset("noise", *parts, 255, 4), engine, DEVICE)
    result = compress_with(job, configure("oneshot", budget="rom=16000", images=64))
    assert rom_cost(result.quantized, engine).rom <= 16_000
    assert (torch_logits(result.quantized, images).argmax(1) == labels).mean() > 0.5


def test_inputs_that_never_change_are_no_fault():
    print("seed 0")
    rng = np.random.default_rng(0)
    first = conv(rng, "a", INPUT, 12, 3)
    blank = np.zeros_like(first.weight)
    levels = rng.uniform(0.1, 1, 12).astype(np.float32)
    last = conv(rng, "fc", "a", 4, 12, kernel=8, padding=(0, 0, 0, 0), relu=False)
    layers = (replace(first, weight=blank, bias=levels), last)
    network = FloatNetwork("constant", (3, 8, 8), 255, (0.0,), (0.25,), layers)
    images = rng.integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
    part = Split(images, rng.integers(0, 4, 40))
    job = Job(network, Dataset("noise", part, part, part, 255, 4), ENGINE, DEVICE)
    found = compress_with(job, configure("oneshot", budget="rom=9000", images=40))
    assert all(np.isfinite(layer.weight).all() for layer in found.network.convs)


def test_a_curve_is_what_its_points_are():
    options = {"images": 64}
    configs = [configure("oneshot", budget=f"rom={limit}", **options) for limit in (16000, 12000)]
    whole_curve = oneshot_curve(Job(small_network(), digits(), ENGINE, DEVICE), configs)
    for config, found in zip(configs, whole_curve, strict=True):
        alone = compressed("oneshot", budget=config.budget, **options)
        assert found.options == alone.options
        for a, b in zip(found.layers, alone.layers, strict=True):
            assert a.weight.tobytes() == b.weight.tobytes()
    other = configure("oneshot", budget="rom=12000", images=32)
    with pytest.raises(SqhwError, match="must be alike but for the limit"):
        next(oneshot_curve(Job(small_network(), digits(), ENGINE, DEVICE), [configs[0], other]))


def test_an_infeasible_budget_names_the_least():
    message = r"^budget rom=100 is too small for network 'small'; the smallest .*rom=\d+$"
    with pytest.raises(SqhwError, match=message):
        compressed("oneshot", budget="rom=100", images=32)
    with pytest.raises(SqhwError, match=r"^images must be at least 1, not 0$"):
        configure("oneshot", images=0)
