"""A user's own data from the command line: pictures in class folders, and arrays."""

import json

import numpy as np
import pytest
from command_line import run
from PIL import Image
from sklearn import datasets

from sqhw.compress import load_float

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="module")
def digits():
    """Return scikit-learn's digits as bytes of 0 to 240, and their labels."""
    bunch = datasets.load_digits()
    return (bunch.images * 15).astype(np.uint8), bunch.target.astype(np.int64)


@pytest.fixture
def pictures(digits, tmp_path, monkeypatch):
    """Return a folder with 500 digits as PNG files in class folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my digits"
    for index, (image, label) in enumerate(zip(*(part[:500] for part in digits), strict=True)):
        place = folder / NAMES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index:04}.png")
    return folder


def result(monkeypatch, capsys, *arguments):
    """Run a command that must succeed; return its result."""
    code, out, err = run(monkeypatch, capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_pictures_are_trained_quantized_and_simulated(monkeypatch, capsys, pictures):
    data = ("--data", f"folder:{pictures}")
    before = sorted(pictures.rglob("*"))
    trained = result(
        monkeypatch, capsys, "train", *data, "--network", "digits-cnn", "--epochs", "6",
        "--out", "float.safetensors",
    )  # fmt: skip
    assert trained["class_names"] == sorted(NAMES)
    assert trained["test_accuracy"] > 0.8
    network = load_float("float.safetensors")
    assert network.input_max == 255
    assert network.metadata["data"] == "folder my digits"
    assert json.loads(network.metadata["class_names"]) == sorted(NAMES)
    result(
        monkeypatch,
        capsys,
        "quantize",
        "float.safetensors",
        *data,
        "--device",
        "LFE5U-85F",
        "--out",
        "net.safetensors",
    )
    simulated = result(
        monkeypatch, capsys, "simulate", "net.safetensors", *data, "--float", "float.safetensors"
    )
    assert simulated["images"] == 100
    assert simulated["images_that_differ"] == 0
    assert simulated["float_accuracy"] == pytest.approx(trained["test_accuracy"])
    assert abs(simulated["simulator_accuracy"] - simulated["float_accuracy"]) <= 0.05
    assert sorted(pictures.rglob("*")) == before
