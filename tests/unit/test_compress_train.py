"""Training networks of the zoo."""

import numpy as np
import pytest

from sqhw.compress import TrainSettings, evaluate, train
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


def test_another_seed_gives_another_network(data):
    one, two = (
        train("digits-cnn", data, settings=TrainSettings(epochs=1, batch=512, seed=seed))
        for seed in (0, 1)
    )
    assert not np.array_equal(one.convs[0].weight, two.convs[0].weight)


def test_unfit_names_and_data_are_refused(data):
    with pytest.raises(SqhwError, match=r"^unknown network 'lenet5'; did you mean 'lenet5-caffe'"):
        train("lenet5", data)
    with pytest.raises(
        SqhwError, match=r"^network 'lenet5-caffe' takes images of shape \(1, 28, 28\), data set"
    ):
        train("lenet5-caffe", data)
    few = Dataset("few", data.train, data.validation, data.test, 16, 5)
    with pytest.raises(SqhwError, match=r"^network 'digits-cnn' has 10 outputs, data set 'few'"):
        train("digits-cnn", few)
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
