from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from small_networks import bottlenecks
from strategies import networks, reads_with_one_stride

from sqhw.compiler.program import compile_network
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_cost
from sqhw.cost_models.schedule import run_cycles, schedule
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import (
    descriptor_bits,
    descriptor_fields,
    descriptor_words,
    pack,
    record_format,
)
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Gap
from sqhw.machine.timing import Timing
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual
from sqhw.planner.placement import phased_layers, place
from sqhw.verify.expected import written

U8 = ActivationFormat(8, signed=False)
ENGINE = EngineConfig()
EVERYTHING = EngineConfig(bank_depth=2048, requantizers=4, groups=True, residuals=True)
CHAINS = networks(groups=False, residuals=False)
ANY = networks(branches=True).filter(reads_with_one_stride)


def conv(name="conv", source="input", shape=(4, 2, 3, 3), value=5, **changes):
    out = shape[0]
    weight = np.full(shape, value, dtype=np.int8)
    layer = Conv(
        name=name,
        source=source,
        weight=weight,
        bias=np.zeros(out, dtype=np.int32),
        multiplier=np.ones(out, dtype=np.int32),
        shift=np.full(out, 8, dtype=np.int32),
        stride=1,
        padding=(1, 1, 1, 1),
        codebook=(value,),
        stream=Gap(1, 0),
        output=U8,
        weight_scale=np.ones(out),
        output_scale=1.0,
    )
    return replace(layer, **changes)


def network(*layers, shape=(2, 8, 8)):
    return QuantizedNetwork("net", shape, U8, layers)


def assert_cost(net, engine):
    program = compile_network(net, engine)
    cost = rom_cost(net, engine)
    assert cost.rom == program.rom_bits
    assert cost.memories == tuple((i.name, i.depth, i.width) for i in program.images)


@given(CHAINS)
def test_cost_model_counts_the_bits_of_the_images(net):
    assert_cost(net, ENGINE)


@given(ANY)
def test_cost_model_counts_the_bits_of_the_images_of_any_network(net):
    assert_cost(net, EVERYTHING)


def test_writable_roms_are_counted_as_ram():
    """yosys 0.70 puts a small ROM into LUTs on iCE40, a RAM of that size into a block."""
    net, device = network(conv()), find_device("iCE40UP5K")
    cost = rom_cost(net, ENGINE)
    writable = rom_cost(net, replace(ENGINE, writable=True))
    assert writable.memories == cost.memories
    assert cost.memories == (("weights", 5, 16), ("params", 18, 16), ("codebook", 1, 8))
    assert (cost.blocks(device), writable.blocks(device)) == (0, 2)


@given(ANY)
def test_images_hold_the_weights(net):
    """An independent reader finds every weight in the bits of the weight ROM."""
    program = compile_network(net, EVERYTHING)
    words, at = program.image("weights").words, 0
    for layer in net.convs:
        entries = layer.stream.encode(layer.weight, layer.codebook)
        width, count = layer.stream.entry_bits, len(entries.values)
        length = -(-count * width // ENGINE.word_bits)
        bits = sum(w << (ENGINE.word_bits * i) for i, w in enumerate(words[at : at + length]))
        fields = [(bits >> (width * i)) & ((1 << width) - 1) for i in range(count)]
        read = replace(entries, values=np.array(fields, dtype=np.int64))
        decoded = layer.stream.decode(read, layer.codebook, layer.weight.shape)
        np.testing.assert_array_equal(decoded, layer.weight)
        at += length


def test_pack_is_little_endian_across_words():
    assert pack([0b1, 0b101, 0b11111111], [1, 3, 8], 8) == [0b11111011, 0b1111]
    assert pack([], [], 8) == []
    assert pack([0, 3], [0, 2], 8) == [3]
    with pytest.raises(ValueError, match=r"^4 does not fit 2 bits$"):
        pack([4], [2], 8)


def test_descriptor_fills_whole_words():
    assert descriptor_bits(ENGINE) == sum(width for _, width in descriptor_fields(ENGINE))
    assert descriptor_words(ENGINE) * ENGINE.word_bits >= descriptor_bits(ENGINE)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"groups": True}, ["group_channels", "group_last"]),
        (
            {"residuals": True},
            [
                "skip",
                "skip_signed",
                "skip_weight",
                "skip_row",
                "skip_channels",
                "skip_first",
                "skip_last",
            ],
        ),
        ({"requantizers": 2}, ["out_walk", "out_serial"]),
        ({"max_batch": 4}, ["batch_shift"]),
        ({"maxpool": True}, ["pool"]),
        ({"max_gap_bits": 3}, ["gap_bits"]),
    ],
)
def test_descriptor_has_only_what_the_engine_has(changes, more):
    least = replace(ENGINE, maxpool=False, max_gap_bits=0)
    plain, engine = descriptor_fields(least), descriptor_fields(replace(least, **changes))
    assert [field[0] for field in engine if field not in plain] == more
    assert [field for field in engine if field[0] not in more] == list(plain)


def test_record_fields_are_the_narrowest():
    form = record_format(
        counts=np.array([7, 9, 7]),
        bias=np.array([-24, 40, 0]),
        multiplier=np.array([130, 130, 130]),
        shift=np.array([12, 13, 12]),
        word_bits=16,
    )
    # counts 7..9: 2 bits; biases -3..5 times 8: 4 bits; one multiplier: none; shifts 12..13: 1
    assert form.widths == (2, 4, 0, 0, 1)
    assert (form.count_base, form.bias_shift, form.multiplier_base, form.shift_base) == (
        7,
        3,
        130,
        12,
    )


def test_schedule_counts_slots():
    timing = Timing.of(ENGINE)
    assert timing.min_slot == 8
    # first slot: 10 entries and the rewind; a short channel takes the least slot
    assert run_cycles(np.array([10, 3, 20]), 1, timing) == 11 + 8 + 20
    assert run_cycles(np.array([7, 3]), 5, timing) == 5 * (8 + 8)


def test_schedule_adds_up():
    net = network(conv(), MaxPool("pool", "conv", 2, 2))
    timing = Timing.of(ENGINE)
    plan = schedule(net, ENGINE)
    # 8 tiles of 8 positions, 4 channels of 18 weights; 2 tiles of 4 channels
    assert [layer.run for layer in plan.layers] == [8 * (19 + 3 * 18), 2 * (4 * 8)]
    fixed = 2 * (timing.prepare + timing.drain) + timing.load
    assert plan.cycles == 1 + fixed + sum(layer.run for layer in plan.layers)


def test_least_slots():
    def least(**changes):
        timing = Timing.of(replace(ENGINE, **changes))
        return timing.min_slot, timing.min_slot_serial

    assert least() == (8, 8)
    assert least(lanes=32) == (32, 32)
    assert least(lanes=32, requantizers=2) == (16, 32)
    # The pipeline of 16 lanes and more takes two cycles more to read a channel record.
    assert least(lanes=32, requantizers=32) == (10, 32)


def test_schedule_of_a_residual_and_of_several_requantizers():
    ones = conv("ones", "wide", (2, 1, 1, 1), padding=(0, 0, 0, 0), groups=2)
    sparse = conv("sparse", "ones", (2, 2, 1, 1), padding=(0, 0, 0, 0), stream=Gap(1, 0))
    full = conv("full", "sparse", (2, 2, 3, 3), residual=Residual("wide", 3))
    half = conv("half", "full", (2, 2, 2, 2), stride=2, padding=(0, 0, 0, 0))
    wide = conv("wide", shape=(2, 2, 3, 3))
    net = network(wide, ones, sparse, full, half, shape=(2, 12, 12))
    engine = EngineConfig(lanes=32, requantizers=4, groups=True, residuals=True)
    timing = Timing.of(engine)
    assert (timing.min_slot, timing.min_slot_serial) == (10, 32)
    plan = schedule(net, engine)
    tilings = place(net, engine)
    # The map that `half` reads is stored in four phases, whose lines of 6 no groups of 4 fill, so
    # `full` writes byte by byte.
    assert [tiling.serial for tiling in tilings] == [False, False, False, True, False]
    assert [layer.tiles for layer in plan.layers] == [5, 5, 5, 5, 2]
    assert [layer.entries for layer in plan.layers] == [36, 2, 4, 38, 16]
    slots = [19 + 18, 10 + 10, 10 + 10, 32 + 32, 10 + 10]
    assert [layer.run for layer in plan.layers] == [
        5 * slots[0], 5 * slots[1], 5 * slots[2], 5 * slots[3], 2 * slots[4],
    ]  # fmt: skip
    # a residual is work as a weight a channel is
    assert plan.layers[3].bound == (36 + 2) * 144 / 32
    # Lines of 8 they do fill.
    wider = replace(net, input_shape=(2, 16, 16))
    assert not any(tiling.serial for tiling in place(wider, engine))
    assert schedule(wider, engine).layers[3].run == 8 * (20 + 19)


def test_the_last_byte_of_a_tile_of_several_groups_is_a_cycle_later():
    def drain(**changes):
        return Timing.of(replace(ENGINE, **changes)).drain

    assert drain(requantizers=8) == drain() - 7
    assert drain(requantizers=4) == drain() - 6 + 1


def test_overflowing_accumulator_is_refused():
    net = network(conv(value=127, shape=(4, 60, 3, 3)), shape=(60, 4, 4))
    with pytest.raises(SqhwError) as error:
        compile_network(net, ENGINE)
    assert str(error.value) == (
        "layer 'conv': its accumulator may reach 17487900, which needs 26 bits, but the engine's "
        "accumulators have 24; raise acc_bits to 26 or compress the layer further"
    )
    compile_network(net, replace(ENGINE, acc_bits=26))


def test_wide_multiplier_is_refused():
    net = network(conv(multiplier=np.full(4, 256, dtype=np.int32)))
    with pytest.raises(SqhwError, match=r"^layer 'conv': requantization multiplier 256 exceeds "):
        compile_network(net, ENGINE)


def test_wide_gap_is_refused():
    net = network(conv(shape=(4, 8, 3, 3), stream=Gap(3, 0)), shape=(8, 8, 8))
    with pytest.raises(SqhwError, match=r"^layer 'conv': gap field of 3 bits exceeds the "):
        compile_network(net, replace(ENGINE, max_gap_bits=2))


def test_a_gap_of_two_taps_is_refused_by_an_engine_of_one():
    net = network(conv(shape=(4, 8, 3, 3), stream=Gap(4, 0)), shape=(8, 8, 8))
    with pytest.raises(SqhwError) as error:
        compile_network(net, ENGINE)
    assert str(error.value) == (
        "layer 'conv': a gap of 4 bits skips up to 15 positions, more than the 8 that an entry of "
        "this engine may pass; raise taps_per_entry to 2 or choose the streams for this engine"
    )
    compile_network(net, replace(ENGINE, taps_per_entry=2))


def test_rom_beyond_the_address_is_refused():
    net = network(conv(shape=(40, 20, 3, 3)), shape=(20, 8, 8))
    with pytest.raises(SqhwError) as error:
        compile_network(net, replace(ENGINE, weight_addr_bits=8))
    assert str(error.value) == (
        "network 'net': the weight ROM needs 450 words, 194 more than the 256 that the "
        "engine addresses; take a larger device (--device), or raise "
        "weight_addr_bits of the engine to 9"
    )


def test_a_full_rom_with_a_pooling_behind_it():
    net = network(
        conv(shape=(4, 2, 3, 3), stream=Gap(1, 3), codebook=tuple(range(1, 9))),
        MaxPool("pool", "conv", 1, 1),
    )
    words = compile_network(net, ENGINE).depths["weights"]
    bits = (words - 1).bit_length()
    engine = replace(ENGINE, weight_addr_bits=max(4, bits), codebook_addr_bits=4)
    assert compile_network(net, engine).depths["weights"] == words
    full = replace(net.layers[0], codebook=tuple(range(1, 17)), stream=Gap(1, 4))
    program = compile_network(network(full, net.layers[1]), engine)
    assert program.depths["codebook"] == 1 << engine.codebook_addr_bits


@pytest.mark.parametrize("batch", [-1, 0, 3, 1.0, True, None])
def test_images_of_a_run_are_a_power_of_two(batch):
    with pytest.raises(SqhwError, match=f"must be a power of two, not {batch}$"):
        compile_network(network(conv()), replace(ENGINE, max_batch=4), batch)


def test_more_images_than_the_engine_takes():
    with pytest.raises(SqhwError, match=r"more than the engine's 4; take .* --max-batch 8"):
        compile_network(network(conv()), replace(ENGINE, max_batch=4), 8)


def test_more_tiles_than_rows_are_refused():
    net = network(conv(shape=(1, 1, 1, 60), padding=(30, 30, 0, 0)), shape=(1, 1, 60))
    with pytest.raises(SqhwError) as error:
        place(net, replace(ENGINE, lanes=2, bank_depth=64))
    assert str(error.value) == (
        "layer 'conv': has 1801 tiles, this engine counts at most 64; raise bank_depth or lanes"
    )


def test_maps_beyond_the_banks_are_refused():
    net = network(conv(shape=(60, 2, 3, 3)))
    with pytest.raises(SqhwError) as error:
        place(net, replace(ENGINE, bank_depth=256))
    assert str(error.value) == (
        "layer 'conv': the 2 maps in memory (input, conv) take 16 + 480 rows of the activation "
        "banks, 240 more than the bank depth of 256; a depth of 512 would do"
    )


def test_maps_of_branches_beyond_the_banks_are_refused():
    layers = conv("a"), conv("b", "a", (4, 4, 3, 3), residual=Residual("input", 1)), conv("c")
    net = network(*layers)
    with pytest.raises(SqhwError) as error:
        place(net, replace(ENGINE, bank_depth=64, residuals=True))
    assert str(error.value) == (
        "layer 'b': the 3 maps in memory (input, a, b) take 16 + 32 + 32 rows of the activation "
        "banks, 16 more than the bank depth of 64; a depth of 128 would do"
    )
    place(net, replace(ENGINE, bank_depth=128, residuals=True))


def test_max_pooling_needs_an_engine_that_takes_maxima():
    net = network(MaxPool("pool", "input", 2, 2))
    with pytest.raises(SqhwError) as error:
        compile_network(net, replace(ENGINE, maxpool=False))
    assert str(error.value) == ("layer 'pool': is a max pooling, this engine has none; set maxpool")


def test_groups_need_an_engine_that_runs_them():
    net = network(conv(shape=(4, 1, 3, 3), groups=2))
    with pytest.raises(SqhwError) as error:
        compile_network(net, replace(ENGINE, residuals=True))
    assert str(error.value) == "layer 'conv': has 2 groups, this engine runs none; set groups"
    compile_network(net, replace(ENGINE, groups=True))


def test_residuals_need_an_engine_that_adds_them():
    net = network(conv(residual=Residual("input", 1)))
    with pytest.raises(SqhwError) as error:
        compile_network(net, replace(ENGINE, groups=True))
    assert str(error.value) == (
        "layer 'conv': adds 'input', this engine adds no residuals; set residuals"
    )
    compile_network(net, replace(ENGINE, residuals=True))


@settings(max_examples=200)
@given(networks(branches=True))
def test_branches_need_one_stride_a_map(net):
    engine = EVERYTHING
    try:
        compile_network(net, engine)
    except SqhwError as error:
        assert "; this engine stores a map for one stride, " in str(error)  # noqa: PT017
        assert not reads_with_one_stride(net)
    else:
        assert reads_with_one_stride(net) or phased_layers(net)


def test_1x1_layers_compute_maps_in_phases():
    net = bottlenecks()
    tilings = place(net, EVERYTHING)
    assert {tiling.layer.name for tiling in tilings if tiling.phased} == {"a1", "b0", "b1"}
    shapes = net.shapes()
    for tiling in tilings:
        at = written(tiling)
        places = {(c, y, x) for c, y, x in zip(at.channel, at.row, at.column, strict=True)}
        every = set(np.ndindex(shapes[tiling.layer.name]))
        assert every <= places
        assert at.inside.sum() == len(every)


@pytest.mark.parametrize(
    "second",
    [
        conv("b", "input", stride=2),
        conv("b", "a", (4, 4, 3, 3), stride=2, residual=Residual("input", 1, stride=2)),
    ],
)
def test_layers_of_different_strides_on_one_map_are_refused(second):
    with pytest.raises(SqhwError) as error:
        place(network(conv("a"), second), replace(ENGINE, residuals=True))
    assert str(error.value) == (
        "layer 'b': reads 'input' with stride 2, an earlier layer with stride 1; this engine "
        "stores a map for one stride, so let one of them read a copy, made by a 1x1 convolution"
    )


@pytest.mark.parametrize(
    ("entries", "residual", "found"),
    [
        (65535, None, None),
        (65536, None, 65536),
        (65534, Residual("input", 1), None),
        (65535, Residual("input", 1), 65536),
    ],
)
def test_entries_beyond_the_counter_are_refused(entries, residual, found):
    channels = 13108
    flat = np.zeros(5 * channels, dtype=np.int8)
    flat[:entries] = 1  # in stream order: column by column, the channels innermost
    weight = flat.reshape(1, 1, 5, channels).transpose(0, 3, 1, 2)
    net = network(
        conv("wide", shape=(channels, 1, 1, 1), padding=(0, 0, 0, 0)),
        conv(
            source="wide",
            shape=weight.shape,
            weight=weight,
            codebook=(1,),
            padding=(0, 0, 2, 2),
            residual=residual,
        ),
        shape=(1, 1, 5),
    )
    engine = EngineConfig(bank_depth=32768, acc_bits=26, weight_addr_bits=16, residuals=True)
    if found is None:
        compile_network(net, engine)
        return
    with pytest.raises(SqhwError) as error:
        compile_network(net, engine)
    assert str(error.value) == (
        f"layer 'conv': a channel has {found} stream entries, at most 65535 fit a record"
    )


def test_large_maps_are_refused():
    net = network(conv(shape=(1, 1, 3, 3)), shape=(1, 64, 8))
    with pytest.raises(SqhwError, match=r"^the network's input is 64x8, this engine's maps are "):
        place(net, ENGINE)


def test_long_record_field_is_refused():
    weight = np.zeros((2, 40, 3, 3), dtype=np.int8)
    weight[0, 0, 0, 0] = 1
    weight[1] = 1
    engine = EngineConfig(word_bits=8, acc_bits=16, max_gap_bits=7)
    layer = conv(
        shape=(2, 40, 3, 3), weight=weight, codebook=(1,), output=ActivationFormat(2, signed=False)
    )
    net = QuantizedNetwork("net", (40, 2, 2), ActivationFormat(2, signed=False), (layer,))
    with pytest.raises(SqhwError, match=r"^layer 'conv': a record field of 9 bits \(the entry "):
        compile_network(net, engine)


def test_pitch_far_wider_than_the_map():
    """Rows are modulo the bank depth; a map of one line never uses its pitch."""
    layer = conv(shape=(2, 60, 1, 1), padding=(0, 0, 30, 0))
    compile_network(network(layer, shape=(60, 1, 1)), EngineConfig(lanes=2))
