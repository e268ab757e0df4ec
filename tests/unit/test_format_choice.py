"""What a layer's stream takes is one number: estimated from its mask, and exported."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compiler.program import compile_network
from sqhw.compress.methods.result import LayerResult, stream_bits
from sqhw.cost_models.rom import rom_cost
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.network.simplify import simplify


def layer_of(name, source, weight):
    outputs = len(weight)
    book = tuple(int(value) for value in np.unique(weight))
    return Conv(
        name=name,
        source=source,
        weight=weight.astype(np.int8),
        bias=np.zeros(outputs, np.int32),
        multiplier=np.ones(outputs, np.int32),
        shift=np.full(outputs, 8, np.int32),
        stride=1,
        padding=(0, 0, 0, 0),
        codebook=book,
        stream=Dense().coded(len(book)),
        output=ActivationFormat(8, signed=True),
        weight_scale=np.ones(outputs),
        output_scale=1.0,
    )


def exported_bits(weight, engine):
    """Return stream and codebook bits of a layer's weights as they are exported."""
    outputs, inputs, *kernel = weight.shape
    after = np.ones((1, outputs, 1, 1), np.int8)
    layers = (layer_of("a", "input", weight), layer_of("b", "a", after))
    network = QuantizedNetwork("two", (inputs, *kernel), ActivationFormat(2, False), layers)
    small = cheapest_streams(simplify(network), engine)
    program = compile_network(small, engine)
    cost = rom_cost(small, engine)
    assert sum(image.depth * image.width for image in program.images) == cost.rom
    return cost.layers[0].stream


def estimated_bits(weight, engine):
    return stream_bits(LayerResult("a", weight.astype(np.float32), weight.size), engine)


@given(
    shape=st.tuples(*[st.integers(1, top) for top in (6, 40, 3, 3)]),
    density=st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.6, 0.95, 1.0]),
    levels=st.integers(1, 20),
    word=st.integers(8, 20),
    gap=st.integers(0, 7),
    taps=st.integers(1, 2),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_the_estimate_is_what_is_exported(shape, density, levels, word, gap, taps, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(1, levels + 1, shape) * rng.choice([-1, 1], shape)
    weight = np.where(rng.random(shape) < density, values, 0)
    engine = EngineConfig(
        word_bits=max(word, gap + 1),
        acc_bits=16,
        mult_bits=8,
        max_gap_bits=gap,
        taps_per_entry=taps,
        codebook_addr_bits=9,
    )
    assert estimated_bits(weight, engine) == exported_bits(weight, engine)


def test_entries_that_fit_no_word_are_not_counted():
    """Gap and code of the cheapest format have 11 bits here; in words of 8 bits gaps are short."""
    rng = np.random.default_rng(0)
    weight = np.zeros(64 * 512)
    places = rng.choice(weight.size, weight.size // 100, replace=False)
    weight[places] = np.resize(np.arange(1, 17), len(places))
    weight = weight.reshape(64, 512, 1, 1)
    found = []
    for word in (16, 8):
        engine = EngineConfig(word_bits=word, acc_bits=16, bank_depth=1024, max_gap_bits=7)
        found.append(estimated_bits(weight, engine))
        assert found[-1] == exported_bits(weight, engine)
    assert found[0] < 5000
    assert found[1] >= 15000
