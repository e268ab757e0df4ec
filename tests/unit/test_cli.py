"""The command line as a user meets it: results, and one clear sentence for bad input."""

import gzip
import hashlib
import json
import re
import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest
from command_line import refuse, run
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from sqhw import __version__
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Gap
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.options import TrainOptions
from sqhw.steps.train import train

U8, S8 = ActivationFormat(8, signed=False), ActivationFormat(8, signed=True)


def layer(name, source, shape, stream, output, padding=0):
    rng = np.random.default_rng(len(name))
    out = shape[0]
    weight = rng.choice(np.array([-9, 0, 4], dtype=np.int8), shape)
    return Conv(
        name=name,
        source=source,
        weight=weight,
        bias=np.arange(out, dtype=np.int32),
        multiplier=np.full(out, 200, dtype=np.int32),
        shift=np.full(out, 12, dtype=np.int32),
        stride=1,
        padding=(padding,) * 4,
        codebook=(-9, 0, 4) if stream.stores_zeros else (-9, 4),
        stream=stream,
        output=output,
        weight_scale=np.ones(out),
        output_scale=1.0,
    )


def digits_network(**changes):
    layers = (
        layer("conv", "input", (4, 1, 3, 3), Dense(2), U8, padding=1),
        MaxPool("pool", "conv", 2, 2),
        layer("fc", "pool", (10, 4, 4, 4), Gap(2, 1), S8),
    )
    return QuantizedNetwork("tiny", (1, 8, 8), U8, layers, **changes)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "network.safetensors"
    save_network(digits_network(), path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A float network after one epoch: enough to see how `compress` refuses."""
    path = tmp_path_factory.mktemp("float") / "float.safetensors"
    train(TrainOptions(out=path, epochs=1))
    return path


def test_help_names_every_step(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "--help")
    assert code == 0
    for verb in ("train", "compress", "simulate", "rom", "rtl", "verify", "demo"):
        assert verb in out


def test_simulate(monkeypatch, capsys, saved):
    code, out, _ = run(monkeypatch, capsys, "simulate", saved, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["images"] == 359
    assert result["images_that_differ"] == 0
    assert result["torch_accuracy"] == result["simulator_accuracy"]


def test_rom_and_rtl(monkeypatch, capsys, saved, tmp_path):
    folder = tmp_path / "rtl"
    code, out, _ = run(monkeypatch, capsys, "rom", saved, "--out", folder, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["rom_bits_exported"] == result["rom_bits_predicted"]
    for image in result["images"]:
        lines = (folder / f"{image['name']}.hex").read_text().splitlines()
        assert len(lines) == image["words"]
        assert {len(line) for line in lines} == {-(-image["width"] // 4)}
    code, _, _ = run(monkeypatch, capsys, "rtl", saved, "--out", folder)
    assert code == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "weights.hex", "params.hex", "codebook.hex",
        "sqhw_engine.v", "sqhw_rom.v", "sqhw_ram.v", "rom.json", "rtl.json",
    }  # fmt: skip
    # Weights stay out of the Verilog: it is the same for every network of these ROM sizes.
    assert not re.search(r"mem\w*\[", (folder / "sqhw_engine.v").read_text())


def test_rtl_on_axi(monkeypatch, capsys, saved, tmp_path):
    folder = tmp_path / "rtl"
    code, _, _ = run(monkeypatch, capsys, "rtl", saved, "--out", folder, "--interface", "axi")
    assert code == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {"sqhw_axi.v", "sqhw_rom.v", "sqhw_ram.v", "rtl.json"}
    message = refuse(monkeypatch, capsys, "rtl", saved, "--out", folder, "--interface", "apb")
    assert message == "unknown interface 'apb'; known: axi, plain"


def test_the_same_command_gives_the_same_bytes(monkeypatch, capsys, saved, tmp_path):
    for name in ("a", "b"):
        run(monkeypatch, capsys, "rtl", saved, "--out", tmp_path / name)
        run(monkeypatch, capsys, "rom", saved, "--out", tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_missing_network(monkeypatch, capsys, tmp_path):
    path = tmp_path / "nothing.safetensors"
    assert str(path) in refuse(monkeypatch, capsys, "simulate", path)


@pytest.mark.parametrize("command", ["simulate", "rom", "rtl", "verify"])
def test_corrupted_network(monkeypatch, capsys, saved, tmp_path, command):
    data = bytearray(saved.read_bytes())
    data[-3] ^= 0x10
    saved.write_bytes(data)
    before = set(tmp_path.iterdir())
    arguments = ["--out", tmp_path / "rtl"] if command in ("rom", "rtl") else []
    arguments = ["--rtl", tmp_path] if command == "verify" else arguments
    message = refuse(monkeypatch, capsys, command, saved, *arguments)
    assert str(saved) in message
    assert set(tmp_path.iterdir()) == before


def test_truncated_network(monkeypatch, capsys, saved):
    saved.write_bytes(saved.read_bytes()[:-10])
    assert str(saved) in refuse(monkeypatch, capsys, "simulate", saved)


def test_missing_data(monkeypatch, capsys, saved, tmp_path):
    message = refuse(monkeypatch, capsys, "simulate", saved, "--data", f"mnist:{tmp_path}")
    assert "train-images-idx3-ubyte" in message
    assert str(tmp_path) in message


def test_truncated_data(monkeypatch, capsys, saved, tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28, 1])))
    for name in ("train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte").write_bytes(b"")
    message = refuse(monkeypatch, capsys, "simulate", saved, "--data", f"mnist:{tmp_path}")
    assert str(path) in message


def test_unknown_data(monkeypatch, capsys, saved):
    message = refuse(monkeypatch, capsys, "simulate", saved, "--data", "digit")
    assert message == "unknown data set 'digit'; did you mean 'digits'?"


def test_misspelt_device(monkeypatch, capsys, trained, tmp_path):
    out = tmp_path / "out.safetensors"
    message = refuse(
        monkeypatch, capsys, "compress", trained, "--device", "icebraker", "--out", out
    )
    assert message == "unknown device 'icebraker'; did you mean 'iCEBreaker'?"
    assert not list(tmp_path.iterdir())


def test_budget_too_small_names_the_smallest(monkeypatch, capsys, trained, tmp_path):
    out = tmp_path / "out.safetensors"
    message = refuse(monkeypatch, capsys, "compress", trained, "--budget", "rom=500", "--out", out)
    assert "rom=500" in message
    assert "digits-cnn" in message
    assert "the smallest that is sure to do is" in message
    smallest = int(message.split("rom=")[-1])
    assert 500 < smallest < 100_000
    assert not list(tmp_path.iterdir())


def test_budget_too_small_is_refused_before_the_tables_of_options(
    monkeypatch, capsys, trained, tmp_path
):
    """They are the longest part of the work before training: minutes for a large network."""

    def reached(*_, **__):
        raise AssertionError("tables of options are computed")

    monkeypatch.setattr("sqhw.compress.choice.projection.layer_options", reached)
    out = tmp_path / "out.safetensors"
    message = refuse(monkeypatch, capsys, "compress", trained, "--budget", "rom=500", "--out", out)
    assert message.startswith("budget rom=500,blocks=22 is too small for network 'digits-cnn'; ")


def test_budget_beyond_the_device(monkeypatch, capsys, trained, tmp_path):
    out = tmp_path / "out.safetensors"
    message = refuse(
        monkeypatch, capsys, "compress", trained, "--budget", "blocks=23", "--out", out
    )
    assert message == (
        "budget blocks=23 exceeds the 22 block RAMs of iCE40UP5K that its 8 activation banks "
        "leave of 30"
    )
    assert not list(tmp_path.iterdir())


def test_unsupported_layer(monkeypatch, capsys, trained, tmp_path):
    with safe_open(trained, "numpy") as file:
        metadata = file.metadata()
    ((key, header),) = metadata.items()
    changed = tmp_path / "changed.safetensors"
    assert '"maxpool"' in header
    save_file(load_file(trained), changed, {key: header.replace('"maxpool"', '"lstm"', 1)})
    message = refuse(monkeypatch, capsys, "compress", changed, "--out", tmp_path / "out")
    assert str(changed) in message
    assert "'lstm'" in message
    assert not (tmp_path / "out").exists()


def test_overflowing_layer(monkeypatch, capsys, saved, tmp_path):
    network = load_network(saved)
    fc = network.layers[-1]
    weight = np.where(fc.weight == 0, 0, 127).astype(np.int8)
    fc = replace(fc, weight=weight, codebook=(127,), bias=fc.bias + (1 << 23))
    save_network(replace(network, layers=(*network.layers[:-1], fc)), saved)
    message = refuse(monkeypatch, capsys, "rtl", saved, "--out", tmp_path / "rtl")
    assert message.startswith("layer 'fc': its accumulator may reach ")
    assert not (tmp_path / "rtl").exists()


def test_a_folder_that_cannot_be_made(monkeypatch, capsys, saved, tmp_path):
    (tmp_path / "file").write_text("")
    for command in ("rom", "rtl"):
        message = refuse(monkeypatch, capsys, command, saved, "--out", tmp_path / "file")
        assert message == (
            f"cannot make folder {tmp_path / 'file'}: {tmp_path / 'file'} is not a folder"
        )


def test_demo_refuses_before_it_trains(monkeypatch, capsys, tmp_path):
    message = refuse(monkeypatch, capsys, "demo", "--device", "ice40up5q", "--out", tmp_path / "x")
    assert message == "unknown device 'ice40up5q'; did you mean 'iCE40UP5K'?"
    assert not (tmp_path / "x").exists()


def test_demo_counts_the_images_before_it_trains(monkeypatch, capsys, tmp_path):
    message = refuse(monkeypatch, capsys, "demo", "--images", "360", "--out", tmp_path / "x")
    assert message == "images must be 1 to 359, not 360"
    assert run(monkeypatch, capsys, "demo", "--images", "0", "--out", tmp_path / "x")[0] == 2
    assert not (tmp_path / "x").exists()


def test_missing_images(monkeypatch, capsys, saved, tmp_path):
    message = refuse(monkeypatch, capsys, "verify", saved, "--rtl", tmp_path)
    assert message == (
        f"{tmp_path / 'rom.json'} is missing beside the ROM images; write them anew with `sqhw rom`"
    )


def test_devices(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "devices", "--json")
    names = {device["name"] for device in json.loads(out)["devices"]}
    assert code == 0
    assert {"iCE40UP5K", "LFE5U-85F"} <= names


def test_quantize_without_training(monkeypatch, capsys, trained, tmp_path):
    out = tmp_path / "network.safetensors"
    command = ["quantize", trained, "--out", out, "--bits", 4, "--density", 0.06]
    code, text, _ = run(monkeypatch, capsys, *command, "--objective", "cycles", "--json")
    result = json.loads(text)
    assert code == 0
    assert result["nonzeros"] == sum(layer["nonzeros"] for layer in result["layers"])
    assert result["nonzeros"] < 0.07 * result["weights_before"]
    assert result["after"]["blocks"] <= result["available_blocks"]
    assert run(monkeypatch, capsys, "simulate", out)[0] == 0
    code, _, err = run(monkeypatch, capsys, *command[:-1], 1.5)
    assert code == 2
    assert "'--density': 1.5 is not above 0 and at most 1." in err
    message = refuse(monkeypatch, capsys, *command[:-1], 1.0)
    assert message.startswith("network 'digits-cnn' at density 1.0 with 4 bits needs ")


def test_import_of_a_checkpoint(monkeypatch, capsys, tmp_path):
    from sqhw.compress import build, load_float

    state = {name: value.numpy() for name, value in build("digits-cnn").state_dict().items()}
    checkpoint, out = tmp_path / "weights.safetensors", tmp_path / "float.safetensors"
    save_file(state, checkpoint)
    command = ["import", "digits-cnn", "--checkpoint", checkpoint, "--out", out]
    assert run(monkeypatch, capsys, *command)[0] == 0
    weight = load_float(out).convs[0].weight
    assert np.array_equal(weight, state["conv1.weight"])
    message = refuse(monkeypatch, capsys, *command[:1], "resnet8", *command[2:])
    assert str(checkpoint) in message


def test_rom_for_the_verilog_at_hand(monkeypatch, capsys, saved, tmp_path):
    rtl, rom = tmp_path / "rtl", tmp_path / "rom"
    run(monkeypatch, capsys, "rtl", saved, "--out", rtl)
    path = rtl / "rtl.json"
    manifest = json.loads(path.read_text())
    words, width = manifest["words"]["weights"], manifest["engine"]["word_bits"]
    room = 1 << (words - 1).bit_length()
    manifest["pieces"]["weights"] = [[0, room, 0, width], [room, 8, 0, 3], [room, 8, 3, width - 3]]
    path.write_text(json.dumps(manifest))
    code, out, _ = run(monkeypatch, capsys, "rom", saved, "--out", rom, "--rtl", rtl, "--json")
    assert code == 0
    assert json.loads(out)["files"][:3] == [str(rom / f"weights_{i}.hex") for i in range(3)]
    assert json.loads((rom / "rom.json").read_text())["pieces"] == manifest["pieces"]
    assert (rom / "weights_1.hex").read_text() == "0\n" * 8
    manifest["pieces"]["weights"] = [[0, 1, 0, width]]
    path.write_text(json.dumps(manifest))
    message = refuse(monkeypatch, capsys, "rom", saved, "--out", rom, "--rtl", rtl)
    assert message == (
        f"the weights image has {words} words, the ROM 1; write Verilog with deeper ROMs with "
        "`sqhw rtl`"
    )


def test_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sqhw", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("sqhw", run_name="__main__")
    assert not stop.value.code
    assert capsys.readouterr().out == f"sqhw {__version__}\n"


@pytest.mark.parametrize("command", ["rom", "rtl"])
def test_roms_suit_a_known_device(monkeypatch, capsys, saved, tmp_path, command):
    message = refuse(monkeypatch, capsys, command, saved, "--out", tmp_path, "--device", "iCE41")
    assert "unknown device" in message


@pytest.mark.parametrize("command", [["rom"], ["rtl"], ["report"]])
def test_a_file_with_an_unknown_device_is_named(monkeypatch, capsys, saved, tmp_path, command):
    save_network(digits_network(metadata={"device": "iCE41"}), saved)
    out = [] if command == ["report"] else ["--out", tmp_path / "out"]
    message = refuse(monkeypatch, capsys, *command, saved, *out)
    assert message.startswith(f"{saved}: metadata entry 'device': unknown device 'iCE41'; did you")
    assert message.endswith("; name the device with --device")
    assert not (tmp_path / "out").exists()
    assert run(monkeypatch, capsys, *command, saved, *out, "--device", "iCE40UP5K")[0] == 0


def test_images_of_another_network(monkeypatch, capsys, saved, tmp_path):
    folder, other = tmp_path / "rtl", tmp_path / "other.safetensors"
    run(monkeypatch, capsys, "rom", saved, "--out", folder)
    run(monkeypatch, capsys, "rtl", saved, "--out", folder)
    network = digits_network()
    bias = network.layers[0].bias + 1
    save_network(
        replace(network, layers=(replace(network.layers[0], bias=bias), *network.layers[1:])), other
    )
    message = refuse(monkeypatch, capsys, "verify", other, "--rtl", folder)
    assert message.startswith(f"the params ROM image in {folder} is not that of {other}")


def test_a_mixture_of_two_networks_is_refused(monkeypatch, capsys, saved, tmp_path):
    folder, roms = tmp_path / "rtl", tmp_path / "roms"
    for command in ("rom", "rtl"):
        run(monkeypatch, capsys, command, saved, "--out", folder)
    write_anew = "writing was interrupted, or the file was changed or copied here; write them anew"
    path = folder / "sqhw_ram.v"
    text = path.read_text()
    path.write_text(text + "\n")
    for command in (["verify", saved, "--rtl", folder], ["rom", saved, "--rtl", folder]):
        out = ["--out", roms] if command[0] == "rom" else []
        message = refuse(monkeypatch, capsys, *command, *out)
        assert message == (
            f"{path} is not the file that {folder}/rtl.json was written for: {write_anew} with "
            "`sqhw rtl`"
        )
    assert not roms.exists()
    path.write_text(text)
    path = folder / "weights.hex"
    path.write_text("ffff\n" + path.read_text()[5:])
    message = refuse(monkeypatch, capsys, "verify", saved, "--rtl", folder)
    assert message == (
        f"{path} is not the file that {folder}/rom.json was written for: {write_anew} with "
        "`sqhw rom`"
    )


def test_what_an_earlier_network_left_in_the_folder_goes(monkeypatch, capsys, saved, tmp_path):
    folder = tmp_path / "rtl"
    run(monkeypatch, capsys, "rtl", saved, "--out", folder, "--interface", "axi")
    run(monkeypatch, capsys, "rom", saved, "--out", folder)
    manifest = json.loads((folder / "rom.json").read_text())
    for name in ("weights_0.hex", "codebook_12.hex"):
        (folder / name).write_text("0\n")
        manifest["files"][name] = hashlib.sha256(b"0\n").hexdigest()
    (folder / "rom.json").write_text(json.dumps(manifest))
    for name in ("weights_7.hex", "mine.hex"):  # of nobody's manifest: they stay
        (folder / name).write_text("0\n")
    for command in ("rom", "rtl"):
        assert run(monkeypatch, capsys, command, saved, "--out", folder)[0] == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "weights.hex", "params.hex", "codebook.hex", "weights_7.hex", "mine.hex",
        "sqhw_engine.v", "sqhw_rom.v", "sqhw_ram.v", "rom.json", "rtl.json",
    }  # fmt: skip


def test_network_for_other_images(monkeypatch, capsys, tmp_path):
    network = replace(digits_network(), input_shape=(1, 8, 8))
    path = tmp_path / "network.safetensors"
    save_network(QuantizedNetwork("wide", (1, 8, 9), U8, (replace(network.layers[0]),)), path)
    message = refuse(monkeypatch, capsys, "simulate", path)
    assert message == (
        "network 'wide' takes images of shape (1, 8, 9), data set 'digits' has (1, 8, 8)"
    )
