"""The interface of the compression methods: results, resuming, bad input."""

import math
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
import torch
from method_cases import DEVICE, ENGINE, QUICK, compressed, digits, small_network
from safetensors.torch import load_file

from sqhw.compress import CompressSettings, TrainSettings, evaluate, torch_logits
from sqhw.compress.methods import METHODS, CompressionResult, Recipe, compress_with, configure
from sqhw.compress.methods.accounting import account
from sqhw.compress.methods.base import run_key
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.oneshot import OneshotConfig
from sqhw.compress.methods.run import Run
from sqhw.compress.quantizers import (
    QUANTIZERS,
    ApotQuantizer,
    EntropyConstrainedQuantizer,
    KMeansQuantizer,
    LeastSquaresBinaryQuantizer,
    QuantizationNetwork,
    TernaryQuantizer,
    UniformMeansQuantizer,
    UniformQuantizer,
)
from sqhw.compress.training.loop import run_stages
from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.sim.simulator import Simulator

SHARE = Recipe(epochs=1, rate=1e-4, batch=64)
OPTIONS = {
    "sql": {"nonzeros": 0.2, "bits": 3.0, "warmup": 0, "rate": 0.02, "finetune": SHARE},
    "deep-compression": {"density": 0.3, "rounds": 2, "share": SHARE},
    "ecsq": {"density": 0.3, "share": SHARE},
    "sqs": {"budget": 1.5},
    "structured": {"density": 0.6, "share": SHARE},
    "low-rank": {"rank": 0.3, "share": SHARE},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with torch_threads(1):
        yield


class Stopped(Exception):
    """Stands for a lost machine."""


def stop_at(count):
    """Return a progress callback that raises behind the epoch of that number."""
    seen = []

    def progress(*event):
        seen.append(event)
        if len(seen) == count:
            raise Stopped

    return progress


def equal(a: CompressionResult, b: CompressionResult):
    """Assert that two results are the same to the last bit."""
    assert a.history == b.history
    assert a.validation_accuracy == b.validation_accuracy
    for x, y in zip(a.layers, b.layers, strict=True):
        assert x.weight.tobytes() == y.weight.tobytes()
    for x, y in zip(a.network.convs, b.network.convs, strict=True):
        assert x.bias.tobytes() == y.bias.tobytes()


@pytest.mark.parametrize("method", OPTIONS)
def test_a_result_keeps_its_promises(method):
    result = compressed(method, **QUICK, **OPTIONS[method])
    data = digits()
    assert result.method == method
    assert result.options["recipe"]["batch"] == 64
    # What the history says of its best epoch is what the network does.
    found = evaluate(result.network, data.validation.images, data.validation.labels)
    assert result.validation_accuracy == pytest.approx(found)
    rows = [row["validation_accuracy"] for row in result.history if "validation_accuracy" in row]
    assert result.validation_accuracy >= max(rows)
    for layer, conv in zip(result.layers, result.network.convs, strict=True):
        assert np.array_equal(layer.weight, conv.weight)
        assert layer.nonzeros > 0
        if method != "low-rank":  # which spreads a layer over several
            assert layer.nonzeros <= layer.weights_before
        assert len(layer.levels) <= 1 << layer.bits
    # The integers are those weights in steps of 1/127 of the largest, and the simulator runs them.
    assert result.quantized is not None, result.reason
    logits = torch_logits(result.quantized, data.test.images)
    assert np.array_equal(logits, Simulator(result.quantized).logits(data.test.images))
    accuracy = (logits.argmax(1) == data.test.labels).mean()
    real = evaluate(result.network, data.test.images, data.test.labels)
    assert accuracy == pytest.approx(real, abs=0.03)


def stoppable(method):
    """Return options with which the last stage has two epochs; of ``sqs`` the third that holds."""
    options = {**QUICK, **OPTIONS[method]}
    if method == "sqs":
        return options | {"budget": 4.0, "epochs": 6, "rate": 5e-3}
    last = "finetune" if method == "sql" else "share"
    return options | {last: replace(SHARE, epochs=2)}


@cache
def uninterrupted(method):
    """Return the result of a run that nothing interrupts."""
    return compressed(method, **stoppable(method))


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("epoch", [1, 2, -1])
def test_interrupted_equals_uninterrupted(method, epoch, tmp_path):
    options = stoppable(method)
    whole = uninterrupted(method)
    path = tmp_path / "run.safetensors"
    count = epoch % len(whole.history)  # -1: in the middle of the last stage
    with pytest.raises(Stopped):
        compressed(method, resume=path, progress=stop_at(count), **options)
    equal(compressed(method, resume=path, **options), whole)
    equal(compressed(method, resume=path, **options), whole)  # nothing is left to do


def test_sqs_stopped_while_zones_and_bits_are_held_goes_on_holding(tmp_path):
    options = stoppable("sqs")
    path = tmp_path / "run.safetensors"
    with pytest.raises(Stopped):
        compressed("sqs", resume=path, progress=stop_at(5), **options)
    assert load_file(path)["method.held"].item()
    pressure = [row["pressure"] for row in compressed("sqs", resume=path, **options).history]
    assert pressure[4] == pressure[5]
    assert pressure[2] != pressure[3]


def test_the_joint_compressor_is_one_of_them():
    budget = "rom=9000"
    result = compressed("joint", budget=budget, rounds=2, epochs=2, batch=64)
    assert result.method == result.quantized.metadata["method"] == "joint"
    assert result.quantized is not None
    assert rom_cost(result.quantized, ENGINE).rom <= 9000
    found = account(result, ENGINE, DEVICE)
    assert found.sizes["rom"] == rom_cost(result.quantized, ENGINE).rom
    assert [row.weights for row in found.layers] == [54, 648, 1824, 380]
    assert "integers only" in result.notes[-1]


def test_sqs_prefers_epochs_within_the_budget():
    result = compressed("sqs", budget=1.0, epochs=6, batch=64, rate=5e-3)
    limit = 1.0 * small_network().weights
    sizes = [row["payload"] for row in result.history]
    assert sizes[-1] < 0.5 * sizes[0]  # the pressure works
    payload = sum(layer.nonzeros * layer.bits for layer in result.layers)
    assert payload <= max(limit, min(sizes)) * 1.05


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    compressed("sql", resume=path, **QUICK, **OPTIONS["sql"])
    with pytest.raises(SqhwError, match=r"is the checkpoint of another run .* remove it or name"):
        compressed("sql", resume=path, **QUICK, **(OPTIONS["sql"] | {"bits": 4.0}))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SqhwError, match=r"is damaged or not a checkpoint .* to start anew$"):
        compressed("sql", resume=path, **QUICK, **OPTIONS["sql"])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_epoch(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    options = {**QUICK, **OPTIONS["deep-compression"]}
    events = []
    forward = torch.nn.functional.cross_entropy

    def spoiled(*args, **kwargs):
        loss = forward(*args, **kwargs)
        return loss * float("nan") if len(events) == 1 and loss.requires_grad else loss

    monkeypatch.setattr("sqhw.compress.methods.run.functional.cross_entropy", spoiled)
    with pytest.raises(
        SqhwError,
        match=r"^method 'deep-compression': the loss is not finite in stage 'prune 1', epoch 2, "
        r"step 11; take a lower learning rate; the checkpoint in .* is that of the last good epoch",
    ):
        compressed("deep-compression", resume=path, progress=lambda *e: events.append(e), **options)
    monkeypatch.undo()
    equal(
        compressed("deep-compression", resume=path, **options),
        compressed("deep-compression", **options),
    )


def test_distillation_is_an_option_of_every_loop():
    plain = compressed("deep-compression", density=0.3, **QUICK)
    taught = compressed("deep-compression", density=0.3, distill=0.5, **QUICK)
    assert taught.history[0]["loss"] != plain.history[0]["loss"]
    assert taught.options["recipe"]["distill"] == 0.5


@pytest.mark.parametrize("name", QUANTIZERS)
def test_any_quantizer_serves_any_method(name):
    kind = QUANTIZERS[name]
    bits = min(kind.most_bits, 3)
    quantizer = EntropyConstrainedQuantizer(3, rate=2.0) if name == "ecsq" else kind(bits)
    result = compressed(
        "deep-compression",
        epochs=1,
        batch=200,
        density=0.5,
        conv_bits=bits,
        fc_bits=bits,
        quantizer=quantizer,
        centroids=False,
        share=replace(SHARE, batch=200),
    )
    for layer in result.layers:
        assert len(layer.levels) <= 1 << bits
    assert result.quantized is not None
    assert result.validation_accuracy > 0.3
    if name != "ecsq":
        options = OPTIONS["sql"] | {"quantizer": quantizer, "bits": float(bits)}
        if kind.least_bits <= 2 <= kind.most_bits and kind.most_bits > 2:
            found = compressed("sql", epochs=1, batch=200, **(options | {"least_bits": 2}))
            assert all(layer.nonzeros for layer in found.layers)


def test_too_many_values_for_the_engine_are_told():
    from sqhw.compress.methods.result import integer_network

    with pytest.raises(SqhwError, match=r"^layer 'fc1|^layer .* distinct values, the engine's"):
        integer_network(small_network(), digits().train.images[:20], ENGINE, {})


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("sqll", {}, r"^unknown compression method 'sqll'; did you mean 'sql'\?$"),
        ("sql", {"rhoo": 1}, r"^unknown option of method 'sql' 'rhoo'; did you mean 'rho'\?$"),
        ("sql", {"nonzeros": 0.0}, r"^nonzeros must be above 0 and at most 1, not 0.0$"),
        ("sql", {"bits": 9}, r"^bits must be least_bits, now 1, to 8, not 9$"),
        ("sql", {"optimizer": "sdg"}, r"^unknown optimizer 'sdg'; did you mean 'sgd'\?$"),
        ("sql", {"epochs": -1}, r"^epochs must be at least 0, not -1$"),
        ("sql", {"rate": 0.0}, r"^rate must be positive and finite, not 0.0$"),
        (
            "sql",
            {"epochs": 0},
            r"^epochs of method 'sql' must be at least 1, not 0: without a step",
        ),
        (
            "sql",
            {"quantizer": TernaryQuantizer(), "least_bits": 3},
            r"^least_bits must be at most 2, the most that quantizer 'ternary' has, not 3$",
        ),
        (
            "sql",
            {"quantizer": UniformQuantizer(4)},
            r"^least_bits does not suit: quantizer 'uniform': 1 bit has no room for zero; set zero",
        ),
        (
            "sql",
            {"quantizer": LeastSquaresBinaryQuantizer(2, "ternary"), "least_bits": 2},
            r"^least_bits does not suit: .* method 'ternary' has 2 terms, not 3$",
        ),
        ("deep-compression", {"index_bits": 0}, r"^index_bits must be 1 to 16, not 0$"),
        (
            "deep-compression",
            {"quantizer": ApotQuantizer(3)},
            r"^conv_bits does not suit: quantizer 'apot': bits must be 2 to 5, not 8$",
        ),
        (
            "deep-compression",
            {"quantizer": ApotQuantizer(3), "conv_bits": 4, "fc_bits": 1},
            r"^fc_bits does not suit: quantizer 'apot': bits must be 2 to 5, not 1$",
        ),
    ],
)
def test_bad_options_are_refused(method, options, message):
    with pytest.raises(SqhwError, match=message):
        configure(method, **options)


NUMBERS = [
    *(kind() for kind in METHODS.values()),
    *(kind(rate=1.0) if name == "ecsq" else kind() for name, kind in QUANTIZERS.items()),
    EntropyConstrainedQuantizer(multiplier=1.0),
    UniformMeansQuantizer(width=1.0),
    UniformMeansQuantizer(rate=1.0),
    Recipe(),
    CompressSettings(epochs=2, batch=1),
    TrainSettings(epochs=1, batch=1),
]


@pytest.mark.parametrize("options", NUMBERS, ids=lambda options: type(options).__name__)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1])
def test_numbers_out_of_range_are_refused(options, value):
    for field in fields(options):
        number = type(getattr(options, field.name)) in (int, float)
        if number and field.name != "density":  # which is checked with the layers
            with pytest.raises(SqhwError, match=rf"{field.name}.* {value}"):
                replace(options, **{field.name: value})


def test_no_seed_is_negative_and_no_training_is_without_a_core():
    for kind in (Recipe, CompressSettings, TrainSettings):
        assert kind(seed=0).seed == 0
        with pytest.raises(SqhwError, match=r"^--seed must be 0 to \d+ \(2\^64 - 1\), not -1$"):
            kind(seed=-1)
        with pytest.raises(SqhwError, match=r"^threads must be at least 1, not 0$"):
            kind(threads=0)


def test_a_run_hardens_its_quantizers():
    share = replace(SHARE, epochs=3)
    config = configure(
        "deep-compression",
        conv_bits=3,
        fc_bits=3,
        quantizer=QuantizationNetwork(),
        centroids=False,
        share=share,
        **QUICK,
    )
    run = Run(Job(small_network(), digits(), ENGINE, DEVICE), small_network(), seed=0)
    method = config.method(run)
    run_stages(method)
    for layer in run.model.latent():
        weight = layer.weight.detach()
        hard = layer.quantizer.eval()(weight)
        soft = layer.quantizer.train()(weight)
        assert layer.quantizer.temperature > 90
        assert ((hard - soft).abs() < 0.01 * hard.abs().max()).double().mean() > 0.7


def test_one_shot_runs_the_network_where_the_job_says(monkeypatch):
    seen = []

    class Noted(Run):
        def __init__(self, job, start, seed):
            seen.append(job.accelerator)
            super().__init__(replace(job, accelerator="cpu"), start, seed)

    monkeypatch.setattr("sqhw.compress.methods.oneshot.Run", Noted)
    job = Job(small_network(), digits(), ENGINE, DEVICE, accelerator="cuda")
    OneshotConfig(images=8).compress(job)
    assert seen == ["cuda"]


def test_bad_input_is_refused_before_training():
    network = small_network()
    with pytest.raises(
        SqhwError,
        match=r"^budget of method 'sql' is payload=12, the least feasible for network 'small' is "
        r"payload=1062; raise nonzeros$",
    ):
        compressed("sql", nonzeros=0.0001, bits=3.0, floor=100)
    with pytest.raises(SqhwError, match=r"^layer 'conv1': density|^unknown layer in density"):
        compressed("deep-compression", density={"convx": 0.5})
    job = Job(network, digits(), ENGINE, DEVICE, accelerator="cuda")
    if torch.cuda.is_available():
        pytest.skip("has CUDA")
    with pytest.raises(SqhwError, match=r"^no CUDA device is available"):
        compress_with(job, configure("sql"))


def test_the_key_of_a_run_depends_on_everything():
    job = Job(small_network(), digits(), ENGINE, DEVICE)
    plain = configure("sql")
    train = job.data.train
    other = replace(job.data, train=replace(train, images=255 - train.images))
    first = replace(job.network.layers[0], ceiling=6.0)
    keys = {
        run_key(job, plain),
        run_key(job, configure("sql", seed=1)),
        run_key(job, configure("sql", quantizer=KMeansQuantizer(2))),
        run_key(job, configure("sql", quantizer=UniformQuantizer(4, zero=False))),
        run_key(job, configure("sql", quantizer=ApotQuantizer(4))),
        run_key(job, configure("deep-compression")),
        run_key(replace(job, network=replace(job.network, layers=job.network.layers[:3])), plain),
        run_key(
            replace(job, network=replace(job.network, layers=(first, *job.network.layers[1:]))),
            plain,
        ),
        run_key(replace(job, network=replace(job.network, input_max=254)), plain),
        run_key(replace(job, data=other), plain),
        run_key(replace(job, engine=replace(ENGINE, lanes=2 * ENGINE.lanes)), plain),
        run_key(replace(job, device=replace(DEVICE, name="other")), plain),
        run_key(replace(job, accelerator="cuda"), plain),
    }
    assert len(keys) == 13


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 1}, r"^epochs must be at least 2, not 1$"),
        ({"optimizer": "sgd"}, r"^unknown option of method 'joint' 'optimizer'"),
        ({"warmup": 1}, r"^unknown option of method 'joint' 'warmup'"),
        (
            {"recipe": Recipe(epochs=4)},
            r"^recipe of method 'joint' must be CompressSettings, not Recipe; give its options one",
        ),
    ],
)
@pytest.mark.parametrize("name", ["joint", "hardware"])
def test_the_joint_compressor_refuses_what_it_would_not_use(name, options, message):
    with pytest.raises(SqhwError, match=message):
        configure(name, **options)


def test_hardware_is_the_older_name_of_joint():
    options = {"budget": "rom=9000", "epochs": 6, "rounds": 20, "rate": 1e-3}
    config = configure("hardware", **options)
    assert config == configure("joint", **options)
    assert config.name == "joint"
    assert config.recipe == CompressSettings(epochs=6, rounds=20, rate=1e-3)
    with pytest.raises(SqhwError, match=r"^unknown compression method 'hardwear'; did you mean"):
        configure("hardwear")


def test_methods_are_registered_by_their_names():
    for name, kind in METHODS.items():
        assert kind.name == name
        assert (kind.__doc__ or "").count("\n") > 5
