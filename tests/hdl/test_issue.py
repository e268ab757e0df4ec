"""Kernel taps and addresses from entries, with streams and descriptors of random networks."""

import random

import numpy as np
import pytest
from hdl.support import FEATURES, Timeline, clocked, descriptors, layer_inputs, random_program

from sqhw.compiler.program import compile_network
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import Dense
from sqhw.machine.stream.places import channel_order
from sqhw.machine.timing import (
    ISSUE_CYCLES,
    TAP_CYCLES,
    Timing,
    accumulate_cycles,
    is_deep,
    rom_cycles,
)
from sqhw.network.graph import MaxPool
from sqhw.rtl.issue import Issue

OUTPUTS = (
    "taps.valid", "taps.first", "taps.last", "taps.new_tile", "taps.useful", "taps.x", "taps.y",
    "address.row", "address.lane", "address.channels", "code_addr", "results.end_of_map",
)  # fmt: skip
ENGINES = {
    "2 lanes": ({"lanes": 2}, "chains"),
    "8 lanes, everything": (
        {"lanes": 8, "word_bits": 18, "max_batch": 4, "requantizers": 2, "taps_per_entry": 2},
        "both",
    ),
    "16 lanes, residuals": ({"lanes": 16, "requantizers": 4}, "residuals"),
    "4 lanes, groups": ({"lanes": 4, "max_gap_bits": 3}, "groups"),
}
LIMITS = {"max_size": 6, "max_layers": 4, "max_channels": 5}


def weights_of(layer, channel):
    """Return (y, x, input channel of the group, weight) of each entry of a channel."""
    if isinstance(layer, MaxPool):
        return [(y, x, 0, None) for y in range(layer.window[0]) for x in range(layer.window[1])]
    _, channels, height, width = layer.weight.shape
    flat = channel_order(layer.weight)[channel]
    places = range(len(flat)) if isinstance(layer.stream, Dense) else np.flatnonzero(flat)
    shape = (height, width, channels)
    return [(*np.unravel_index(place, shape), flat[place]) for place in places]


def counts_of(layer, channels):
    """Return the entries of each channel in the weight stream."""
    if isinstance(layer, MaxPool):
        return [layer.taps] * channels
    return layer.stream.encode(layer.weight, layer.codebook).counts.tolist()


def place_of(plane, tile, x, y, channel):
    """Return row and bank of a position of a map; both move on with the tile."""
    phase = 2 * (y % plane.split) + x % plane.split
    element = (y // plane.split * plane.pitch + x // plane.split) * plane.batch
    carry, lane = divmod(element + tile * plane.lanes, plane.lanes)
    return plane.base + phase * plane.phase_rows + carry * plane.shape[0] + channel, lane


class Run:
    """Issues the entries of layers as the sequencer does, and knows the meaning of each."""

    def __init__(self, program, rng):
        self.program = program
        self.engine = program.engine
        self.issue = Issue(self.engine)
        self.rng = rng
        self.line = Timeline()
        self.cycle = 10
        self.slots = []
        self.results = []  # (cycle of the address, row, bank, whether the map ends)
        for layer, tiling, table in zip(
            program.network.layers, program.tilings, descriptors(program), strict=True
        ):
            self.layer(layer, tiling, table)
        self.output(program.tilings[-1].target)

    def layer(self, layer, tiling, table):
        """Issue all entries of a layer."""
        engine, line = self.engine, self.line
        line.set(self.cycle, layer_inputs(self.issue, table))
        if engine.max_batch > 1:
            line.set(self.cycle, {"batch": self.program.batch})
        self.cycle += 5
        line.pulse(self.cycle, "phases.prepare", "entries.rewind")
        self.cycle += Timing.of(engine).prepare
        channels = tiling.target.shape[0]
        counts = counts_of(layer, channels)
        for tile in range(tiling.tiles):
            for channel in range(channels):
                self.cycle += 1  # a slot begins one cycle after the last entry of the one before
                self.slot(layer, tiling, table, tile, channel, counts[channel])
            line.pulse(self.cycle, "entries.rewind")
        self.cycle += accumulate_cycles(engine)

    def slot(self, layer, tiling, table, tile, channel, count):
        """Issue the entries of a channel after a pause."""
        engine, line, rng = self.engine, self.line, self.rng
        offset = unused = 0
        if engine.groups:
            offset = channel // (table["group_last"] + 1) * table["group_channels"]
        else:
            unused = rng.randrange(16)
        line.set(self.cycle, {"entries.channel": channel, "entries.offset": offset + unused})
        self.cycle += int(channel == 0) + rng.choice([0, 0, 1, 3])
        skip = tiling.skip is not None
        cycles = [*range(self.cycle, self.cycle + count + skip)]
        for cycle in cycles:
            line.pulse(cycle, "entries.valid")
        line.pulse(cycles[0], "entries.first", *["entries.skip"] * skip)
        line.pulse(cycles[skip], "entries.begin")
        line.pulse(cycles[-1], "entries.last")
        new_tile = tile > 0 and channel == 0
        if new_tile:
            line.pulse(cycles[0], "entries.new_tile")
        residual = None
        if skip:
            row = (table["skip_row"] + tile * table["skip_channels"] + channel) % engine.bank_depth
            residual = table["skip_first"] <= channel <= table["skip_last"], (row, 0)
        first = offset
        if isinstance(layer, MaxPool) and not engine.groups:
            first = channel
        taps = [
            self.tap(layer, tiling.source, tile, (x, y, first + inner), weight)
            for y, x, inner, weight in weights_of(layer, channel)
        ]
        self.slots.append((cycles, new_tile, residual, taps))
        self.cycle = cycles[-1]

    def tap(self, layer, source, tile, place, weight):
        """Return offset of a tap, row and bank of its vector, weight."""
        top, _, left, _ = getattr(layer, "padding", (0, 0, 0, 0))
        x, y = int(place[0]) - left, int(place[1]) - top
        row, lane = place_of(source, tile, x, y, int(place[2]))
        return x, y, row % self.engine.bank_depth, lane, weight

    def output(self, target):
        """Walk over the results."""
        channels, height, width = target.shape
        line, late = self.line, ISSUE_CYCLES + TAP_CYCLES + Issue.ROW_CYCLES
        line.set(self.cycle, {"results.active": 1})
        self.cycle += 4  # the walker is on another map
        places = [(x, y) for y in range(height) for x in range(width)]
        for index, (x, y) in enumerate(places):
            line.pulse(self.cycle, "results.step" if index else "results.first")
            for channel in range(channels):
                line.set(self.cycle + ISSUE_CYCLES, {"entries.channel": channel})
                row, lane = place_of(target, 0, x, y, channel)
                end = (x, y) == places[-1]
                self.results.append((self.cycle + late, row, lane, channels, end))
                self.cycle += 1
            self.cycle += self.rng.randrange(3)
        self.cycle += 10

    def check(self):
        """Run the issue and compare; return the number of fillers."""
        engine, issue = self.engine, self.issue
        rom = self.program.image("weights").words
        seen = clocked(
            issue, self.line.stimulus(self.cycle), OUTPUTS, rom, rom_cycles(engine, "weights")
        )
        busy = [cycle + issue.latency for cycles, *_ in self.slots for cycle in cycles]
        assert [cycle for cycle, out in enumerate(seen) if out["taps.valid"]] == busy
        codebook = self.program.image("codebook").words
        fillers = 0
        for cycles, new_tile, residual, expected in self.slots:
            taps = [seen[cycle + issue.latency] for cycle in cycles]
            assert [tap["taps.first"] for tap in taps] == [1, *[0] * (len(taps) - 1)]
            assert [tap["taps.last"] for tap in taps] == [*[0] * (len(taps) - 1), 1]
            assert [tap["taps.new_tile"] for tap in taps] == [new_tile, *[0] * (len(taps) - 1)]
            if residual is not None:
                useful, place = residual
                address = seen[cycles[0] + issue.latency + Issue.ROW_CYCLES]
                assert taps[0]["taps.useful"] == useful
                assert not useful or (address["address.row"], address["address.lane"]) == place
                cycles, taps = cycles[1:], taps[1:]
            found = []
            for cycle, tap in zip(cycles, taps, strict=True):
                if not tap["taps.useful"]:
                    fillers += 1
                    continue
                address = seen[cycle + issue.latency + Issue.ROW_CYCLES]
                place = address["address.row"], address["address.lane"]
                code = seen[cycle + issue.latency - Issue.CODE_CYCLES + is_deep(engine)]
                found.append((tap["taps.x"], tap["taps.y"], *place, code["code_addr"]))
            assert [tap for *tap, _ in found] == [[*tap] for *tap, _ in expected]
            for (*_, code), (*_, weight) in zip(found, expected, strict=True):
                assert weight is None or signed(codebook[code]) == weight
        for cycle, row, lane, channels, end in self.results:
            out = seen[cycle]
            place = out["address.row"], out["address.lane"], out["address.channels"]
            assert place == (row, lane, channels)
            assert seen[cycle - Issue.ROW_CYCLES]["results.end_of_map"] == end
        return fillers


def signed(byte):
    return byte - 256 * (byte >> 7)


@pytest.mark.parametrize("name", ENGINES)
def test_taps_and_addresses_of_random_networks(name):
    fields, features = ENGINES[name]
    engine = EngineConfig(
        bank_depth=1024, weight_addr_bits=11, param_addr_bits=10,
        **{"word_bits": 16} | fields, **FEATURES[features],
    )  # fmt: skip
    rng = random.Random(name)
    limits = {"max_gap_bits": engine.max_gap_bits, "taps_per_entry": engine.taps_per_entry}
    limits |= LIMITS | FEATURES[features] | {"branches": engine.residuals}
    fillers = pools = skips = splits = 0
    for seed in range(10):
        network = random_program(seed, engine, **limits).network
        program = compile_network(network, engine, 1 << seed % (engine.batch_bits + 1))
        fillers += Run(program, rng).check()
        pools += any(isinstance(layer, MaxPool) for layer in network.layers)
        skips += any(tiling.skip is not None for tiling in program.tilings)
        splits += any(tiling.source.split == 2 for tiling in program.tilings)
    assert min(fillers, pools, splits) > 0
    assert bool(skips) == engine.residuals
