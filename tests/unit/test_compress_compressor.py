"""Compression end to end on a small network and made-up images."""

import re
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from float_networks import mobile_network, residual_network
from torch import nn

from sqhw.compiler.program import compile_network
from sqhw.compress import (
    CompressSettings,
    Job,
    compress,
    evaluate,
    import_module,
    torch_logits,
)
from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.choice.rounds import Rounds
from sqhw.compress.methods.objective import Objective
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.integers import acc_limit
from sqhw.compress.qat.invariants import check_invariants, frozen
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.training.samples import silent
from sqhw.cost_models.budget import Budget
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_cost
from sqhw.data import Dataset, Split
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.sim.simulator import Simulator

ENGINE = EngineConfig()
DEVICE = find_device("iCE40UP5K")
QUICK = CompressSettings(epochs=8, rounds=4, batch=32)


def stripes(count, seed):
    """Return images with a bright row or column; its place is the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    images = rng.integers(0, 60, (count, 1, 6, 6))
    for image, label in zip(images, labels, strict=True):
        at = 1 + 3 * (label % 2)
        if label < 2:
            image[0, at] += 150
        else:
            image[0, :, at] += 150
    return Split(images.astype(np.uint8), labels.astype(np.int64))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Keep small operations from waiting for a core that another program holds."""
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def data():
    return Dataset("stripes", stripes(300, 0), stripes(100, 1), stripes(100, 2), 255, 4)


@pytest.fixture(scope="module")
def network(data):
    """Return a trained network with a normalisation, signed and unsigned activations."""
    print("seed 0")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.ReLU(),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(48, 16),
            nn.ReLU(),
            nn.Linear(16, 4),
        )
        x = (torch.from_numpy(data.train.images).float() / 255 - 0.2) / 0.3
        labels = torch.from_numpy(data.train.labels)
        optimizer = torch.optim.Adam(module.parameters(), 5e-3)
        for _ in range(60):
            loss = nn.functional.cross_entropy(module(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network = import_module(module, (1, 6, 6), name="stripes", mean=[0.2], std=[0.3])
    assert evaluate(network, data.test.images, data.test.labels) > 0.97
    return network


def projected(network):
    """Return a model with the larger weights on eight values, its masks fixed."""
    model = QatNetwork(network)
    for layer in model.layers():
        weight = layer.weight.detach().numpy()
        top = float(np.abs(weight).max())
        layer.set_projection(np.abs(weight) > 0.2 * top, np.linspace(-top, top, 8))
        layer.freeze()
    return model


def run(network, data, budget, engine=ENGINE, progress=silent, resume=None, **changes):
    job = Job(network, data, engine, DEVICE, progress=progress, resume=resume)
    return compress(job, Budget.parse(budget), settings=replace(QUICK, **changes))


@pytest.mark.parametrize("budget", ["rom=7000", "stream=4000", "payload=1500", "blocks=3"])
def test_the_budget_is_met_and_the_network_still_works(network, data, budget):
    small = run(network, data, budget)
    limit = Budget.parse(budget)
    assert rom_cost(small, ENGINE).size(limit.basis, DEVICE) <= limit.limit
    logits = torch_logits(small, data.test.images)
    assert np.array_equal(logits, Simulator(small).logits(data.test.images))
    assert (logits.argmax(1) == data.test.labels).mean() > 0.9
    formats = small.formats()
    for layer in small.convs:
        assert layer.acc_bound(formats[layer.source]).max() <= acc_limit(ENGINE)
        assert layer.multiplier.max() < 1 << ENGINE.mult_bits
    assert small.metadata["budget"] == budget
    assert 0.9 < float(small.metadata["validation_accuracy"]) <= 1


def test_same_seed_same_network(network, data):
    first, second = (run(network, data, "rom=7000") for _ in range(2))
    assert first.metadata == second.metadata
    for a, b in zip(first.convs, second.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)
        assert (a.stream, a.codebook, a.output_scale) == (b.stream, b.codebook, b.output_scale)


EVENTS = [*(("prune", n) for n in range(1, 15)), *(("tune", n) for n in range(1, 3))]


@pytest.fixture(scope="module")
def uninterrupted(network, data):
    """Return a function from the precision to job, settings and network of a run."""

    @cache
    def found(precision):
        settings = replace(QUICK, epochs=16, precision=precision)
        job = Job(network, data, ENGINE, DEVICE)
        return job, settings, compress(job, Budget("rom", 7000), settings=settings)

    return found


@pytest.mark.parametrize(
    ("precision", "event"), [*(("float32", event) for event in (0, 6, 13, 14)), ("bf16", 6)]
)
def test_an_interrupted_run_ends_in_the_same_network(uninterrupted, tmp_path, precision, event):
    plain, settings, whole = uninterrupted(precision)
    stop = EVENTS[event]
    budget = Budget("rom", 7000)
    job = replace(plain, resume=tmp_path / "run.ckpt")

    def interrupt(stage, done, total, detail):
        if (stage, done) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(replace(job, progress=interrupt), budget, settings=settings)
    seen = []
    noting = replace(job, progress=lambda *event: seen.append(event[:2]))
    resumed = compress(noting, budget, settings=settings)
    assert seen == [("resumed", stop[1]), *EVENTS[EVENTS.index(stop) + 1 :]]
    assert resumed.metadata == whole.metadata
    for a, b in zip(resumed.convs, whole.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)
    with pytest.raises(SqhwError, match=r"run.ckpt is the checkpoint of another run"):
        compress(job, budget, settings=replace(settings, seed=1))


def test_weights_are_on_codebooks_before_the_last_projection_of_a_short_run(
    network, data, monkeypatch
):
    seen = []
    honest = Rounds.project

    def project(self):
        seen.append({layer.share for layer in self.model.layers()})
        honest(self)

    monkeypatch.setattr(Rounds, "project", project)
    run(network, data, "rom=7000", epochs=2)
    assert len(seen) == QUICK.rounds + 1
    assert seen[-1] == {1.0}
    assert seen[0] == {0.0}


def test_few_steps_are_noted(network, data):
    few = run(network, data, "rom=7000", epochs=2).metadata["notes"]
    assert few.startswith("10 steps with free masks are few: more epochs (--epochs) would keep")
    enough = run(network, data, "rom=7000", epochs=23)  # 21 of 10 steps each
    assert "free masks" not in enough.metadata.get("notes", "")


def test_a_loss_that_is_not_finite_stops_and_leaves_the_checkpoint(
    network, data, tmp_path, monkeypatch
):
    checkpoint = tmp_path / "run.ckpt"
    honest = Objective.loss
    calls = []

    def loss(self, model, chosen):
        calls.append(1)
        return honest(self, model, chosen) * (float("nan") if len(calls) == 23 else 1.0)

    monkeypatch.setattr(Objective, "loss", loss)
    with pytest.raises(
        SqhwError,
        match=r"^network 'stripes': the loss is not finite in stage 'prune', epoch 3, step 23; "
        r"take a lower learning rate \(rate, --rate\) than [0-9.]+; .*run.ckpt holds the last "
        r"good epoch, and resumes with the lower rate from it$",
    ):
        run(network, data, "rom=7000", resume=checkpoint)
    monkeypatch.undo()
    seen = []

    def progress(*event):
        seen.append(event[:2])

    lower = {"rate": 1e-3}
    slower = run(network, data, "rom=7000", progress=progress, resume=checkpoint, **lower)
    assert seen[:2] == [("resumed", 2), ("prune", 3)]
    assert "rate 0.005 up to epoch 2 of stage 'prune', 0.001 after it" in slower.metadata["notes"]
    with pytest.raises(
        SqhwError, match=r"run.ckpt holds a run that has ended, at rate 0.001, not 0.005; remove it"
    ):
        run(network, data, "rom=7000", resume=checkpoint)


def test_masks_and_codebooks_that_change_are_found(network, data):
    model = projected(network)
    calibrate(
        model, torch.from_numpy(data.train.images).float(), ENGINE, bias_bits=12, trained=True
    )
    fixed = frozen(model)
    check_invariants(model, fixed)
    layer = model.layers()[1]
    with pytest.raises(AssertionError, match=r"values, 2 were paid for$"):
        check_invariants(model, [fixed[0], replace(fixed[1], values=2), *fixed[2:]])
    with torch.no_grad():
        layer.mask.view(-1)[int(torch.argmin(layer.mask.view(-1)))] = 1
    with pytest.raises(
        AssertionError, match=rf"^layer '{layer.layer.name}': the mask has changed$"
    ):
        check_invariants(model, fixed)


@pytest.mark.parametrize("basis", ["payload", "stream", "rom"])
def test_too_small_a_budget_names_the_smallest_and_that_one_does(network, data, basis):
    with pytest.raises(
        SqhwError,
        match=rf"^budget {basis}=3 is too small for network 'stripes'; "
        rf"the smallest that is sure to do is {basis}=\d+$",
    ) as caught:
        run(network, data, f"{basis}=3")
    least = int(str(caught.value).rpartition("=")[2])
    small = run(network, data, f"{basis}={least}", epochs=3)
    assert rom_cost(small, ENGINE).size(basis, DEVICE) <= least
    if basis == "payload":
        assert re.search(
            r"(?m)^layer '\w+': the budget would have emptied it; it keeps one weight for each",
            small.metadata["notes"],
        )


def test_a_mean_and_padding_need_an_input_stage(network, data):
    first = replace(network.layers[0], padding=(1, 1, 1, 1))
    second = replace(network.layers[1], padding=(0, 0, 0, 0))
    padded = replace(network, layers=(first, second, *network.layers[2:]))
    small = run(padded, data, "rom=9000", engine=replace(ENGINE, groups=True))
    assert small.layers[0].name == "normalised"
    logits = torch_logits(small, data.test.images)
    assert np.array_equal(logits, Simulator(small).logits(data.test.images))


def test_an_engine_without_groups_is_refused_before_training():
    part = Split(np.zeros((4, 3, 8, 8), np.uint8), np.zeros(4, np.int64))
    with pytest.raises(SqhwError, match=r"^layer 'normalised': has 3 groups, .* set groups$"):
        run(mobile_network(), Dataset("blank", part, part, part, 255, 4), "rom=9000")


@pytest.mark.parametrize(
    "make", [residual_network, partial(residual_network, std=(0.2, 0.3, 0.2)), mobile_network]
)
def test_graphs_are_compressed(make):
    print("seed 0")
    rng = np.random.default_rng(0)
    float_network = make()
    images = rng.integers(0, 256, (360, 3, 8, 8), dtype=np.uint8)
    labels = predict(FloatModule(float_network), images).argmax(1).numpy()  # what it can learn
    parts = [Split(images[at : at + 120], labels[at : at + 120]) for at in (0, 120, 240)]
    noise = Dataset("noise", *parts, 255, 4)
    engine = replace(ENGINE, groups=True, residuals=True)
    small = compress(
        Job(float_network, noise, engine, DEVICE),
        Budget("rom", 13_000),
        settings=replace(QUICK, epochs=4, flip=True, shift=1),
    )
    assert rom_cost(small, engine).rom <= 13_000
    logits = torch_logits(small, images)
    assert np.array_equal(logits, Simulator(small).logits(images))
    assert len(np.unique(logits)) > 8
    compile_network(small, engine)


def test_data_of_another_shape_is_refused(network, data):
    with pytest.raises(SqhwError, match=r"^network 'stripes' takes images of shape \(1, 7, 7\)"):
        run(replace(network, input_shape=(1, 7, 7), layers=network.layers[:1]), data, "rom=7000")


def test_progress_is_reported_stage_by_stage(network, data):
    seen = []
    run(network, data, "rom=7000", progress=lambda *event: seen.append(event[:3]))
    assert seen == [*(("prune", n, 7) for n in range(1, 8)), ("tune", 1, 1)]


@pytest.mark.parametrize("acc_bits", [16, 24, 32])
def test_the_integer_model_computes_what_it_exports(network, data, acc_bits):
    engine = EngineConfig(acc_bits=acc_bits)
    model = projected(network)
    calibrate(
        model, torch.from_numpy(data.train.images).float(), engine, bias_bits=12, trained=True
    )
    exported = export(model, engine, {})
    plan = model.layers()[-1].plan
    whole = predict(model, data.test.images) / plan.output_scale
    assert np.array_equal(torch.round(whole).numpy(), torch_logits(exported, data.test.images))
    formats = exported.formats()
    for layer in exported.convs:
        assert layer.acc_bound(formats[layer.source]).max() < 1 << (acc_bits - 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 1}, r"^epochs must be at least 2, not 1$"),
        ({"rate": 0.0}, r"^rate must be above 0 and at most 1, not 0.0; it is relative"),
        ({"rate": 1.5}, r"^rate must be above 0 and at most 1, not 1.5; "),
        ({"rate": float("nan")}, r"^rate must be above 0 and at most 1, not nan; "),
        ({"temperature": 0.0}, r"^temperature must be positive and finite, not 0.0$"),
        ({"shift": -1}, r"^shift must be at least 0, not -1$"),
        ({"bias_bits": 3}, r"^bias_bits must be 4 to 16, not 3$"),
    ],
)
def test_settings_are_checked(change, message):
    with pytest.raises(SqhwError, match=message):
        CompressSettings(**change)
