"""Graphs of layers: what both kinds of network are, and the one walk through them."""

import numpy as np
import pytest
from float_networks import mobile_network, residual_network
from small_networks import network

from sqhw.compress.qat.network import QatNetwork
from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Gap
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.graph import INPUT, MaxPool
from sqhw.network.masked import MaskedConv, MaskedNetwork
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.network.walk import run_graph


def test_readers_are_those_that_read_or_add_a_tensor():
    residual = residual_network()
    readers = {name: [r.name for r in residual.readers(name)] for name in residual.shapes()}
    for layer in residual.layers:
        for tensor in layer.sources:
            assert layer.name in readers[tensor]
    assert sum(map(len, readers.values())) == sum(len(set(x.sources)) for x in residual.layers)
    assert len(readers["stem"]) == 2  # the block's first layer, and the skip to its last
    assert readers[residual.layers[-1].name] == []


def test_maps_are_bytes_without_sign_after_a_relu():
    floats = mobile_network()
    formats = floats.formats()
    assert formats[INPUT] == ActivationFormat(8, signed=False)
    for layer in floats.convs:
        assert formats[layer.name] == ActivationFormat(8, signed=not layer.relu)
    assert formats["pool"] == formats["p2"] == ActivationFormat(8, signed=True)
    assert QatNetwork(floats).input_format == formats[INPUT]
    assert FloatNetwork(
        "n", (1, 1, 1), 16, (0.0,), (1.0,), (FloatConv("a", INPUT, *_one()),)
    ).pixel_format == ActivationFormat(5, signed=False)


def _one():
    return np.ones((1, 1, 1, 1), np.float32), np.ones(1, np.float32)


@pytest.mark.parametrize("make", [network, residual_network, mobile_network])
def test_a_walk_visits_each_layer_once_and_holds_what_is_still_read(make):
    graph = make()
    visited, most = [], 0

    def conv(layer, tensors):
        nonlocal most
        later = graph.layers[[one.name for one in graph.layers].index(layer.name) :]
        wanted = {tensor for one in later for tensor in one.sources}
        assert set(tensors) == wanted & {INPUT, *visited}
        assert all(tensors[source] == f"<{source}>" for source in layer.sources)
        most = max(most, len(tensors))
        visited.append(layer.name)
        return f"<{layer.name}>"

    def pool(layer, x):
        assert x == f"<{layer.source}>"
        visited.append(layer.name)
        return f"<{layer.name}>"

    last = graph.layers[-1].name
    assert run_graph(graph, f"<{INPUT}>", conv, pool) == f"<{last}>"
    assert visited == [layer.name for layer in graph.layers]
    assert most < len(graph.layers)


def test_a_float_layer_is_zero_where_nothing_can_come_out():
    weight = np.zeros((4, 1, 1, 1), np.float32)
    weight[0] = 1
    bias = np.array([0, 0, -1, 1], np.float32)
    for relu, zero in ((True, [False, True, True, False]), (False, [False, True, False, False])):
        layer = FloatConv("a", INPUT, weight, bias, relu=relu)
        assert layer.zero_channels().tolist() == zero


def test_pools_alone_are_no_float_network():
    with pytest.raises(SqhwError, match=r"^network 'n' has no layer with weights$"):
        FloatNetwork("n", (1, 4, 4), 16, (0.0,), (1.0,), (MaxPool("p", INPUT, 2, 2),))
    with pytest.raises(SqhwError, match=r"^network 'n' has no layers$"):
        FloatNetwork("n", (1, 4, 4), 16, (0.0,), (1.0,), ())


def masked(numbers, stream):
    weight = np.array(numbers, np.uint8).reshape(1, -1, 1, 1)
    one = np.ones(1, np.int32)
    return MaskedConv(
        name="a",
        source=INPUT,
        weight=weight,
        width=8,
        bias=one,
        multiplier=one,
        shift=one - 1,
        stride=1,
        padding=(0, 0, 0, 0),
        stream=stream,
        output=ActivationFormat(8, signed=False),
        kind="conv",
        groups=1,
        residual=None,
    )


@pytest.mark.parametrize(
    ("numbers", "levels", "dense", "gap"),
    [([1, 2, 0, 2], 2, 3, 2), ([3, 1, 1, 3], 2, 2, 2), ([0, 0, 0, 0], 1, 1, 1), ([7] * 4, 1, 1, 1)],
)
def test_a_mask_has_the_codebook_of_integers_at_its_places(numbers, levels, dense, gap):
    for stream, size in ((Dense(2), dense), (Gap(1, 2), gap)):
        layer = masked(numbers, stream)
        assert (layer.levels, layer.codebook_size) == (levels, size)
        book = tuple(sorted({*numbers} if stream.stores_zeros else {*numbers} - {0})) or (1,)
        integers = Conv(
            **{name: getattr(layer, name) for name in ("name", "source", "stride", "padding")},
            weight=layer.weight.astype(np.int8),
            bias=layer.bias,
            multiplier=layer.multiplier,
            shift=layer.shift,
            codebook=book,
            stream=stream,
            output=layer.output,
            weight_scale=np.ones(1),
            output_scale=1.0,
        )
        assert (integers.levels, integers.codebook_size) == (levels, size)
        pixels = ActivationFormat(8, signed=False)
        costs = [
            rom_cost(kind("n", (4, 2, 2), pixels, (one,)), EngineConfig())
            for kind, one in ((MaskedNetwork, layer), (QuantizedNetwork, integers))
        ]
        assert costs[0] == costs[1]
