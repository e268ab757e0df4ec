"""Facts in the metadata of a network: exact types, or one sentence that names file and entry."""

import json
from dataclasses import replace

import pytest
from command_line import refuse
from float_networks import residual_network
from small_networks import DEVICE, ENGINE, network

from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.network.facts import Facts, facts_of
from sqhw.network.float_file import save_float
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.network_size import network_size

GOOD = {
    "engine": json.dumps(ENGINE.to_dict()),
    "device": "iCE40UP5K",
    "float_weights": "20",
    "float_bits": "800",
    "layer_weights": '{"first": 12, "last": 8}',
    "validation_accuracy": "0.987500",
    "float_validation_accuracy": "1",
    "test_accuracy": "9.9e-1",
    "notes": "anything",
}


def test_facts_have_types():
    assert facts_of({}) == facts_of({"engine": "", "device": ""}) == Facts()
    assert Facts().engine == EngineConfig()
    found = facts_of(GOOD)
    assert found.engine == ENGINE
    assert (found.device, found.weights_before, found.values_before) == ("iCE40UP5K", 20, 25)
    assert found.layer_weights == {"first": 12, "last": 8}
    assert found.accuracies == {
        "float_validation_accuracy": 1.0,
        "validation_accuracy": 0.9875,
        "test_accuracy": 0.99,
    }
    assert (found.method, found.data, found.notes) == ("", "", "anything")
    assert replace(network(), metadata=GOOD).facts == found


WRONG = [
    ("engine", "{", "not JSON"),
    ("engine", "[" * 1000, "nested more than 32 deep"),
    ("engine", '{"lanes":' * 1000, "nested more than 32 deep"),
    ("engine", "[]", "engine configuration: must be dict, not []"),
    ("engine", "3", "engine configuration: must be dict, not 3"),
    ("engine", '{"lanes": "8"}', "field 'lanes' must be int, not '8'"),
    ("engine", '{"requantizers": true}', "field 'requantizers' must be int, not True"),
    ("engine", '{"lanes": 8.0}', "field 'lanes' must be int, not 8.0"),
    ("engine", '{"lanes": 9}', "engine lanes must be a power of two"),
    ("engine", f'{{"lanes": {"9" * 5000}}}', "a number of 5,000 digits"),
    ("engine", '{"lanes": 8, "lanes": 16}', "key 'lanes' occurs twice"),
    ("engine", '{"lane": 8}', "unknown field 'lane'; did you mean 'lanes'?"),
    ("layer_weights", "x", "not JSON"),
    ("layer_weights", "[1]", "must be dict, not [1]"),
    ("layer_weights", '{"first": "12"}', "field 'first' must be int, not '12'"),
    ("layer_weights", '{"first": -1}', "'first' must be 0 to"),
    ("layer_weights", '{"first": 1e3}', "field 'first' must be int, not 1000.0"),
    ("float_bits", "x", "must be a whole number of 0 to"),
    ("float_bits", "-1", "must be a whole number of 0 to"),
    ("float_bits", "9" * 5000, "must be a whole number of 0 to"),
    ("float_bits", "1_000", "must be a whole number of 0 to"),
    ("float_bits", "3", "must be a multiple of 32, the bits of a value, not 3"),
    ("float_bits", "32", "32 are fewer than 32 for each of 20"),
    ("float_weights", "1.5", "must be a whole number of 0 to"),
    ("float_weights", "٣", "must be a whole number of 0 to"),
    ("float_weights", "", "must be a whole number of 0 to"),
    ("validation_accuracy", "high", "must be a number of 0 to 1, not 'high'"),
    ("validation_accuracy", "nan", "must be a number of 0 to 1"),
    ("validation_accuracy", "1.5", "must be a number of 0 to 1"),
    ("validation_accuracy", "1e999", "must be a number of 0 to 1"),
    ("float_validation_accuracy", "-0.5", "must be a number of 0 to 1"),
    ("test_accuracy", "0" * 10**6, "must be a number of 0 to 1"),
]


@pytest.mark.parametrize(("entry", "text", "message"), WRONG)
def test_wrong_facts_are_refused_by_file_and_entry(tmp_path, entry, text, message):
    path = tmp_path / "net.safetensors"
    save_network(replace(network(), metadata=GOOD), path)
    assert load_network(path).metadata == GOOD
    save_network(replace(network(), metadata=GOOD | {entry: text}), path)
    with pytest.raises(SqhwError) as error:
        load_network(path)
    found = str(error.value)
    assert found.startswith(f"{path}: metadata entry {entry!r}")
    assert message in found
    assert "\n" not in found
    assert len(found) < 500


@pytest.mark.parametrize("command", ["size", "report", "rom", "rtl", "simulate", "verify"])
@pytest.mark.parametrize(
    ("entry", "text", "message"),
    [
        ("engine", "{", "metadata entry 'engine': not JSON: "),
        ("engine", '{"lanes": 9}', "metadata entry 'engine': engine configuration: engine lanes "),
        ("layer_weights", "[1]", "metadata entry 'layer_weights': must be dict, not [1]"),
        ("float_bits", "x", "metadata entry 'float_bits' must be a whole number of 0 to "),
        (
            "test_accuracy",
            "2",
            "metadata entry 'test_accuracy' must be a number of 0 to 1, not '2'",
        ),
    ],
)
def test_every_command_refuses_them_in_the_same_words(
    tmp_path, command, entry, text, message, monkeypatch, capsys
):
    path = tmp_path / "net.safetensors"
    save_network(replace(network(), metadata=GOOD | {entry: text}), path)
    more = ["--rtl", tmp_path] if command == "verify" else []
    found = refuse(monkeypatch, capsys, command, path, *more)
    assert found.startswith(f"{path}: {message}")
    with pytest.raises(SqhwError) as error:
        load_network(path)
    assert found == str(error.value)


@pytest.mark.parametrize("command", ["size", "compress", "quantize"])
def test_every_command_refuses_them_in_float_networks(tmp_path, command, monkeypatch, capsys):
    path = tmp_path / "float.safetensors"
    save_float(replace(residual_network(), metadata={"float_bits": "x"}), path)
    more = [] if command == "size" else ["--data", "digits", "--device", "LFE5U-25F"]
    found = refuse(monkeypatch, capsys, command, path, *more)
    assert found.startswith(f"{path}: metadata entry 'float_bits' must be a whole number of 0 to ")


def test_a_network_in_memory_is_named():
    broken = replace(network(), metadata={"engine": "{"})
    with pytest.raises(SqhwError, match=r"^network 'net': metadata entry 'engine': not JSON: "):
        broken.facts  # noqa: B018


def test_a_network_that_tells_its_weights_alone_has_no_negative_sizes():
    found = network_size(replace(network(), metadata={"float_weights": "20"}), ENGINE, DEVICE)
    assert found["weights_before"] == 20
    assert found["float32"]["payload"] == found["float32"]["rom"] == 640
    assert found["int8"]["payload"] == found["int8"]["rom"] == 160
