"""Operations counted against a count one by one, and their energies against the published ones."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import networks, random_network, reads_with_one_stride

from sqhw.cost_models.activity import activity
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.rom import rom_cost
from sqhw.cost_models.schedule import schedule
from sqhw.cost_models.technology import load_technology, parse_technology
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import Conv
from sqhw.planner.placement import Placement, Tiling, place
from sqhw.verify.expected import writeback

ENGINE = EngineConfig(bank_depth=2048, requantizers=4, max_batch=4, groups=True, residuals=True)
NETWORKS = networks(branches=True).filter(reads_with_one_stride)

HOROWITZ = load_technology()
TABLE = """
name = "test"
process = "none"
source = ["here"]
add = [{ bits = 8, picojoules = 1 }]
multiply = [{ bits = 8, picojoules = 64 }]
memory = [{ bits = 1024, width = 8, picojoules = 8 }, { bits = 4096, width = 8, picojoules = 16 }]
"""


def products(layer, source, target):
    """Return the products of a layer with the map's inside, output by output, weight by weight."""
    outputs, _, kernel_h, kernel_w = layer.weight.shape
    top, _, left, _ = layer.padding
    count = 0
    for y in range(target[1]):
        for x in range(target[2]):
            for ky in range(kernel_h):
                for kx in range(kernel_w):
                    at = layer.stride * y - top + ky, layer.stride * x - left + kx
                    if 0 <= at[0] < source[1] and 0 <= at[1] < source[2]:
                        count += np.count_nonzero(layer.weight[:, :, ky, kx])
    assert outputs == target[0]
    return count


@given(NETWORKS, st.sampled_from((1, 2, 4)))
def test_counts_are_those_of_the_loops(net, batch):
    run, shapes = activity(net, ENGINE, batch), net.shapes()
    for layer, done in zip(net.layers, run.layers, strict=True):
        target = shapes[layer.name]
        outputs = batch * int(np.prod(target))
        assert done.writes.item() >= outputs
        if isinstance(layer, Conv):
            assert done.macs.item() == batch * products(layer, shapes[layer.source], target)
            skip = layer.residual and batch * shapes[layer.residual.source][0] * target[1]
            assert done.skips.item() == (skip * target[2] if skip else 0)
            assert done.comparisons.item() == 0
        else:
            assert done.macs.item() == 0
            assert done.comparisons.item() == outputs * layer.taps
    assert run.pixels == batch * np.prod(net.input_shape)
    assert run.results == batch * np.prod(shapes[net.layers[-1].name])


WRITTEN = networks(branches=True, widths=(5, 8, 9, 16, 24), whole=8).filter(reads_with_one_stride)


@given(WRITTEN, st.sampled_from((1, 2, 4)), st.sampled_from((1, 2, 4, 16)))
def test_bank_writes_are_those_of_the_rtl(net, batch, requantizers):
    """As many bytes as the engine must write back, which the benches hold every byte to."""
    engine = replace(ENGINE, lanes=16, requantizers=requantizers)
    tensors = {name: np.zeros((batch, *shape), int) for name, shape in net.shapes().items()}
    tilings = place(net, engine, batch)
    done = activity(net, engine, batch).layers
    for tiling, layer in zip(tilings, done, strict=True):
        assert layer.writes.item() == len(writeback((tiling,), tensors))


def test_bank_writes_by_hand():
    """A map of 2 channels and 3 lines of 5, of 7 positions with the padding of the input."""
    wide, plain = ((2, 3, 7), 1, 7, 16, 0), ((2, 3, 5), 1, 5, 16, 0)
    layer = random_network(0).layers[0]

    def written(source, target, requantizers, batch=1):
        maps = Placement(*source, batch), Placement(*target, batch)
        return Tiling(layer, *maps, None, 2 * batch, requantizers).written

    assert written(wide, plain, 1) == 15
    assert written(plain, plain, 4) == 32  # two tiles of 16 lanes
    aligned = ((2, 3, 8), 1, 8, 16, 0)
    assert written(aligned, ((2, 3, 5), 1, 4, 16, 0), 2) == 3 * 6  # groups of 2
    assert written(aligned, ((2, 3, 5), 2, 4, 16, 0), 2) == 3 * 8  # pairs of groups
    assert written(wide, plain, 2, batch=2) == 30


@given(NETWORKS, st.sampled_from((1, 2, 4)))
def test_every_lane_of_every_cycle_is_accounted_for(net, batch):
    run, plan = activity(net, ENGINE, batch), schedule(net, ENGINE, batch)
    roms = rom_cost(net, ENGINE).layers
    for done, planned, rom in zip(run.layers, plan.layers, roms, strict=True):
        idle = done.idle_outside + done.idle_fillers + done.idle_waiting + done.idle_overhead
        assert done.cycles.item() == planned.cycles
        assert (done.useful + idle).item() == planned.cycles * ENGINE.lanes
        parts = (done.idle_outside, done.idle_fillers, done.idle_waiting, done.idle_overhead)
        assert min(part.item() for part in parts) >= 0
        assert done.entries.item() == planned.entries * planned.tiles
        assert done.bank_reads.item() == planned.entries * planned.tiles * ENGINE.lanes
        assert done.weight_words.item() == rom.weight_words * planned.tiles
        assert done.requantizations.item() >= done.writes.item()
    assert run.total("cycles") + 1 == plan.cycles


def test_the_published_points():
    assert HOROWITZ.add(8) == pytest.approx(0.03)
    assert HOROWITZ.add(32) == pytest.approx(0.1)
    assert HOROWITZ.multiply(8, 8) == pytest.approx(0.2)
    assert HOROWITZ.multiply(32, 32) == pytest.approx(3.1)
    for bits, energy in ((65_536, 10), (262_144, 20), (8_388_608, 100)):
        assert HOROWITZ.access(bits, 64) == pytest.approx(energy)
        assert not HOROWITZ.extrapolates(bits)


def test_between_and_beyond_the_points():
    table = parse_technology(TABLE, "test.toml")
    assert table.add(24) == pytest.approx(3)
    assert table.multiply(4, 2) == pytest.approx(8)
    assert table.access(2048, 8) == pytest.approx(8 * 2**0.5)
    # four times the capacity costs twice as much, on either side too
    assert table.access(256, 8) == pytest.approx(4)
    assert table.access(16_384, 1) == pytest.approx(4)
    assert table.extrapolates(256)
    assert table.extrapolates(16_384)
    assert HOROWITZ.multiply(16, 16) == pytest.approx(HOROWITZ.multiply(32, 8))
    assert HOROWITZ.multiply(4, 4) < HOROWITZ.multiply(8, 4) < HOROWITZ.multiply(8, 8)


@given(NETWORKS)
def test_energy_is_the_sum_of_the_operations(net):
    depths = {name: depth for name, depth, _ in rom_cost(net, ENGINE).memories}
    prices = EnergyPrices(parse_technology(TABLE, "test.toml"), ENGINE, depths)
    run = activity(net, ENGINE)
    split = prices.run(run)
    assert split.total == pytest.approx(sum(split.to_dict().values()))
    # In this table a product costs a pJ for each pair of bits, an addition 1/8 pJ for each bit.
    macs = sum(w * a * count for (w, a), count in run.macs_by_width().items())
    formats = net.formats()
    skips = sum(
        done.skips.item() * 8 * formats[layer.residual.source].bits
        for layer, done in zip(net.layers, run.layers, strict=True)
        if isinstance(layer, Conv) and layer.residual
    )
    assert split.multiply == pytest.approx(macs + skips)
    compared = sum(d.comparisons.item() * d.activation_bits / 8 for d in run.layers)
    sums = (run.total("macs") + run.total("skips")) * ENGINE.acc_bits / 8 + compared
    assert split.accumulate == pytest.approx(sums)
    bank = prices.technology.access(ENGINE.bank_depth * 8, 8)
    reads = run.total("bank_reads") + run.results
    assert split.activation_reads == pytest.approx(reads * bank)
    writes = run.total("writes") + np.prod(net.input_shape)
    assert split.activation_writes == pytest.approx(writes * bank)
    assert split.scaled(0.5).total == pytest.approx(split.total / 2)


def test_notes_name_what_is_extrapolated():
    depths = {"weights": 8192, "params": 64, "codebook": 16}
    prices = EnergyPrices(HOROWITZ, ENGINE, depths)
    assert [note.partition(" of ")[0] for note in prices.notes] == [
        "activation bank", "parameter ROM", "codebook",
    ]  # fmt: skip
    assert "16,384 bit is beyond the memories of Horowitz 45 nm" in prices.notes[0]


RANGE = "multiply: picojoules must be 9e-13 to 1e+12"
MULTIPLY = "multiply: picojoules must be a number above 0, not"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "test"\n', "", "key 'name' is missing"),
        ("process", "proces", "unknown key 'proces'; did you mean 'process'?"),
        ("width = 8, picojoules = 8", "picojoules = 8", "memory: key 'width' is missing"),
        ("1024", "8192", "memory: bits must rise from point to point, not [8192, 4096]"),
        ("picojoules = 64", "picojoules = 0", f"{MULTIPLY} 0"),
        ("picojoules = 64", "picojoules = inf", "holds inf, which is no number"),
        ("bits = 8, ", "bits = 0, ", "add: bits must be a whole number of 1 or more, not 0"),
        ('["here"]', "[]", "source must be a list of 1 or more texts, not []"),
        ("[{ bits = 8, picojoules = 1 }]", "[]", "add must be a list of tables, [[add]], not []"),
    ],
)
def test_an_impossible_table_is_refused_by_file_and_key(old, new, message):
    assert old in TABLE
    with pytest.raises(SqhwError) as caught:
        parse_technology(TABLE.replace(old, new, 1), "t.toml")
    file, _, rest = str(caught.value).partition(": ")
    assert (file, rest) == ("t.toml", message)


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TABLE)
    assert load_technology(str(path)).name == "test"
    with pytest.raises(SqhwError, match=r"^unknown technology 'horowitz'; did you mean"):
        load_technology("horowitz")
    missing = re.escape(str(tmp_path / "none.toml"))
    with pytest.raises(SqhwError, match=f"^technology file {missing}: no such file$"):
        load_technology(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "picojoules = 64",
            "picojoules = 1e300",
            f"{RANGE}, not 1e+300",
        ),
        (
            "picojoules = 64",
            "picojoules = 5e-324",
            f"{RANGE}, not 5e-324",
        ),
        ("1024", "10" + "0" * 18, "memory: bits must be at most 1,000,000,000, not 10000000"),
        ("1024", "1" * 30, "holds a number of more than 20 digits"),
        ("1024", "4095", "memory: picojoules change faster than the power 8 of bits between 4095"),
        ("1024", "true", "memory: bits must be a whole number of 1 or more, not True"),
        ('"test"', "[[[[" * 100 + "]]]]" * 100, "nested more than 32 deep"),
    ],
)
def test_numbers_beyond_physics_are_refused(old, new, message):
    assert old in TABLE
    with pytest.raises(SqhwError) as caught:
        parse_technology(TABLE.replace(old, new, 1), "t.toml")
    assert str(caught.value).startswith(f"t.toml: {message}")
