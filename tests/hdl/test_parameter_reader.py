import random
from dataclasses import replace

import numpy as np
import pytest
from hdl.support import FEATURES, SIGNED, descriptors, drive, observe, random_program, simulate
from strategies import random_network

from sqhw.compiler.program import compile_network
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import (
    COUNT_BITS,
    descriptor_fields,
    descriptor_words,
    pack,
    pack_descriptor,
    record_format,
    record_values,
)
from sqhw.machine.timing import Timing, fetch_cycles
from sqhw.network.quantized import Conv
from sqhw.rtl.parameter_reader import ParameterReader

FRAMES = 2
RECORD = ("count", "bias", "multiplier", "shift")


def check(engine, words, layers, rng, tiles=2, pause=3):
    """Load every layer and fetch its records as the sequencer does, for some frames.

    `layers` holds the descriptor and the list of records of every layer.
    """
    reader = ParameterReader(engine)
    seen = 0

    async def wait(ctx, cycles):
        for _ in range(cycles):
            await ctx.tick()

    async def pulse(ctx, **inputs):
        """Give a command for one cycle; its operands mean nothing afterwards."""
        drive(ctx, reader.commands, inputs)
        await ctx.tick()
        drive(ctx, reader.commands, {name: 0 for name in ("load", "fetch")})
        drive(ctx, reader.commands, {name: rng.randint(0, 1) for name in ("restart", "rewind")})

    async def bench(ctx):
        nonlocal seen
        await wait(ctx, rng.randint(0, 3))
        for index in range(FRAMES * len(layers)):
            layer = index % len(layers)
            descriptor, records = layers[layer]
            await pulse(ctx, load=1, restart=int(layer == 0))
            await wait(ctx, Timing.of(engine).load - 1)
            assert observe(ctx, reader, ["descriptor"])["descriptor"] == descriptor
            channels = [*range(len(records))] * tiles
            await wait(ctx, rng.randint(0, pause))
            for channel in channels:
                # The record of channel 0 is fetched when the last channel begins.
                await pulse(ctx, fetch=1, rewind=int(channel == 0))
                await wait(ctx, fetch_cycles(engine) - 1)
                for _ in range(rng.randint(0, pause) + 1):
                    out = observe(ctx, reader, ["record", "descriptor"])
                    assert out == {"record": records[channel], "descriptor": descriptor}
                    seen += 1
                    await wait(ctx, rng.randint(0, 1))

    simulate(reader, bench, rom=words)
    return seen


def program_layers(program):
    """Return descriptor and records of every layer of a program, the records from the network."""
    layers = []
    for tiling, descriptor in zip(program.tilings, descriptors(program), strict=True):
        layer, channels = tiling.layer, tiling.target.shape[0]
        if isinstance(layer, Conv):
            counts = layer.stream.encode(layer.weight, layer.codebook).counts
            columns = counts, layer.bias, layer.multiplier, layer.shift
        else:
            columns = tuple(np.full(channels, v) for v in (layer.taps, 0, 1, 0))
        layers.append((descriptor, rows(*columns)))
    return layers


def rows(*columns):
    """Return the records of arrays of counts, biases, multipliers and shifts."""
    table = zip(*(column.tolist() for column in columns), strict=True)
    return [dict(zip(RECORD, row, strict=True)) for row in table]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("features", FEATURES)
def test_random_programs(features, seed):
    engine = EngineConfig(requantizers=1 << seed, **FEATURES[features])
    program = random_program(seed, engine, **FEATURES[features])
    layers = program_layers(program)
    assert check(engine, program.image("params").words, layers, random.Random(seed))
    assert [descriptor["last"] for descriptor, _ in layers] == [0] * (len(layers) - 1) + [1]


def random_descriptor(rng, engine):
    fields = {}
    for name, width in descriptor_fields(engine):
        low = -(1 << width) // 2 if name in SIGNED else 0
        fields[name] = rng.choice([low, low + (1 << width) - 1, low + rng.getrandbits(width)])
    return fields


def image(engine, rng, tables):
    """Return the ROM and the layers of tables of (counts, bias, multiplier, shift).

    All fields of the descriptors that do not matter here are random.
    """
    descriptors_, records, layers = [], [], []
    for columns in tables:
        form = record_format(*columns, engine.word_bits)
        count, low, high, multiplier, shift = form.widths
        fields = random_descriptor(rng, engine) | {
            "param_addr": descriptor_words(engine) * len(tables) + len(records),
            "count_base": form.count_base,
            "count_width": count,
            "bias_lo_width": low,
            "bias_hi_width": high,
            "bias_shift": form.bias_shift,
            "multiplier_base": form.multiplier_base,
            "multiplier_width": multiplier,
            "shift_base": form.shift_base,
            "shift_width": shift,
        }
        values = record_values(form, *columns)
        widths = list(form.widths) * len(values)
        records += pack(values.reshape(-1).tolist(), widths, engine.word_bits)
        descriptors_ += pack_descriptor(fields, engine)
        layers.append((fields, rows(*columns)))
    return descriptors_ + records, layers


def random_table(rng, engine, biases):
    channels = len(biases)
    draw = [
        [rng.randint(1, 1 << width) - 1 for _ in range(channels)]
        for width in (
            rng.randint(0, min(COUNT_BITS, engine.word_bits)),
            rng.randint(0, engine.mult_bits),
        )
    ]
    low, high = sorted((rng.randint(0, 31), rng.randint(0, 31)))
    shifts = [rng.randint(low, high) for _ in range(channels)]
    return tuple(np.array(column) for column in (draw[0], biases, draw[1], shifts))


ENGINES = {
    "16-bit words": EngineConfig(acc_bits=32, mult_bits=16),
    "8-bit words": EngineConfig(acc_bits=16, word_bits=8, max_gap_bits=7),
    "13-bit words": EngineConfig(acc_bits=26, mult_bits=13, word_bits=13),
    "18-bit words": EngineConfig(acc_bits=32, mult_bits=9, word_bits=18, lanes=16),
    "32-bit words": EngineConfig(acc_bits=32, word_bits=32),
    "64-bit words": EngineConfig(
        acc_bits=30, word_bits=64, mult_bits=1, groups=True, residuals=True, requantizers=2
    ),
}


@pytest.mark.parametrize("name", ENGINES)
def test_biases_of_every_width(name):
    engine = ENGINES[name]
    rng = random.Random(name)
    tables = []
    for width in range(1, engine.acc_bits + 1):
        # The largest, smallest and some other numbers of that width.
        end = 1 << (width - 1)
        biases = [end - 1, -end, 0, -1, rng.randrange(-end, end)]
        rng.shuffle(biases)
        tables.append(random_table(rng, engine, biases[: rng.randint(1, 5)]))
    check(engine, *image(engine, rng, tables), rng, tiles=1, pause=1)


@pytest.mark.parametrize("name", ENGINES)
def test_biases_with_zeros_at_the_bottom(name):
    engine = ENGINES[name]
    rng = random.Random(name)
    tables = []
    for zeros in range(engine.acc_bits):
        end = 1 << (engine.acc_bits - 1 - zeros)
        biases = [rng.randrange(-end, end) << zeros for _ in range(rng.randint(1, 3))]
        tables.append(random_table(rng, engine, [*biases, rng.choice([-end, 0]) << zeros]))
    check(engine, *image(engine, rng, tables), rng, tiles=1, pause=1)


def test_records_without_a_bit():
    """Records without bits: all channels are alike, and only the bases count."""
    engine = EngineConfig()
    columns = (np.full(4, 9), np.zeros(4, int), np.full(4, 200), np.full(4, 31))
    rom, layers = image(engine, random.Random(0), [columns] * 2)
    assert len(rom) == 2 * descriptor_words(engine)
    check(engine, rom, layers, random.Random(0), tiles=3)


def test_the_largest_fields():
    engine = ENGINES["16-bit words"]
    ends = (1 << COUNT_BITS) - 1, (1 << 31) - 1, (1 << 16) - 1, 31
    columns = tuple(
        np.array([low, high, low, high])
        for low, high in zip((0, -(1 << 31), 0, 0), ends, strict=True)
    )
    rom, layers = image(engine, random.Random(0), [columns])
    assert layers[0][1][1] == dict(zip(RECORD, ends, strict=True))
    check(engine, rom, layers, random.Random(0))


@pytest.mark.parametrize(
    "bias",
    [[2**31 - 2**23], [2**23 - 2**31, 1], [2**30, -(2**30)], [32768, -32768], [65536, 1], [-1]],
)
def test_compiled_biases_wider_than_a_word(bias):
    engine = EngineConfig(acc_bits=32)
    network = next(
        network
        for seed in range(1000)
        for network in [random_network(seed, **FEATURES["chains"])]
        if isinstance(network.layers[0], Conv) and network.layers[0].weight.shape[0] == len(bias)
    )
    layer = replace(network.layers[0], bias=np.array(bias, np.int32))
    network = replace(network, layers=(layer,))
    program = compile_network(network, engine)
    layers = program_layers(program)
    assert [record["bias"] for record in layers[0][1]] == bias
    check(engine, program.image("params").words, layers, random.Random(0))
