"""Accumulators from kernel taps, random vectors and weights, against sums by definition."""

import random

import pytest
from hdl.support import FEATURES, Timeline, clocked, descriptors, layer_inputs, random_program
from hdl.test_lane_masks import inside

from sqhw.compiler.program import compile_network
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import FILL_BEATS, read_cycles
from sqhw.network.graph import MaxPool
from sqhw.rtl.accumulate import Accumulate

ENGINES = {
    "2 lanes": ({"lanes": 2}, "chains"),
    "8 lanes, some in LUTs": ({"lanes": 8, "max_batch": 4, "lut_lanes": 3}, "residuals"),
    "16 lanes": ({"lanes": 16, "max_batch": 2}, "residuals"),
    "4 lanes, no pooling": ({"lanes": 4, "maxpool": False}, "groups"),
}
LIMITS = {"max_size": 6, "max_layers": 4, "max_channels": 2}
MOST_TAPS = 6


class Run:
    """Random channels of the layers of a program, tile by tile."""

    def __init__(self, program, rng):
        self.program, self.engine, self.rng = program, program.engine, rng
        self.part = Accumulate(self.engine)
        self.line = Timeline()
        self.cycle = 2
        self.sums = []  # (cycle, accumulators, whether each is compared)
        self.kinds = set()
        for layer, tiling, table in zip(
            program.network.layers, program.tilings, descriptors(program), strict=True
        ):
            self.layer(layer, tiling, table)

    def layer(self, layer, tiling, table):
        """Fill the masks, then accumulate two channels a tile."""
        line, rng, engine = self.line, self.rng, self.engine
        # Any map may be signed here, also where no network has a signed one.
        table = table | {name: rng.randint(0, 1) for name in ("in_signed", "skip_signed")}
        line.set(self.cycle, layer_inputs(self.part, table))
        self.cycle += 2
        line.pulse(self.cycle, "phases.prepare")
        fill = range(self.cycle + 1, self.cycle + 1 + FILL_BEATS * engine.lane_bits)
        for cycle in fill:
            line.pulse(cycle, "phases.fill")
        self.cycle = fill.stop + 2
        for tile in range(tiling.tiles):
            for channel in range(2):
                self.channel(layer, tiling, table, tile, new_tile=tile > 0 and channel == 0)
                self.cycle += rng.choice([0, 0, 1, 4]) + (channel == 1)
        self.cycle += self.part.latency

    def channel(self, layer, tiling, table, tile, *, new_tile):
        """Accumulate the taps of one channel, with pauses between them."""
        line, rng, engine = self.line, self.rng, self.engine
        pool = isinstance(layer, MaxPool)
        acc = [None] * engine.lanes
        count = rng.randint(1, MOST_TAPS)
        if new_tile:
            line.pulse(self.cycle, "taps.new_tile")
        for index in range(count):
            residual = tiling.skip is not None and index == 0
            products = self.tap(tiling, table, tile, pool=pool, residual=residual)
            for lane, product in enumerate(products):
                if acc[lane] is None:
                    acc[lane] = product
                else:
                    acc[lane] = max(acc[lane], product) if pool else acc[lane] + product
            if index == 0:
                line.pulse(self.cycle, "taps.first")
            if index == count - 1:
                line.pulse(self.cycle, "taps.last")
                # Coordinates that a lane cannot hold are far below the last output row.
                batch, pitch = self.program.batch, tiling.source.pitch
                elements = range(tile * engine.lanes, (tile + 1) * engine.lanes)
                compared = [e // batch // pitch < 1 << engine.dim_bits for e in elements]
                self.sums.append((self.cycle + self.part.latency, acc, compared))
            self.cycle += 1 + rng.choice([0, 0, 0, 2])

    def tap(self, tiling, table, tile, *, pool, residual):
        """Issue a tap with its weight and its vector; return the addend of each lane."""
        line, rng, engine, part = self.line, self.rng, self.engine, self.part
        source, batch = tiling.source, self.program.batch
        x = rng.randint(table["start_dx"], table["last_dx"])
        y = rng.randint(table["start_dy"], table["start_dy"] + 2)
        useful = residual or rng.random() < 0.8
        weight, vector = rng.randint(-128, 127), [rng.randrange(256) for _ in range(engine.lanes)]
        now = self.cycle
        line.pulse(now, "taps.valid")
        line.set(now, {"taps.x": x, "taps.y": y, "taps.useful": int(useful)})
        if engine.residuals:
            line.set(now, {"taps.residual": int(residual)})
        line.set(now + part.weight_cycles, {"weight": weight % 256})
        line.set(now + part.ROW_CYCLES + read_cycles(engine), {"vector": vector})
        signed = table["skip_signed"] if residual else table["in_signed"]
        factor = table["skip_weight"] if residual else 1 if pool else weight
        products = []
        for lane, byte in enumerate(vector):
            element = tile * engine.lanes + lane
            _, height, width = source.shape
            place = element, batch, source.pitch, source.split, x, y, width, height
            within = residual or (useful and inside(*place))
            value = byte - 256 * (signed and byte >> 7)
            products.append(factor * value if within else 0)
            self.kinds |= {("residual", residual), ("pool", pool), ("within", bool(within))}
            self.kinds |= {("signed", bool(signed)), ("useful", useful)}
        return products

    def check(self):
        """Compare the accumulators of all channels."""
        cycles = self.cycle + self.part.latency
        seen = clocked(self.part, self.line.stimulus(cycles), ["sums.valid", "sums.acc"])
        whole = [cycle for cycle, out in enumerate(seen) if out["sums.valid"]]
        assert whole == [cycle for cycle, *_ in self.sums]
        for cycle, acc, compared in self.sums:
            for lane, wanted in enumerate(acc):
                assert seen[cycle]["sums.acc"][lane] == wanted or not compared[lane], (cycle, lane)


@pytest.mark.parametrize("name", ENGINES)
def test_sums_of_random_layers(name):
    fields, features = ENGINES[name]
    engine = EngineConfig(
        bank_depth=1024, weight_addr_bits=11, param_addr_bits=10, **fields, **FEATURES[features]
    )
    rng, kinds = random.Random(name), set()
    for seed in range(6):
        limits = {"branches": engine.residuals, "maxpool": engine.maxpool} | FEATURES[features]
        network = random_program(seed, engine, **LIMITS, **limits).network
        run = Run(compile_network(network, engine, 1 << seed % (engine.batch_bits + 1)), rng)
        run.check()
        kinds |= run.kinds
    assert kinds >= {(kind, on) for kind in ("within", "signed", "useful") for on in (0, 1)}
    assert (("residual", True) in kinds) == engine.residuals
    assert (("pool", True) in kinds) == engine.maxpool
