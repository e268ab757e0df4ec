"""`sqhw size`: exact for known weights, and every figure that it prints is accounted for."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import refuse, run
from small_networks import DEVICE, ENGINE, network

from sqhw.compiler.device_engine import activation_blocks, propose_engine
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compiler.retarget import retargeted
from sqhw.compress.calibration.random_network import random_quantized
from sqhw.cost_models.activity import activity
from sqhw.cost_models.device import find_device, load_devices
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.engine_cost import EngineCost
from sqhw.cost_models.rom import rom_cost
from sqhw.cost_models.schedule import schedule
from sqhw.cost_models.technology import load_technology
from sqhw.errors import SqhwError
from sqhw.frontends.zoo.catalogue import float_network
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import Dense, Rice
from sqhw.network.quantized import Conv
from sqhw.network.quantized_file import load_network, save_network
from sqhw.report import size_tables
from sqhw.report.size_plot import plot_sizes
from sqhw.size import explore, sizing
from sqhw.size.engine_sizing import size_on
from sqhw.size.terms import Terms
from sqhw.size.workload import known_workload, parse_layers
from sqhw.steps.options import SizeOptions
from sqhw.steps.size import size_network


def size_of(network, **options):
    return size_network(SizeOptions(network=str(network), **options))


DOCS = (Path(__file__).parents[2] / "docs" / "size.md").read_text()
HOROWITZ = load_technology()


def sparse_network(seed=0):
    """Return a network of random sparse weights in its cheapest streams."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in network().layers:
        if isinstance(layer, Conv) and layer.stream.entry_bits:
            weight = rng.choice([-9, -3, 4, 70], layer.weight.shape).astype(np.int8)
            weight[rng.random(weight.shape) < 0.7] = 0
            layer = replace(
                layer,
                weight=weight,
                bias=rng.integers(-99, 99, weight.shape[0]).astype(np.int32),
                shift=rng.integers(5, 9, weight.shape[0]).astype(np.int32),
                codebook=tuple(int(v) for v in np.unique(np.append(weight, 0))),
                stream=Dense(3),
            )
        layers.append(layer)
    return cheapest_streams(replace(network(), layers=tuple(layers)), ENGINE)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "network.safetensors"
    label = {"device": DEVICE.name, "engine": json.dumps(ENGINE.to_dict())}
    save_network(replace(sparse_network(), metadata=label), path)
    return path


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_known_weights_take_what_is_exported(seed, batch):
    print("seed", seed)
    net = sparse_network(seed)
    formats = {layer.name: layer.stream for layer in net.convs}
    terms = Terms(technology=HOROWITZ, batch=batch)
    size = size_on(known_workload(net), DEVICE, ENGINE, replace(terms, formats=formats))
    free = size_on(known_workload(net), DEVICE, ENGINE, terms)
    cost = rom_cost(net, ENGINE)
    assert sum(free.memory_bits.values()) <= sum(size.memory_bits.values())
    assert size.depths == {name: depth for name, depth, _ in cost.memories}
    assert sum(size.memory_bits.values()) == cost.rom + ENGINE.lanes * ENGINE.bank_depth * 8
    assert size.blocks == cost.blocks(DEVICE) + activation_blocks(ENGINE, DEVICE)
    assert size.run_cycles == schedule(net, ENGINE, batch).cycles
    prices = EnergyPrices(HOROWITZ, ENGINE, size.depths)
    energy = prices.run(activity(net, ENGINE, batch)).total / batch
    assert size.energy.total == pytest.approx(energy, rel=1e-12)
    for index, (layer, rom) in enumerate(zip(net.layers, cost.layers, strict=True)):
        found = size.layer(index)
        words = (rom.weight_words + rom.param_words) * ENGINE.word_bits
        assert found["rom_bits"] == words + rom.codebook
        assert found["cycles"] == schedule(net, ENGINE, batch).layers[index].cycles
        if found["weights"]:
            assert found["format"] == str(layer.stream)


def test_a_file_on_its_own_device_has_its_own_engine(saved):
    result = size_of(saved, device=DEVICE.name)
    (found,) = result["devices"]
    assert result["known_weights"]
    assert result["assumed"] is None
    assert found["engine"] == ENGINE.to_dict()
    assert found["run_cycles"] == schedule(sparse_network(), ENGINE).cycles
    other = find_device("LFE5U-85F")
    (found,) = size_of(saved, device=other.name)["devices"]
    engine = propose_engine(other, sparse_network(), 5)
    assert found["engine"] == engine.to_dict()
    rom = sum(found["memory"][use]["bits"] for use in ("weights", "constants", "codebooks"))
    assert rom <= rom_cost(cheapest_streams(sparse_network(), engine), engine).rom


def test_all_devices_in_one_table(monkeypatch, capsys):
    arguments = ("size", "digits-cnn", "--density", "0.1", "--bits", "4")
    code, out, _ = run(monkeypatch, capsys, *arguments, "--json")
    result = json.loads(out)
    assert code == 0
    found = {d["device"]: d for d in result["devices"]}
    assert list(found) == list(load_devices())
    for name, figures in found.items():
        device = load_devices()[name]
        assert figures["fits"] == (not figures["missing"])
        assert figures["blocks"] == sum(m["blocks"] for m in figures["memory"].values())
        enough = figures["blocks"] <= device.brams and figures["dsps"] <= device.dsps
        assert figures["fits"] <= enough
        assert figures["energy_uj"] == pytest.approx(sum(figures["energy_split_uj"].values()))
        for unknown in ("luts", "ffs", "fmax_mhz", "images_per_second"):
            assert figures[unknown] is None or figures[unknown] > 0
    assert found[result["smallest"]]["fits"]
    with_flow = found[result["smallest_with_flow"]]
    assert with_flow["fits"]
    assert with_flow["open_flow"]
    code, out, _ = run(monkeypatch, capsys, *arguments)
    assert code == 0
    for name in found:
        assert f"\n  {name} " in out
    assert f"smallest device that fits, by the block RAM it has: {result['smallest']}" in out
    assert "assumed: density 0.1, 4 bit" in out


def test_if_nothing_fits_the_nearest_device_is_named(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "size", "vgg16", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["smallest"] is None
    found = {d["device"]: d for d in result["devices"]}
    nearest = found[result["nearest"]]

    def lacking(d):
        pairs = [(d[kind] or 0, d[f"available_{kind}"]) for kind in ("blocks", "dsps", "luts")]
        return max(used / max(there, 1e-9) for used, there in pairs)

    assert lacking(nearest) == min(lacking(d) for d in found.values() if not d["error"])
    code, out, _ = run(monkeypatch, capsys, "size", "vgg16")
    (line,) = (line for line in out.splitlines() if line.startswith("no device fits"))
    assert line == (
        f"no device fits; the nearest is {nearest['device']}, which lacks "
        f"{', '.join(nearest['missing'])}; lower density or bits, or write a file of a larger one"
    )
    assert out.startswith("vgg16, input 3x32x32: ")


def test_notes_name_the_devices_that_they_concern():
    d = {"error": None, "luts": 1, "fmax_mhz": 1.0, "calibrated": False, "energy_notes": []}
    found = [
        d | {"device": name, "errors": None, "notes": notes}
        for name, notes in (("a", ["x", "y"]), ("b", ["x"]), ("c", ["x"]), ("d", ["x"]), ("e", []))
    ]
    result = {"technology": {"name": "T", "process": "P"}}
    lines = size_tables.sizing_notes(result, found)
    assert lines[-2:] == ["  a, b, c and 1 more: x", "  a: y"]
    assert size_tables.sizing_notes(result, found[:1])[-2:] == ["  x", "  y"]


def test_only_what_is_outside_of_the_calibration_is_marked(monkeypatch, capsys):
    def cost(engine, device, depths):
        return EngineCost(700, 50, 1, 1, 25.0, 0.03, 0.02, None, False, ("clock: far",))

    monkeypatch.setattr(sizing, "engine_cost", cost)
    monkeypatch.setattr(sizing, "load_calibrations", lambda: {DEVICE.family: None})
    code, out, _ = run(
        monkeypatch, capsys, "size", "digits-cnn", "--density", "0.1", "--device", DEVICE.name
    )
    assert code == 0
    assert re.search(r"\n  LUTs +700 ", out)
    assert re.search(r"\n  MHz +~25.0", out)
    assert "mean errors of the calibrated model: LUTs 3.0%, flip-flops 2.0%\n" in out
    assert "  clock: far\n" in out


def test_one_device_layer_by_layer(monkeypatch, capsys, tmp_path):
    plot = tmp_path / "size.png"
    arguments = ("size", "digits-cnn", "--layer", "conv1=1:6", "--density", "0.1", "--bits", "4")
    code, out, _ = run(monkeypatch, capsys, *arguments, "--device", "icebreaker", "--plot", plot)
    assert code == 0
    assert re.search(r"\n  conv1 +216 +216 +dense/6b ", out)
    assert re.search(r"\n  conv2 +6,912 +691 +gap-4/4b ", out)
    assert "iCE40UP5K: fits" in out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_calibrated_engines_have_a_rate(monkeypatch):
    """With LUTs and clock known, images a second follow, and too few LUTs are missing."""

    def cost(engine, device, depths):
        luts = 100 * engine.lanes * engine.cores
        return EngineCost(luts, 50, 1, 1, 25.0, 0.03, 0.02, 0.1, True, ("a note",))

    monkeypatch.setattr(sizing, "engine_cost", cost)
    monkeypatch.setattr(sizing, "load_calibrations", lambda: {DEVICE.family: None})
    size = size_on(known_workload(sparse_network()), DEVICE, ENGINE, Terms(technology=HOROWITZ))
    assert size.images_per_second == pytest.approx(25e6 / size.image_cycles)
    assert (size.luts, size.ffs, size.notes) == (1600, 50, ["a note"])
    four = replace(size, engine=replace(size.engine, cores=4))
    assert four.luts == 6400
    assert "1,120 LUTs (6,400 of 5,280)" in four.missing
    assert four.images_per_second == pytest.approx(4 * size.images_per_second)
    assert four.blocks == 4 * size.blocks


def test_budget_chooses_other_formats(monkeypatch, capsys):
    base = {"density": 0.3, "bits": 3, "device": "LFE5U-25F"}
    (small,) = size_of("digits-cnn", **base)["devices"]
    (fast,) = size_of("digits-cnn", **base, objective="cycles")["devices"]
    roms = [sum(layer["rom_bits"] for layer in d["layers"]) for d in (small, fast)]
    assert fast["run_cycles"] < small["run_cycles"]
    assert roms[1] > roms[0]
    middle = (fast["run_cycles"] + small["run_cycles"]) // 2
    (both,) = size_of("digits-cnn", **base, budget=f"cycles={middle}")["devices"]
    assert both["run_cycles"] <= middle
    assert roms[0] < sum(layer["rom_bits"] for layer in both["layers"]) < roms[1]
    words = ("size", "digits-cnn", "--density", "0.3", "--bits", "3", "--device", "LFE5U-25F")
    budget = f"rom={roms[0]},cycles={fast['run_cycles']}"
    message = refuse(monkeypatch, capsys, *words, "--budget", budget)
    assert message.startswith(f"budget {budget} contradicts itself, though each limit alone")
    message = refuse(monkeypatch, capsys, *words, "--budget", "blocks=1")
    assert re.fullmatch(r"budget blocks=1 is too small: the least feasible is blocks=\d+", message)


def test_front_is_what_no_other_beats(monkeypatch, tmp_path):
    monkeypatch.setattr(explore, "BATCHES", (1, 4))
    monkeypatch.setattr(explore, "REQUANTIZERS", (1, 8))
    arguments = {"density": 0.1, "bits": 4, "device": "LFE5U-25F", "explore": True}
    result = size_of("digits-cnn", **arguments)
    front = result["front"]
    assert 1 < len(front) <= result["configurations"]
    device = find_device("LFE5U-25F")
    values = []
    for d in front:
        assert d["fits"]
        assert d["blocks"] <= device.brams
        assert d["dsps"] == d["cores"] * (d["engine"]["lanes"] - d["engine"]["lut_lanes"])
        speed = d["images_per_second"] or 1 / d["image_interval"]
        logic = d["luts"] or d["engine"]["lanes"] * d["cores"]
        values.append((1 / speed, d["blocks"], logic, d["energy_uj"]))
    assert values == sorted(values)
    values = np.array(values)
    for one in values:
        beaten = np.all(values * 1.03 <= one, axis=1)
        assert not beaten.any()
    for name in ("front.png", "front.svg", "front.pdf"):
        plot_sizes(result, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        plot_sizes(result, tmp_path / name)
        assert (tmp_path / name).read_bytes() == first


def test_search_that_finds_nothing_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(explore, "BATCHES", (1,))
    monkeypatch.setattr(explore, "REQUANTIZERS", (1,))
    with pytest.raises(SqhwError) as caught:
        size_of("digits-cnn", device="iCE40HX1K", explore=True)
    pattern = (
        r"no engine for 'digits-cnn' fits iCE40HX1K: the smallest tried, of \d+ lanes, lacks "
        r"\d+ block RAMs \(\d+ of 16\)[^;]*; lower density or bits, or take a larger device"
    )
    assert re.fullmatch(pattern, str(caught.value))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg61"], "unknown network 'vgg61'; did you mean 'vgg16'?"),
        (["vgg16", "--device", "LFE5U85F"], "unknown device 'LFE5U85F'; did you mean 'LFE5U-85F'?"),
        (
            ["digits-cnn", "--layer", "conv1=0:4"],
            "layer 'conv1': density must be above 0 and at most 1, not 0",
        ),
        (["digits-cnn", "--layer", "conv9=1:4"], "unknown layer 'conv9'; did you mean 'conv4'?"),
        (
            ["digits-cnn", "--layer", "conv1=4"],
            "layer 'conv1=4' must read name=density:bits, for example conv1=0.3:4",
        ),
        (
            ["digits-cnn", "--layer", "fc=1:4", "--layer", "fc=1:2"],
            "layer 'fc' is given twice; state it once",
        ),
        (["digits-cnn", "--budget", "rom=1,rom=2"], None),
        (["digits-cnn", "--objective", "speed"], None),
        (["digits-cnn", "--technology", "7nm"], None),
        (["digits-cnn", "--explore"], "a search is for one device; name it with --device"),
        (
            ["digits-cnn", "--explore", "--device", "ulx3s 25f", "--batch", "4"],
            "a search tries several images a run by itself; leave out batch 4",
        ),
        (["digits-cnn", "--plot", "size.gif"], None),
        (["none.safetensors"], "none.safetensors: no such file"),
    ],
)
def test_bad_input(monkeypatch, capsys, arguments, message):
    found = refuse(monkeypatch, capsys, "size", *arguments)
    assert message is None or found == message


@pytest.mark.parametrize(
    ("option", "value"),
    [("--density", "1.5"), ("--density", "0"), ("--bits", "9"), ("--batch", "3")],
)
def test_values_out_of_range(monkeypatch, capsys, option, value):
    code, out, err = run(monkeypatch, capsys, "size", "vgg16", option, value)
    assert (code, out) == (2, "")
    assert option in err


def test_weights_of_its_own_are_not_assumed(monkeypatch, capsys, saved):
    message = refuse(monkeypatch, capsys, "size", saved, "--density", "0.5")
    assert message.startswith(f"{saved} has weights of its own; density, bits and layers are")


def test_maps_too_large_for_a_device_are_an_entry_of_the_table(monkeypatch, capsys):
    arguments = ("size", "digits-cnn", "--batch", "16", "--density", "0.1")
    code, out, _ = run(monkeypatch, capsys, *arguments, "--json")
    found = {d["device"]: d for d in json.loads(out)["devices"]}
    assert code == 0
    assert found["iCE40UP5K"] == {
        "device": "iCE40UP5K",
        "boards": list(find_device("iCE40UP5K").boards),
        "fits": False,
        "error": "max_batch must be a power of two, 1 to 8, not 16",
    }
    assert found["LFE5U-85F"]["batch"] == 16
    code, out, _ = run(monkeypatch, capsys, *arguments)
    assert "  iCE40UP5K: max_batch must be a power of two, 1 to 8, not 16\n" in out


def test_every_key_is_documented(saved):
    tables = [
        size_of(saved, device="icebreaker"),
        {"device": 0, "configurations": 0, "front": []},
    ]
    keys = {key for table in tables for key in table}
    (found,) = tables[0]["devices"]
    keys |= {*found, *found["memory"], *found["layers"][0], *tables[0]["technology"]}
    documented = set(re.findall(r"`(\w+)`", DOCS))
    assert keys <= documented, keys - documented


def test_a_budget_of_the_stream_is_met(monkeypatch, capsys):
    """Fewest cycles want wide gaps, hence more bits."""
    base = {"device": "LFE5U-85F", "density": 0.1, "bits": 4}
    (small,) = size_of("digits-cnn", **base)["devices"]
    (fast,) = size_of("digits-cnn", **base, objective="cycles")["devices"]
    least, most = (
        sum(found["memory"][use]["bits"] for use in ("weights", "codebooks"))
        for found in (small, fast)
    )
    assert least < 0.95 * most
    budget = f"stream={least}"  # words of the ROM have some bits beyond the streams
    (found,) = size_of("digits-cnn", **base, objective="cycles", budget=budget)["devices"]
    bits = sum(found["memory"][use]["bits"] for use in ("weights", "codebooks"))
    assert bits < least + 36 * len(found["layers"])
    assert small["run_cycles"] >= found["run_cycles"] > fast["run_cycles"]
    words = ("size", "digits-cnn", "--density", "0.1", "--bits", "4", "--device", "LFE5U-85F")
    message = refuse(monkeypatch, capsys, *words, "--budget", "payload=9")
    assert re.fullmatch(
        r"budget payload=9 is too small: the least feasible is payload=\d+", message
    )


@pytest.mark.parametrize("budget", ["block=3", "rom=2.5", "rom=1,rom=2", "rom=5,payload=6", "rom"])
def test_a_budget_is_refused_alike_everywhere(monkeypatch, capsys, budget):
    told = [
        run(monkeypatch, capsys, *words, "--budget", budget)
        for words in (("size", "vgg16"), ("compress", "none.safetensors"))
    ]
    assert told[0][0] != 0
    assert told[0] == told[1]
    assert "budget" in told[0][2]


def test_a_budget_of_energy_holds_for_the_figure_that_is_printed(monkeypatch, capsys):
    base = {"density": 0.3, "bits": 3, "device": "LFE5U-25F"}
    (free,) = size_of("digits-cnn", **base)["devices"]
    (fast,) = size_of("digits-cnn", **base, objective="energy")["devices"]
    middle = (free["energy_uj"] + fast["energy_uj"]) / 2
    (found,) = size_of("digits-cnn", **base, budget=f"energy={middle:.6f}")["devices"]
    assert found["energy_uj"] <= middle
    words = ("size", "digits-cnn", "--density", "0.3", "--bits", "3", "--device", "LFE5U-25F")
    message = refuse(monkeypatch, capsys, *words, "--budget", f"energy={fast['energy_uj'] / 2:.6f}")
    assert "is too small: the least" in message


@pytest.mark.parametrize(
    "text", [f"conv1=0.5:{'9' * 5000}", "x" * 5000, f"{'x' * 5000}=0.5:4,{'x' * 5000}=0.5:4"]
)
def test_a_long_layer_is_cut_in_its_refusal(text):
    with pytest.raises(SqhwError) as error:
        parse_layers(text.split(","))
    assert len(str(error.value)) < 300


def test_quotients_on_the_device_that_a_network_was_made_for_are_those_of_a_retarget(tmp_path):
    path = tmp_path / "net.safetensors"
    chain = Path(__file__).parents[1] / "golden" / "chain" / "network.safetensors"
    save_network(retargeted(load_network(chain), find_device("iCEBreaker")), path)
    plain, coded = (
        size_of(path, device="iCEBreaker", quotient_ones=ones)["devices"][0] for ones in (0, 8)
    )
    made = retargeted(load_network(chain), find_device("iCEBreaker"), quotient_ones=8)
    predicted = schedule(made, made.facts.engine).cycles
    assert coded["run_cycles"] == predicted < plain["run_cycles"]


def test_a_decoder_that_a_file_names_goes_only_if_that_is_asked_for(tmp_path):
    path = tmp_path / "net.safetensors"
    chain = Path(__file__).parents[1] / "golden" / "chain" / "network.safetensors"
    made = retargeted(load_network(chain), find_device("iCEBreaker"), quotient_ones=8)
    save_network(made, path)
    own, eight, none = (
        size_of(path, device="iCEBreaker", quotient_ones=ones)["devices"][0]
        for ones in (None, 8, 0)
    )
    assert [sized["engine"].get("quotient_ones", 0) for sized in (own, eight, none)] == [8, 8, 0]
    assert own == eight
    plain = retargeted(made, find_device("iCEBreaker"))
    assert none["run_cycles"] == schedule(plain, plain.facts.engine).cycles > own["run_cycles"]


def test_expected_sizes_of_coded_streams_are_those_of_random_places():
    print("seed 0")
    sized = size_of("resnet8", device="LFE5U-85F", density=0.2, bits=2, quotient_ones=8)
    found = sized["devices"][0]
    engine = EngineConfig.from_dict(found["engine"])
    network = random_quantized(float_network("resnet8"), engine, 0.2, 2, seed=0)
    network = cheapest_streams(network, engine)
    assert sum(isinstance(layer.stream, Rice) for layer in network.convs) > 5
    depths = {name: depth * width for name, depth, width in rom_cost(network, engine).memories}
    assert found["memory"]["weights"]["bits"] == pytest.approx(depths["weights"], rel=0.01)
    assert found["run_cycles"] == pytest.approx(schedule(network, engine).cycles, rel=0.01)
