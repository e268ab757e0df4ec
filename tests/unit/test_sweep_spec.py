"""The file that describes a sweep: what it may hold, and what each mistake is answered with."""

import pytest
from command_line import refuse

from sqhw.cli.sweep import check_option
from sqhw.errors import SqhwError
from sqhw.steps.options import CompressOptions
from sqhw.sweep import parse_spec
from sqhw.sweep.space import Range
from sqhw.sweep.swept import STEPS

SIZE = 'step = "size"\n[options]\nnetwork = "resnet8"\ndevice = "LFE5U-85F"\n'


def points(text):
    return list(parse_spec("test", text).space)


def test_a_product_has_every_combination_once():
    text = 'step = "size"\n[options]\nnetwork = "resnet8"\n[product]\nbits = [2, 3]\n'
    text += 'engine = [{device = "iCEBreaker"}, {device = "LFE5U-85F", batch = 2}]\n'
    fixed = {"network": "resnet8"}
    assert points(text) == [
        fixed | {"bits": bits} | engine
        for bits in (2, 3)
        for engine in ({"device": "iCEBreaker"}, {"device": "LFE5U-85F", "batch": 2})
    ]
    assert parse_spec("test", text).space.size == 4


def test_a_sample_is_the_same_again_and_within_its_ranges():
    text = SIZE + "[search]\npoints = 200\nseed = 3\n[space]\nbatch = [1, 2]\n"
    text += "bits = {low = 2, high = 4}\ndensity = {low = 0.01, high = 1, log = true}\n"
    found = points(text)
    assert found == points(text)
    assert len(found) == 200
    assert {one["bits"] for one in found} == {2, 3, 4}
    assert {one["batch"] for one in found} == {1, 2}
    assert all(0.01 <= one["density"] <= 1 for one in found)
    assert 70 <= sum(one["density"] < 0.1 for one in found) <= 130  # evenly in the logarithm


def test_whole_numbers_of_a_range_are_equally_likely():
    import numpy as np

    generator = np.random.default_rng(0)
    drawn = [Range(1, 3).draw(generator) for _ in range(3000)]
    assert all(900 < drawn.count(value) < 1100 for value in (1, 2, 3))


def test_the_options_are_those_of_the_steps_but_files_that_they_write():
    assert set(STEPS["compress"].keys) == set(CompressOptions.__dataclass_fields__) - {
        "out",
        "resume",
    }
    assert {"out"} & set(STEPS["quantize"].keys) == set()
    assert {"plot", "explore"} & set(STEPS["size"].keys) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "key 'step' is missing"),
        ('step = "train"', "unknown step 'train'"),
        ('step = "size"\n[produkt]\n', "did you mean 'product'?"),
        (SIZE, r"one table, \[product\] of lists or \[space\] of ranges"),
        (SIZE + "[product]\nbitz = [1]\n", "unknown option of size 'bitz'.*'bits'.*allowed: netw"),
        (SIZE + "out = 'x'\n[product]\nbits = [1]\n", "unknown option of size 'out'"),
        (SIZE + "[product]\nbits = 4\n", "product.bits must be a list of values, not 4"),
        (SIZE + "[product]\nbits = []\n", "the space is empty"),
        (SIZE + "[space]\n[search]\npoints = 3\n", "the space is empty"),
        (SIZE + "[product]\nbits = [9]\n", "bits: .*8"),
        (SIZE + "[product]\nbits = [4.0]\n", "bits must be a whole number, not 4.0"),
        (SIZE + "[product]\nbits = ['4']\n", "bits must be a whole number, not '4'"),
        (SIZE + "[product]\ndensity = [0.0]\n", "density: 0 is not above 0 and at most 1"),
        (SIZE + "[product]\nobjective = ['size']\n", "unknown objective 'size'"),
        (SIZE + "[product]\ndevice = ['ECP5']\n", "unknown device 'ECP5'"),
        (SIZE + "[product]\ndevice = ['LFE5U-25F']\n", r"'device' is in \[options\] and in the sp"),
        (SIZE + "[product]\na = [{bits = 2}]\nb = [{bits = 3}]\n", "product.b and product.a both"),
        ('step = "size"\n[product]\nbits = [2]\n', "size needs the option network"),
        ('step = "size"\n[product]\nnetwork = ["vgg16"]\n', "name a device"),
        (SIZE.replace("LFE5U-85F", "all") + "[product]\nbits = [2]\n", "one device, not all"),
        (SIZE + "[space]\nbits = [2]\n", "key 'points' is missing"),
        (SIZE + "[search]\npoints = 0\n[space]\nbits = [2]\n", "must be 1 or more, not 0"),
        (SIZE + "[search]\npoints = 1\nsampler = 'x'\n[space]\nbits = [2]\n", "random or optuna"),
        (SIZE + "[search]\npoints = 1\n[space]\nbits = {low = 3, high = 2}\n", "low 3 must not be"),
        (SIZE + "[search]\npoints = 1\n[space]\nbits = {low = 3, top = 2}\n", "key 'top'"),
        (SIZE + "[search]\npoints = 1\n[space]\nbudget = {low = 'a', high = 'b'}\n", "budget"),
        (
            SIZE + "[search]\npoints = 1\nobjectives = ['size']\n[space]\nbits = [2]\n",
            "accuracy, im",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key_and_what_is_allowed(text, message):
    with pytest.raises(SqhwError, match=message):
        parse_spec("test", text, check_option)


def test_the_command_names_the_file_and_writes_nothing(monkeypatch, capsys, tmp_path):
    spec = tmp_path / "wrong.toml"
    spec.write_text(SIZE + "[product]\nbits = [4, 9]\n")
    error = refuse(monkeypatch, capsys, "sweep", spec, "--out", tmp_path / "out")
    assert error.startswith(f"{spec}: table [product]: bits: ")
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.toml"]


def test_a_large_space_needs_a_yes(monkeypatch, capsys, tmp_path):
    spec = tmp_path / "large.toml"
    seeds = ", ".join(map(str, range(1, 1002)))
    spec.write_text(SIZE + f"[product]\nlayer = [{', '.join(['[]'] * 1001)}]\n# {seeds}\n")
    error = refuse(monkeypatch, capsys, "sweep", spec, "--out", tmp_path / "out")
    assert error.startswith("the space has 1,001 points, more than 1,000; repeat with --yes")
    assert not (tmp_path / "out").exists()
