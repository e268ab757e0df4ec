"""The cycles of a run by the rules of docs/engine.md alone, against the cost model.

Everything here is written from the text of "Cycles", "Pitch" and "Writing back"; of the package it
uses what the text refers to: the streams of weights and the fields of a descriptor. That the RTL
takes the cycles of the cost model is shown in tests/hdl.
"""

from math import ceil, log2

import pytest
from hypothesis import given
from small_networks import conv
from strategies import networks, random_network, reads_with_one_stride

from sqhw.cost_models.schedule import schedule
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import descriptor_fields
from sqhw.machine.number import ActivationFormat
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual

FEATURES = {"bank_depth": 16384, "groups": True, "residuals": True}
ENGINES = {
    "8 lanes": EngineConfig(lanes=8, **FEATURES),
    "4 lanes, all at once": EngineConfig(lanes=4, requantizers=4, mult_bits=3, **FEATURES),
    "16 lanes, groups of 2": EngineConfig(lanes=16, requantizers=2, max_batch=8, **FEATURES),
    "4 lanes, single port": EngineConfig(
        lanes=4, requantizers=2, bank_ram="single-port", **FEATURES
    ),
    "32 lanes, groups of 4": EngineConfig(lanes=32, requantizers=4, max_batch=2, **FEATURES),
}


def reads(layer):
    """Return the maps that a layer reads, with the stride that it reads them with."""
    found = {layer.source: layer.stride}
    if isinstance(layer, Conv) and layer.residual:
        found[layer.residual.source] = layer.residual.stride
    return found


def strides_of(network):
    return {name: stride for layer in network.layers for name, stride in reads(layer).items()}


def pitches_of(network):
    """Return the pitch of every map, by the three rules of the text."""
    shapes, strides = network.shapes(), strides_of(network)
    pitches = {name: shape[2] for name, shape in shapes.items()}  # 3: who reads none
    left = set(strides)
    while left:
        together = {left.pop()}
        while True:  # 1: linked by one layer or several
            linked = {
                name
                for layer in network.layers
                if together & set(reads(layer))
                for name in reads(layer)
            }
            if linked <= together:
                break
            together |= linked
        left -= together
        widths = [ceil(shapes[name][2] / strides[name]) for name in together]
        widths += [
            shapes[layer.name][2] for layer in network.layers if together & set(reads(layer))
        ]
        pitches |= dict.fromkeys(together, max(widths))  # 2
    return pitches


def many_at_once(layer, network, pitches, engine, batch):
    """Return whether `requantizers` bytes are written at once: the table of "Writing back"."""
    shapes, split = network.shapes(), strides_of(network).get(layer.name, 1) == 2
    count, here, there = engine.requantizers, pitches[layer.source], pitches[layer.name]
    single_line = shapes[layer.name][1] == 1
    return (
        (not split and (there == here or single_line))
        or batch >= count
        or (not split and batch == 1 and here % count == there % count == 0)
        or (
            split
            and batch == 1
            and here % (2 * count) == engine.lanes % (2 * count) == there % count == 0
        )
    )


def entries_of(layer, network):
    """Return the entries of every output channel."""
    if not isinstance(layer, Conv):
        return [layer.taps] * network.shapes()[layer.name][0]
    counts = layer.stream.encode(layer.weight, layer.codebook).counts
    return [int(count) + (layer.residual is not None) for count in counts]


def cycles_by_the_rules(network, engine, batch=1, pitches=None):
    """Return the cycles of a run."""
    lanes, count = engine.lanes, engine.requantizers
    deep = lanes >= 16
    pitches = pitches or pitches_of(network)
    words = ceil(sum(width for _, width in descriptor_fields(engine)) / engine.word_bits)
    cycles = 1
    for index, layer in enumerate(network.layers):
        _, height, width = network.shapes()[layer.name]
        tiles = ceil(((height - 1) * pitches[layer.source] + width) * batch / lanes)
        writes = lanes
        if many_at_once(layer, network, pitches, engine, batch):
            writes = lanes // count
        min_slot = max(writes, 10 if deep else 8)
        first, *others = entries_of(layer, network)
        tile = max(first + 1, min_slot) + sum(max(entries, min_slot) for entries in others)
        prepare = 1 + max(2 * int(log2(lanes)) + 1, 10 if deep else 8)
        drain = (23 if deep else 17) + ceil(log2(engine.mult_bits // 2 + 1)) + writes
        drain += 1 < count < lanes
        if engine.bank_ram == "single-port":
            tile += (1 + len(others)) * writes
            drain -= writes
        load = (3 if deep else 2) + words if index else 0
        cycles += tiles * tile + prepare + drain + load
    return cycles


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@given(network=networks(branches=True, max_layers=5).filter(reads_with_one_stride))
def test_random_networks(engine, network):
    for batch in {1, engine.max_batch}:
        assert (
            cycles_by_the_rules(network, engine, batch) == schedule(network, engine, batch).cycles
        )


def two_readers():
    """Return the example of the text: outputs 3 and 1 wide of a map of 1 x 18 x 1."""
    wide = conv("wide", "input", (1, 1, 3, 1), stride=2, padding=(1, 1, 2, 2))
    narrow = conv("narrow", "input", (1, 1, 3, 1), stride=2, padding=(1, 1, 0, 0))
    return QuantizedNetwork("two", (1, 18, 1), ActivationFormat(8, signed=False), (wide, narrow))


def skip_from_afar():
    """Return a network whose last layer adds a map that is wider than its input is."""
    layers = (
        conv("one", "input", (2, 1, 1, 1), padding=(0,) * 4),
        conv("half", "one", (2, 2, 1, 1), stride=1, padding=(0, 0, 3, 0)),
        conv("back", "half", (2, 2, 1, 4), padding=(0,) * 4, residual=Residual("input", 1)),
    )
    return QuantizedNetwork("skip", (1, 6, 7), ActivationFormat(8, signed=False), layers)


@pytest.mark.parametrize(
    ("network", "map_name", "alone"), [(two_readers(), "input", 1), (skip_from_afar(), "input", 7)]
)
def test_a_reader_or_a_skip_decides_the_pitch_of_others(network, map_name, alone):
    """A pitch of the map's own would give other cycles."""
    engine = ENGINES["8 lanes"]
    pitches = pitches_of(network)
    assert pitches[map_name] > alone
    model = schedule(network, engine).cycles
    assert cycles_by_the_rules(network, engine) == model
    assert cycles_by_the_rules(network, engine, pitches=pitches | {map_name: alone}) != model


def test_enough_random_networks_tell_a_naive_rule_from_the_right_one():
    """The rule of each layer by itself: the phase, the output, the skip, whatever is widest."""
    engine = ENGINES["8 lanes"]
    wrong = 0
    for seed in range(150):
        network = random_network(seed, branches=True, max_layers=5)
        if not reads_with_one_stride(network):
            continue
        pitches, strides = pitches_of(network), strides_of(network)
        shapes = network.shapes()
        naive = pitches | {
            layer.source: max(
                [ceil(shapes[name][2] / strides[name]) for name in reads(layer)]
                + [shapes[layer.name][2]]
            )
            for layer in network.layers
        }
        wrong += (
            cycles_by_the_rules(network, engine, pitches=naive) != schedule(network, engine).cycles
        )
    assert wrong > 3
