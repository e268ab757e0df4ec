"""Damaged ROMs and feature maps: what the engine's rules make of them, and their figures."""

import json
from dataclasses import replace
from pathlib import Path

import command_line
import numpy as np
import pytest
import small_networks
from strategies import random_images, random_network

from sqhw.compiler.program import compile_network
from sqhw.errors import SqhwError
from sqhw.faults import exact
from sqhw.faults.bench import FaultBench
from sqhw.faults.campaign import Campaign, Outcome, drawn, shares
from sqhw.faults.damaged import DamagedLayer, RomReader
from sqhw.faults.injections import parse_flip, parse_rates
from sqhw.faults.interval import wilson
from sqhw.faults.map_flips import MapFlips
from sqhw.faults.sites import sites_of
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ROMS
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Gap
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import save_network
from sqhw.sim import reference
from sqhw.steps.faults import faults
from sqhw.steps.options import FaultsOptions
from sqhw.steps.program import labelled, program_of

CHAIN = Path(__file__).parents[1] / "golden" / "chain" / "network.safetensors"
ENGINE = EngineConfig(
    lanes=8, bank_depth=4096, acc_bits=32, mult_bits=16, groups=True, residuals=True,
    quotient_ones=4, word_bits=18,
)  # fmt: skip


def random_program(seed):
    limits = {"max_padding": 1, "max_stride": 1, "branches": True, "mult_bits": 16}
    network = random_network(seed, quotient_ones=4, word_bits=18, **limits)
    return compile_network(network, ENGINE)


def one_layer(weight, stream, codebook, **changes):
    """Return a network of one layer whose results show every weight."""
    layer = small_networks.conv(
        "conv",
        "input",
        weight.shape,
        weight=weight.astype(np.int8),
        bias=np.zeros(len(weight), np.int32),
        stream=stream,
        codebook=codebook,
        padding=(0,) * 4,
        output=ActivationFormat(8, signed=True),
        **changes,
    )
    return QuantizedNetwork(
        "one", (weight.shape[1], 4, 3), ActivationFormat(4, signed=False), (layer,)
    )


def test_outcomes_are_those_of_the_damaged_network():
    program = program_of(CHAIN)  # its images have several classes
    images, labels = random_images(program.network, 0, 20), np.arange(20) % 3
    bench, found = FaultBench(program, images), list[bool]()
    campaign = Campaign(bench, sites_of(bench.reader), labels, ROMS)
    golden = bench.logits.argmax(1)
    for bit in campaign.sites.covered["weights"][::7]:
        flips, roms = {"weights": np.array([bit])}, bench.reader.roms()
        roms["weights"][bit] ^= 1
        damaged = {at: bench.reader.read(at, roms) for at in campaign.sites.layers(flips)}
        classes = bench.run(damaged).argmax(1)
        right, other = float((classes == labels).mean()), bool((classes != golden).any())
        assert campaign.outcome(flips) == Outcome(right, changed=other, resolved=True)
        found.append(other)
    assert 0 < sum(found) < len(found)


@pytest.mark.parametrize("seed", range(8))
def test_undamaged_images_give_the_network(seed):
    program = random_program(seed)
    images = random_images(program.network, seed, 5)
    bench = FaultBench(program, images)
    roms = bench.reader.roms()
    for at, layer in enumerate(program.network.layers):
        numbers = bench.reader.read(at, roms)
        assert not numbers.leaves
        for name in ("weight", "bias", "multiplier", "shift"):
            if hasattr(layer, name):
                np.testing.assert_array_equal(getattr(numbers, name), getattr(layer, name))
    last = program.network.layers[-1].name
    expected = [reference.run(program.network, image)[last].reshape(-1) for image in images]
    np.testing.assert_array_equal(bench.logits, expected)


@pytest.mark.parametrize("seed", range(8))
def test_the_definition_equals_the_compiled_code_on_damaged_layers(seed, monkeypatch):
    program = random_program(seed)
    bench = FaultBench(program, random_images(program.network, seed, 20), threads=2)
    sites, rng = sites_of(bench.reader), np.random.default_rng(seed)
    for count in (1, 1, 1, 3, 9):
        roms = bench.reader.roms()
        for rom, bits in drawn(sites.covered, count, rng).items():
            roms[rom][bits] ^= 1
        damaged = {at: bench.reader.read(at, roms) for at in range(len(program.network.layers))}
        fast = bench.run(damaged)
        with monkeypatch.context() as patch:
            patch.setattr(FaultBench, "_compiled", lambda *arguments: None)
            np.testing.assert_array_equal(bench.run(damaged), fast)
    np.testing.assert_array_equal(bench.run({}), bench.logits)  # nothing of them is left


def test_a_gap_that_flips_moves_what_follows():
    weight = np.array([5, 0, -3]).reshape(1, 1, 1, 3)
    program = compile_network(one_layer(weight, Gap(1, 1), (-3, 5)), ENGINE)
    reader = RomReader(program)
    sites = sites_of(reader)
    roms = reader.roms()
    gaps = sites.bits([(one.rom, one.field) for one in sites.places].index(("weights", "gap")))
    # three entries: weight 5 without a zero, a filler of 1 zero, weight -3
    np.testing.assert_array_equal(roms["weights"][gaps], [0, 1, 0])
    roms["weights"][gaps[1]] = 0  # the filler becomes a weight: code 0 is -3
    np.testing.assert_array_equal(reader.read(0, roms).weight.reshape(-1), [5, -3, -3])
    roms["weights"][gaps[0]] = 1  # the first weight becomes a filler
    np.testing.assert_array_equal(reader.read(0, roms).weight.reshape(-1), [0, -3, -3])


def test_a_larger_count_takes_the_entries_that_follow():
    weight = np.array([[1, 1, 0, 0], [1, 1, 1, 1]]).reshape(2, 1, 2, 2)
    network = one_layer(weight, Gap(1, 1), (1, 2))
    program = compile_network(network, ENGINE)
    reader = RomReader(program)
    sites, roms = sites_of(reader), reader.roms()
    place = [one.field for one in sites.places].index("count")
    counts = sites.bits(place)
    assert reader.read(0, roms).counts.tolist() == [2, 4]
    assert sites.position["params"][counts].tolist() == [0, 1, 0, 1]
    roms["params"][counts[1]] ^= 1
    numbers = reader.read(0, roms)
    assert numbers.counts.tolist() == [4, 4]
    # the first channel takes two entries of the second; the second ends in words of 0, which are
    # weights of code 0 as well
    np.testing.assert_array_equal(numbers.weight.reshape(2, -1), np.ones((2, 4)))


def test_an_entry_beyond_the_kernel_reads_the_rows_below_it():
    """One row of the kernel, four of the map: entries beyond are further rows, then nothing."""
    weight = np.array([[1], [1]]).reshape(2, 1, 1, 1)
    network = one_layer(weight, Dense(1), (0, 1), kind="conv")
    program = compile_network(network, ENGINE)
    reader = RomReader(program)
    image = np.arange(12).reshape(1, 1, 4, 3)
    bench = FaultBench(program, image)
    numbers = replace(
        reader.read(0, reader.roms()),
        weight=np.array([[0, 1], [1, 0]], np.int8).reshape(2, 1, 2, 1),
    )
    found = bench.run({0: numbers}).reshape(2, 4, 3)
    np.testing.assert_array_equal(found[0], np.vstack([image[0, 0, 1:], np.zeros((1, 3))]))
    np.testing.assert_array_equal(found[1], image[0, 0])


def test_a_code_beyond_the_codebook_reads_zero_behind_the_last_one():
    weight = np.array([3, 1, 2]).reshape(1, 3, 1, 1)
    program = compile_network(one_layer(weight, Dense(2), (1, 2, 3)), ENGINE)
    reader = RomReader(program)
    roms = reader.roms()
    roms["weights"][0] = 1  # code 2 becomes 3
    np.testing.assert_array_equal(reader.read(0, roms).weight.reshape(-1), [0, 1, 2])


def test_sums_wrap_and_a_multiplier_may_be_zero():
    layer = one_layer(np.array([[1], [1]]).reshape(2, 1, 1, 1), Dense(), (1,)).layers[0]
    numbers = DamagedLayer(
        weight=layer.weight,
        bias=np.array([2**15 - 1, 7]),
        multiplier=np.array([1, 0]),
        shift=np.array([0, 3]),
        counts=np.array([1, 1]),
        leaves=False,
    )
    x = np.array([0, 1, 2, 3], np.int32).reshape(1, 1, 2, 2)
    found = exact.output(layer, numbers, (x,), ActivationFormat(8, signed=True), acc_bits=16)
    assert found[0, 0].reshape(-1).tolist() == [127, -128, -128, -128]
    assert found[0, 1].reshape(-1).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_flips_in_a_map_equal_the_reference(seed):
    """The layers after a damaged map see bytes, also those that its format does not have."""
    program = random_program(seed)
    network = program.network
    images = random_images(network, seed, 6)
    bench = FaultBench(program, images)
    form = network.input_format
    rng = np.random.default_rng(seed)
    flips = (1 << rng.integers(0, 8, images.shape)).astype(np.uint8)
    found = bench.run({}, {"input": lambda part: flips[part]})
    kind = np.int8 if form.signed else np.uint8
    damaged = (images.astype(np.uint8) ^ flips).view(kind).astype(np.int64)
    last = network.layers[-1].name
    for image, logits in zip(damaged, found, strict=True):
        maps = {"input": image}
        for layer in network.layers:
            if hasattr(layer, "weight"):
                skip = maps[layer.residual.source] if layer.residual else None
                maps[layer.name] = reference.conv(maps[layer.source], layer, skip)
            else:
                limits = network.formats()[layer.name]
                pooled = reference.maxpool(maps[layer.source], layer)
                maps[layer.name] = np.clip(pooled, limits.lo, limits.hi)
        np.testing.assert_array_equal(logits, maps[last].reshape(-1))


def test_every_bit_has_a_place():
    program = random_program(0)
    reader = RomReader(program)
    sites = sites_of(reader)
    assert all((place >= 0).all() for place in sites.place.values())
    assert sum(map(len, sites.covered.values())) < program.rom_bits
    engine = program.engine
    assert sites.number("weights", 1, 2) == engine.word_bits + 2


def test_upsets_flip_their_share_of_the_bits():
    program = random_program(3)
    images = random_images(program.network, 3, 4)
    bench = FaultBench(program, images)
    campaign = Campaign(bench, sites_of(bench.reader), np.zeros(4, np.int64), ("weights",))
    rng = np.random.default_rng(0)
    outcomes, flips = campaign.upsets(0.5, 20, rng, lambda done: None)
    assert len(outcomes) == 20
    assert np.mean(flips) == pytest.approx(campaign.bits / 2, rel=0.2)
    right, changed, count = MapFlips(bench, np.zeros(4, np.int64)).upsets(1.0, rng)
    maps = sum(int(np.prod(shape)) for shape in program.network.shapes().values())
    assert count == 4 * 8 * maps
    assert len(right) == len(changed) == 4


def test_shares_are_even_and_never_above_the_sizes():
    assert shares(10, [1, 100, 100]) == [1, 5, 4]
    assert shares(1000, [1, 2, 3]) == [1, 2, 3]
    assert shares(0, [5]) == [0]


def test_the_interval_is_that_of_wilson():
    """5 of 10: Wilson's interval is 23.66 % to 76.34 % (Agresti and Coull 1998, formula 2)."""
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=5e-5)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert wilson(0.3, 0) == (0.0, 1.0)


@pytest.fixture
def place(tmp_path):
    engine = replace(small_networks.ENGINE, max_batch=1)
    network = labelled(small_networks.network(), engine, small_networks.DEVICE, {})
    save_network(network, tmp_path / "net.safetensors")
    images = random_images(network, 0, 60).astype(np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(60) % 10)
    return tmp_path


def options(place, **changes):
    return FaultsOptions(
        network=place / "net.safetensors",
        data=f"npz:{place / 'data.npz'}",
        **({"injections": 40, "trials": 3, "activations": 1} | changes),
    )


def test_the_same_seed_gives_the_same_figures(place):
    first, again = faults(options(place)), faults(options(place, threads=2))
    assert {**first, "seconds": 0} == {**again, "seconds": 0}
    assert {**faults(options(place, seed=1)), "seconds": 0} != {**first, "seconds": 0}
    assert sum(one["injections"] for one in first["fields"]) == 40
    assert [one["rate"] for one in first["rates"]] == [1e-6, 1e-5, 1e-4, 1e-3]
    assert len(first["maps"]) == 7


def test_named_bits_flip_and_nothing_else(place):
    result = faults(options(place, flip=["codebook:0:0"]))
    assert "fields" not in result
    assert result["flip"]["images_changed"] >= 0
    again = faults(options(place, flip=["codebook:0:0", "codebook:0:1"]))
    assert again["flip"]["flips"] == ["codebook:0:0", "codebook:0:1"]


def test_the_command_draws_and_lists(place, monkeypatch, capsys):
    arguments = ["faults", place / "net.safetensors", "--data", f"npz:{place / 'data.npz'}"]
    few = ["--injections", "20", "--trials", "2", "--activations", "1", "--images", "9"]
    plot = ["--plot", place / "faults.svg"]
    code, out, _ = command_line.run(monkeypatch, capsys, *arguments, *few, *plot)
    assert code == 0
    assert "one bit of a ROM flips" in out
    assert (place / "faults.svg").read_text().startswith("<?xml")
    code, out, _ = command_line.run(monkeypatch, capsys, *arguments, *few, "--json")
    assert json.loads(out)["images"] == 9


@pytest.mark.parametrize(
    ("flip", "message"),
    [
        ("weights:999999:0", r"bit 0 of word 999999 lies outside of the image of weights: it has"),
        ("codebook:0:8", r"bit 8 of word 0 lies outside of the image of codebook: .* bits 0 to 7"),
        ("lut:0:0", r"there is no ROM 'lut'; the ROMs are weights, params, codebook"),
        ("params:0:0", r"word 0 of params belongs to the descriptor of a layer"),
    ],
)
def test_bits_outside_of_the_images_are_refused(place, flip, message):
    with pytest.raises(SqhwError, match=message):
        faults(options(place, flip=[flip]))


@pytest.mark.parametrize("text", ["2", "0", "-1e-3", "nan", "1e-3,x", "inf", ""])
def test_rates_out_of_range_are_refused(text):
    with pytest.raises(SqhwError, match="--rates: an upset rate is the share of the bits that"):
        parse_rates(text)


@pytest.mark.parametrize(
    "text", ["weights", "weights:1", "weights:-1:0", "a:1:2:3", "w:" + "9" * 99]
)
def test_bits_that_do_not_read_are_refused(text):
    with pytest.raises(SqhwError, match=r"--flip: .* must read ROM:WORD:BIT"):
        parse_flip(text)
