"""Training networks of the zoo."""

import platform
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.compression import cut
from sqhw.compress import TrainSettings, evaluate, train
from sqhw.compress.training import memory, precision
from sqhw.compress.training.samples import flipped, shifted
from sqhw.data import Dataset, load_dataset
from sqhw.errors import SqhwError


@pytest.fixture(scope="module")
def data():
    return load_dataset("digits")


def test_a_few_epochs_learn_and_repeat_to_the_bit(data):
    print("seed 3")
    settings = TrainSettings(epochs=4, seed=3)
    events = []
    first = train("digits-cnn", data, settings=settings, progress=lambda *e: events.append(e[:3]))
    second = train("digits-cnn", data, settings=settings)
    assert events == [("train", n, 4) for n in range(1, 5)]
    assert first.metadata == second.metadata
    for a, b in zip(first.convs, second.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)
    held = evaluate(first, data.validation.images, data.validation.labels)
    assert held == pytest.approx(float(first.metadata["float_validation_accuracy"]), abs=1e-6)
    assert held > 0.8


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_an_interrupted_training_ends_in_the_same_network(data, tmp_path, optimizer):
    print("seed 2")
    settings = TrainSettings(epochs=4, seed=2, optimizer=optimizer, precision="bf16")
    checkpoint = tmp_path / "train.ckpt"

    def interrupt(stage, done, total, detail):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("digits-cnn", data, settings=settings, progress=interrupt, resume=checkpoint)
    events = []
    resumed = train(
        "digits-cnn",
        data,
        settings=settings,
        progress=lambda *e: events.append(e[:2]),
        resume=checkpoint,
    )
    assert events == [("resumed", 2), ("train", 3), ("train", 4)]
    whole = train("digits-cnn", data, settings=settings)
    assert resumed.metadata == whole.metadata
    for a, b in zip(resumed.convs, whole.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)
    other = TrainSettings(epochs=4, seed=3, optimizer=optimizer, precision="bf16")
    with pytest.raises(SqhwError, match=r"train.ckpt is the checkpoint of another run"):
        train("digits-cnn", data, settings=other, resume=checkpoint)


def test_a_training_goes_on_from_a_cut_checkpoint(data, tmp_path):
    settings = TrainSettings(epochs=4, seed=3)
    path, small = tmp_path / "train.ckpt", tmp_path / "small.ckpt"

    def stop(stage, done, *rest):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("digits-cnn", data, settings=settings, resume=path, progress=stop)
    done = CliRunner().invoke(cut.app, [str(path), str(small)])
    assert done.exit_code == 0, done.output
    size, events = small.stat().st_size, []
    found = train(
        "digits-cnn", data, settings=settings, resume=small, progress=lambda *e: events.append(e)
    )
    assert [event[:2] for event in events] == [("resumed", 3), ("train", 4)]
    assert found.convs[0].weight.dtype == np.float32
    assert evaluate(found, data.validation.images, data.validation.labels) > 0.8
    weights = sum(layer.weight.size + 3 * layer.bias.size for layer in found.convs)
    assert size < 2 * weights + 15_000  # names, generator and header
    done = CliRunner().invoke(cut.app, [str(tmp_path / "none"), str(small)])
    assert done.exit_code == 1
    assert done.output.startswith("benchmarks.compression.cut: ")


def test_sgd_learns_too_and_its_settings_are_checked(data):
    print("seed 0")
    found = train("digits-cnn", data, settings=TrainSettings(epochs=6, optimizer="sgd"))
    assert evaluate(found, data.validation.images, data.validation.labels) > 0.8
    with pytest.raises(SqhwError, match=r"^unknown optimizer 'sdg'; did you mean 'sgd'"):
        TrainSettings(optimizer="sdg")
    with pytest.raises(SqhwError, match=r"^unknown precision 'bf61'; did you mean 'bf16'"):
        TrainSettings(precision="bf61")


def test_auto_takes_bf16_for_large_sets_where_the_processor_multiplies_it(monkeypatch):
    import torch

    device = torch.device("cpu")
    for fast in (False, True):
        monkeypatch.setattr(precision, "has_fast_bf16", lambda device, fast=fast: fast)
        assert precision.products("auto", device, small=True) is torch.float32
        large = precision.products("auto", device, small=False)
        assert large is (torch.bfloat16 if fast else torch.float32)
        assert precision.products("bf16", device, small=True) is torch.bfloat16
        assert precision.products("float32", device, small=False) is torch.float32


@pytest.mark.parametrize(("share", "fast"), [(0.5, True), (0.95, False), (1.3, False)])
def test_bf16_is_fast_where_a_convolution_takes_clearly_less_time_in_it(monkeypatch, share, fast):
    import torch

    times = {torch.float32: 1.0, torch.bfloat16: share}
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(precision, "convolution_time", times.__getitem__)
    precision._measured_faster.cache_clear()
    assert precision.has_fast_bf16(torch.device("cpu")) is fast
    precision._measured_faster.cache_clear()


def test_processors_without_bf16_are_not_measured(monkeypatch):
    import torch

    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    monkeypatch.delattr(precision, "convolution_time")
    assert not precision.has_fast_bf16(torch.device("cpu"))


def test_both_formats_are_timed_by_a_convolution_with_its_gradients():
    import torch

    assert 0 < precision.convolution_time(torch.float32) < 1
    assert 0 < precision.convolution_time(torch.bfloat16) < 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries are left alone")
def test_a_training_keeps_the_memory_that_its_steps_free():
    # Another process: the options stay for the rest of it.
    code = (
        "import resource, torch; from sqhw.compress.training import memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(20): [torch.zeros(1 << 21) for _ in range(8)]\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "usual = faults(); assert memory.keep_freed_memory(); faults(); print(faults() < usual / 4)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_without_such_a_library_memory_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed_memory()


def test_another_seed_gives_another_network(data):
    one, two = (
        train("digits-cnn", data, settings=TrainSettings(epochs=1, batch=512, seed=seed))
        for seed in (0, 1)
    )
    assert not np.array_equal(one.convs[0].weight, two.convs[0].weight)


def test_a_network_has_an_output_for_each_class(data):
    parts = (of_classes(part, 3) for part in (data.train, data.validation, data.test))
    few = Dataset("few", *parts, input_max=16, classes=3)
    network = train("digits-cnn", few, settings=TrainSettings(epochs=1))
    assert network.shapes()[network.layers[-1].name] == (3, 1, 1)
    assert evaluate(network, few.test.images, few.test.labels) > 0.8


def of_classes(part, classes):
    """Return the images of a part whose label is below `classes`."""
    return part.take(np.flatnonzero(part.labels < classes))


def test_unfit_names_and_data_are_refused(data):
    with pytest.raises(SqhwError, match=r"^unknown network 'lenet5'; did you mean 'lenet5-caffe'"):
        train("lenet5", data)
    with pytest.raises(
        SqhwError, match=r"^network 'lenet5-caffe' takes images of shape \(1, 28, 28\), data set"
    ):
        train("lenet5-caffe", data)
    with pytest.raises(SqhwError, match=r"^epochs must be at least 1, not 0$"):
        TrainSettings(epochs=0)


def test_shifts_move_by_one_pixel_and_fill_with_zeros():
    import torch

    image = torch.arange(1.0, 10).view(1, 1, 3, 3)
    generator = torch.Generator().manual_seed(0)
    moved = shifted(image.expand(200, 1, 3, 3), 1, generator)
    padded = torch.nn.functional.pad(image, (1,) * 4)
    allowed = {
        tuple(padded[0, 0, y : y + 3, x : x + 3].flatten().tolist())
        for y in range(3)
        for x in range(3)
    }
    found = {tuple(part.flatten().tolist()) for part in moved}
    assert found == allowed
    assert float((moved == image).all(dim=(1, 2, 3)).double().mean()) > 0.4


def test_flips_mirror_half_of_the_images():
    import torch

    images = torch.arange(6.0).view(1, 1, 2, 3).expand(200, 1, 2, 3)
    found = flipped(images, torch.Generator().manual_seed(0))
    mirrored = (found == images.flip(3)).all(dim=(1, 2, 3))
    assert (mirrored | (found == images).all(dim=(1, 2, 3))).all()
    assert 60 < int(mirrored.sum()) < 140
