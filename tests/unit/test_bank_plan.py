"""No map is overwritten while a later layer reads it, and the banks are used to the last row."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import networks, reads_with_one_stride

from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense
from sqhw.network.graph import INPUT, MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual
from sqhw.planner.bank_plan import assign_rows
from sqhw.planner.placement import network_maps, place

U8 = ActivationFormat(8, signed=False)
BRANCHES = {"branches": True, "max_layers": 8, "max_size": 3, "max_padding": 1}


@dataclass(frozen=True)
class Map:
    rows: int
    base: int = 0
    shape: int = 0  # maps of the same shape and rows lie alike; 0 lies like nothing else

    def alike(self, other):
        return self.shape == other.shape != 0 and self.rows == other.rows


def heir(network, maps, index):
    """Return the map whose rows a layer takes over: a skip connection that nobody reads later."""
    layer = network.layers[index]
    residual = layer.residual if isinstance(layer, Conv) else None
    later = {tensor for other in network.layers[index + 1 :] for tensor in other.sources}
    if residual and residual.source not in {layer.source, *later}:
        if maps[layer.name].alike(maps[residual.source]):
            return residual.source
    return None


def live(network, maps):
    """Return for every layer the maps that it reads, writes or leaves for a later one.

    Of two maps in the same rows the earlier one is named.
    """
    found = []
    for index, layer in enumerate(network.layers):
        made = {INPUT, *(other.name for other in network.layers[:index])}
        wanted = {tensor for other in network.layers[index:] for tensor in other.sources}
        written = set() if heir(network, maps, index) else {layer.name}
        found.append((made & wanted) | written)
    return found


def peak(network, maps):
    return max(sum(maps[name].rows for name in names) for names in live(network, maps))


def assert_sound(network, maps, depth):
    """Check a plan: the same maps, within the banks, apart while they live."""
    plan = assign_rows(network, maps, depth)
    assert {name: replace(found, base=0) for name, found in plan.items()} == dict(maps)
    assert plan[INPUT].base == 0
    for index, layer in enumerate(network.layers):
        skip = heir(network, maps, index)
        assert not skip or plan[skip].base == plan[layer.name].base
    for names in live(network, maps):
        taken = sorted((plan[name].base, plan[name].base + plan[name].rows) for name in names)
        assert taken[0][0] >= 0
        assert taken[-1][1] <= depth
        assert all(one[1] <= other[0] for one, other in pairwise(taken)), plan


def message(network, maps, depth):
    with pytest.raises(SqhwError) as error:
        assign_rows(network, maps, depth)
    return str(error.value)


@st.composite
def networks_with_maps(draw):
    """Draw a network with branches and for its tensors maps of any size."""
    network = draw(networks(**BRANCHES))
    rows, shape = st.integers(1, 40), st.integers(0, 2)
    sizes = {0: None, 1: draw(rows), 2: draw(rows)}
    maps = {}
    for name in network.shapes():
        kind = draw(shape)
        maps[name] = Map(sizes[kind] or draw(rows), shape=kind)
    return network, maps


@given(networks_with_maps(), st.integers(0, 40))
def test_live_maps_never_overlap(case, spare):
    network, maps = case
    depth = peak(network, maps) + spare
    refusal = None
    try:
        assert_sound(network, maps, depth)
    except SqhwError as error:
        refusal = str(error)
    if refusal:
        assert refusal == (
            f"network 'random': its maps fit {depth} bank rows only in pieces; "
            f"a depth of {2 * depth} would do"
        )
        assert_sound(network, maps, 2 * depth)


@given(networks_with_maps(), st.integers(1, 40))
def test_too_few_rows_are_refused_with_a_depth_that_would_do(case, missing):
    network, maps = case
    depth = peak(network, maps) - missing
    assume(depth > 0)
    found = re.fullmatch(
        r"layer '\w+': the \d+ maps in memory \([\w, ]+\) take [\d +]+ rows of the activation "
        rf"banks, {missing} more than the bank depth of {depth}; a depth of (\d+) would do",
        message(network, maps, depth),
    )
    assert found
    enough = int(found[1])
    assert enough & (enough - 1) == 0
    assert enough // 2 < peak(network, maps) <= enough


@given(networks(branches=True).filter(reads_with_one_stride), st.sampled_from([2, 4, 16]))
def test_maps_as_they_are_stored(network, lanes):
    maps = network_maps(network, lanes)
    assert_sound(network, maps, 2 * peak(network, maps))


@given(networks(branches=True).filter(reads_with_one_stride))
def test_tiles_are_placed_as_planned(network):
    engine = EngineConfig(bank_depth=2048, groups=True, residuals=True)
    plan = assign_rows(network, network_maps(network, engine.lanes), engine.bank_depth)
    for tiling in place(network, engine):
        layer = tiling.layer
        assert tiling.source == plan[layer.source]
        assert tiling.target == plan[layer.name]
        residual = layer.residual if isinstance(layer, Conv) else None
        assert tiling.skip == (plan[residual.source] if residual else None)


def pools(*sources):
    """Return a network of layers a, b, c... that each read one of the maps before."""
    layers = [MaxPool("abcdefgh"[index], source, 1, 1) for index, source in enumerate(sources)]
    return QuantizedNetwork("net", (1, 1, 1), U8, tuple(layers))


def test_a_chain_alternates_between_the_ends():
    network = pools("input", "a", "b")
    maps = {name: Map(rows) for name, rows in zip(["input", *"abc"], [6, 4, 5, 5], strict=True)}
    plan = assign_rows(network, maps, 10)
    assert {name: found.base for name, found in plan.items()} == {
        "input": 0,
        "a": 6,
        "b": 0,
        "c": 5,
    }


def test_a_map_is_kept_for_its_last_reader_and_no_longer():
    network = pools("input", "a", "input", "c")
    maps = {name: Map(4) for name in network.shapes()}
    # The input waits for c, while b takes rows that nobody reads; c and d find those of a and b.
    assert_sound(network, maps, 12)
    assert message(network, maps, 11) == (
        "layer 'b': the 3 maps in memory (input, a, b) take 4 + 4 + 4 rows of the activation "
        "banks, 1 more than the bank depth of 11; a depth of 16 would do"
    )


def test_the_layer_that_needs_most_is_the_one_that_is_named():
    network = pools("input", "a")
    maps = {"input": Map(5), "a": Map(6), "b": Map(30)}
    assert message(network, maps, 8) == (
        "layer 'b': the 2 maps in memory (a, b) take 6 + 30 rows of the activation banks, 28 more "
        "than the bank depth of 8; a depth of 64 would do"
    )


def test_maps_that_fit_only_in_pieces():
    # a and b fill the rows 1 to 6 under the input. If b takes 1 to 3, row 0 is lost to c and d,
    # which need all that b leaves; if it takes 4 to 6, c must be at 2 for d to get the input's
    # row, and then e finds three rows above c and two below.
    network = pools("input", "a", "input", "b", "c")
    rows = {"input": 1, "a": 3, "b": 3, "c": 2, "d": 2, "e": 4}
    maps = {name: Map(number) for name, number in rows.items()}
    assert peak(network, maps) == 7
    assert message(network, maps, 7) == (
        "network 'net': its maps fit 7 bank rows only in pieces; a depth of 14 would do"
    )
    assert_sound(network, maps, 8)


def conv(name, source, channels, out_channels, size=3, **changes):
    layer = Conv(
        name=name,
        source=source,
        weight=np.ones((out_channels, channels, size, size), np.int8),
        bias=np.zeros(out_channels, np.int32),
        multiplier=np.ones(out_channels, np.int32),
        shift=np.full(out_channels, 8, np.int32),
        stride=1,
        padding=(size // 2,) * 4,
        codebook=(1,),
        stream=Dense(),
        output=U8,
        weight_scale=np.ones(out_channels),
        output_scale=1.0,
    )
    return replace(layer, **changes)


def resnet(widths, blocks, size):
    """Return a residual network: stages of basic blocks, shortcuts without parameters."""
    layers, source, channels = [conv("stem", INPUT, 3, widths[0])], "stem", widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            name, stride = f"s{stage}b{block}", 2 if stage and not block else 1
            first = (width - channels) // 2
            skip = Residual(source, weight=16, stride=stride, first=first)
            layers.append(conv(f"{name}a", source, channels, width, stride=stride))
            layers.append(conv(f"{name}b", f"{name}a", width, width, residual=skip))
            source, channels = f"{name}b", width
    last = size >> (len(widths) - 1)
    mean = np.ones((channels, 1, last, last), np.int8)
    none = (0, 0, 0, 0)
    layers.append(
        conv(
            "mean", source, 1, channels, weight=mean, groups=channels, padding=none, kind="avgpool"
        )
    )
    layers.append(conv("fc", "mean", channels, 10, size=1, kind="linear"))
    return QuantizedNetwork("resnet", (3, size, size), U8, tuple(layers))


@pytest.mark.parametrize("lanes", [4, 16, 32])
@pytest.mark.parametrize(("widths", "blocks"), [((8, 16, 32), 3), ((16, 24), 2), ((5,), 4)])
def test_residual_blocks_are_planned_at_their_peak(widths, blocks, lanes):
    network = resnet(widths, blocks, size=16)
    maps = network_maps(network, lanes)
    depth = peak(network, maps)
    assert_sound(network, maps, depth)
    assert live(network, maps)[2] == {"stem", "s0b0a"}  # the second layer of a block adds in place
    with pytest.raises(SqhwError, match=", 1 more than the bank depth of "):
        assign_rows(network, maps, depth - 1)


@pytest.mark.parametrize(("wider", "pitch"), [(0, 7), (6, 11)])
def test_a_residual_is_read_with_the_pitch_of_the_input(wider, pitch):
    # a and b leave 5 of the input's 7 columns; b reads a as it reads the input, c reads a too.
    valid = {"padding": (0, 0, 0, 0)}
    layers = (
        conv("a", INPUT, 2, 2, **valid),
        conv("b", INPUT, 2, 2, **valid, residual=Residual("a", 1)),
        conv("c", "a", 2, 2, size=1, padding=(0, 0, wider, 0)),
    )
    maps = network_maps(QuantizedNetwork("net", (2, 7, 7), U8, layers), 4)
    pitches = {name: found.pitch for name, found in maps.items()}
    assert pitches == {"input": pitch, "a": pitch, "b": 5, "c": 5 + wider}
    assert maps["a"].rows == 2 * -(-(4 * pitch + 5) // 4)  # two channels of positions in 4 banks
