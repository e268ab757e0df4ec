import random
from itertools import product

import pytest
from hdl.support import FEATURES, clocked, descriptors, drive, observe, random_program, simulate

from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import Conv
from sqhw.planner.placement import Placement, Write
from sqhw.rtl.position_walker import PositionWalker
from sqhw.rtl.tap_walker import TapWalker

DEPTH = 1024
#: Walkers by the largest number of steps that they take at once.
WALKERS = {1: PositionWalker, 2: TapWalker}


def place_of(plane, x, y):
    """Return row and bank of a position's first element, on and around the map."""
    phase = 2 * (y % plane.split) + x % plane.split
    element = ((y // plane.split) * plane.pitch + x // plane.split) * plane.batch
    row = plane.base + phase * plane.phase_rows + element // plane.lanes * plane.shape[0]
    return row % DEPTH, element % plane.lanes


def map_inputs(plane):
    return {
        "channels": plane.shape[0],
        "split": plane.split - 1,
        "phase_rows": plane.phase_rows,
        "pitch_rows": plane.pitch * plane.batch // plane.lanes * plane.shape[0],
        "pitch_lane": plane.pitch * plane.batch % plane.lanes,
    }


def start_inputs(plane, x, y):
    row, lane = place_of(plane, x, y)
    return {
        "x": x,
        "y": y,
        "phase_x": x % plane.split,
        "phase_y": y % plane.split,
        "row": row,
        "lane": lane,
        "line_row": row,
        "line_lane": lane,
    }


def descriptor_map(fields, side):
    names = ("channels", "split", "phase_rows", "pitch_rows", "pitch_lane")
    return {name: fields[f"{side}_{name}"] for name in names}


def random_placement(rng, lanes, split=None, batch=1):
    split = split or rng.choice([1, 2])
    while True:
        shape = rng.randint(1, 7), rng.randint(1, 12), rng.randint(1, 12)
        pitch = -(-shape[2] // split) + rng.choice([0, 0, 1, 2, 5])
        plane = Placement(shape, split, pitch, lanes, 0, batch)
        if plane.rows <= DEPTH:
            base = rng.choice([0, DEPTH - plane.rows, rng.randint(0, DEPTH - plane.rows)])
            return Placement(shape, split, pitch, lanes, base, batch)


class Route:
    """Walks over rectangles, with pauses, and compares the places with the definition."""

    def __init__(self, rng, steps=1):
        self.rng = rng
        self.steps = steps
        self.stimulus = []
        self.expected = []  # (plane, x, y) by cycle

    def rectangle(self, plane, inputs, xs, ys):
        """Add walks from the first of `xs` and `ys`; steps of one position cover all of them."""
        inputs = dict(inputs)
        start = inputs.pop("start")
        two = self.steps > 1 and len(xs) > 1
        for _ in range(WALKERS[self.steps].SETTLE_CYCLES):
            self.add({**inputs, "start": start, "load": 0, "step": 0})
        points = list(product(ys, xs))
        for _ in range(6 if two else 1):
            chance = self.rng.choice([0, 0.5, 1]) if two else 0
            index = int(two and self.rng.random() < 0.5)
            asked = {"step": self.rng.randint(0, 1), "step_two": self.rng.randint(0, 1)}
            self.add({**inputs, "start": start, "load": 1, **asked, "second": index})
            inputs = {}
            while index < len(points):
                y, x = points[index]
                last = index == len(points) - 1
                following = None if last else (points[index + 1][1], points[index + 1][0])
                step = 2 if self.rng.random() < chance else 1
                noise = self.rng.randint(0, 1)  # `second` means nothing without `load`
                for moves in [0] * (self.rng.random() < 0.2) + [step]:
                    moves = moves if index + moves < len(points) else 0
                    taken = {"step": int(moves > 0), "step_two": moves == 2 if moves else noise}
                    self.add({"load": 0, **taken, "second": noise}, (plane, (x, y), following))
                index += step

    def add(self, stimulus, expected=None):
        if self.steps == 1:
            stimulus = {k: v for k, v in stimulus.items() if k not in ("step_two", "second")}
        self.stimulus.append(stimulus)
        self.expected.append(expected)

    def check(self, engine):
        outputs = ["point", "next"] if self.steps == 1 else ["point"]
        seen = clocked(WALKERS[self.steps](engine), self.stimulus, outputs)
        for cycle, (expected, out) in enumerate(zip(self.expected, seen, strict=True)):
            if expected is None:
                continue
            plane, here, there = expected
            assert found(out["point"]) == (here, place_of(plane, *here)), cycle
            if there and self.steps == 1:
                assert found(out["next"]) == (there, place_of(plane, *there)), cycle


def found(point):
    return (point["x"], point["y"]), (point["row"], point["lane"])


@pytest.mark.parametrize("steps", WALKERS)
@pytest.mark.parametrize("split", [1, 2])
@pytest.mark.parametrize(
    ("lanes", "max_batch"), [(2, 1), (4, 1), (8, 1), (16, 1), (32, 1), (2, 2), (8, 4), (32, 32)]
)
def test_walk_over_a_map(lanes, max_batch, split, steps):
    rng = random.Random(lanes)
    route = Route(rng, steps)
    for index in range(8):
        batch = max(1, max_batch >> index % 3)
        plane = random_placement(rng, lanes, split, batch)
        _, height, width = plane.shape
        inputs = {
            "map": map_inputs(plane),
            "first_x": 0,
            "last_x": width - 1,
            "first_phase_x": 0,
            "start": start_inputs(plane, 0, 0),
        }
        if max_batch > 1:
            inputs["batch"] = batch
        route.rectangle(plane, inputs, range(width), range(height))
    route.check(EngineConfig(lanes=lanes, bank_depth=DEPTH, max_batch=max_batch))


@pytest.mark.parametrize("steps", WALKERS)
@pytest.mark.parametrize("split", [1, 2])
@pytest.mark.parametrize(
    ("lanes", "max_batch"), [(2, 1), (8, 1), (32, 1), (2, 2), (8, 8), (16, 4), (32, 16)]
)
def test_walk_over_a_kernel_that_begins_in_the_padding(lanes, max_batch, split, steps):
    """Taps outside of the map count too: the vectors that begin there reach into it."""
    rng = random.Random(lanes + split)
    route = Route(rng, steps)
    for index in range(24):
        batch = max(1, max_batch >> index % 3)
        plane = random_placement(rng, lanes, split, batch)
        top, left = rng.randint(0, 7), rng.randint(0, 7)
        xs = range(-left, rng.randint(1, 7) - left)
        ys = range(-top, rng.randint(1, 7) - top)
        inputs = {
            "map": map_inputs(plane),
            "first_x": xs[0],
            "last_x": xs[-1],
            "first_phase_x": xs[0] % split,
            "start": start_inputs(plane, xs[0], ys[0]),
        }
        if max_batch > 1:
            inputs["batch"] = batch
        route.rectangle(plane, inputs, xs, ys)
    route.check(EngineConfig(lanes=lanes, bank_depth=DEPTH, max_batch=max_batch))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("steps", WALKERS)
def test_walks_of_random_networks(steps, features, seed):
    """Walks cover kernel and output map of every layer, from the descriptors in the ROM."""
    lanes = [2, 4, 8, 16, 32][seed]
    engine = EngineConfig(lanes=lanes, bank_depth=DEPTH, **FEATURES[features])
    limits = {"max_padding": 4, "max_kernel": 5, **FEATURES[features]}
    program = random_program(seed, engine, **limits)
    route = Route(random.Random(seed), steps)
    for tiling, fields in zip(program.tilings, descriptors(program), strict=True):
        layer, source, target = tiling.layer, tiling.source, tiling.target
        if isinstance(layer, Conv):
            (kernel_h, kernel_w), (top, _, left, _) = layer.kernel, layer.padding
        else:
            (kernel_h, kernel_w), (top, _, left, _) = layer.window, layer.padding
        taps = {
            "map": descriptor_map(fields, "in"),
            "first_x": fields["start_dx"],
            "last_x": fields["last_dx"],
            "first_phase_x": fields["start_phase_x"],
            "start": {
                "x": fields["start_dx"],
                "y": fields["start_dy"],
                "phase_x": fields["start_phase_x"],
                "phase_y": fields["start_phase_y"],
                "row": fields["start_row"],
                "lane": fields["start_lane"],
                "line_row": fields["start_row"],
                "line_lane": fields["start_lane"],
            },
        }
        source, target = tiling.source, tiling.target
        route.rectangle(source, taps, range(-left, kernel_w - left), range(-top, kernel_h - top))
        results = {
            "map": descriptor_map(fields, "out"),
            "first_x": 0,
            "last_x": fields["out_last_x"],
            "first_phase_x": 0,
            "start": {"row": fields["out_base"], "line_row": fields["out_base"]},
        }
        route.rectangle(target, results, *map(range, target.shape[:0:-1]))
    route.check(engine)


def test_rows_of_residuals_and_of_groups_that_are_written_at_once():
    """Such rows need no walker: they follow lane by lane, in the order of the tiles."""
    residuals, at_once = 0, 0
    for seed in range(80):
        engine = EngineConfig(
            lanes=4, bank_depth=DEPTH, requantizers=2, groups=True, residuals=True
        )
        program = random_program(seed, engine, max_padding=1)
        for tiling, fields in zip(program.tilings, descriptors(program), strict=True):
            layer, target, pitch = tiling.layer, tiling.target, tiling.source.pitch
            skip = layer.residual if isinstance(layer, Conv) else None
            assert fields.get("skip", 0) == int(skip is not None)
            residuals += skip is not None
            at_once += tiling.write is Write.AS_COMPUTED
            for y, x in product(range(target.shape[1]), range(target.shape[2])):
                tile, lane = divmod(y * pitch + x, engine.lanes)
                assert tile <= fields["last_tile"]
                if not fields["out_walk"]:
                    row = fields["out_base"] + tile * fields["out_channels"]
                    assert (row, lane) == place_of(target, x, y)
                if skip:
                    row = fields["skip_row"] + tile * fields["skip_channels"] + skip.first
                    assert (row % DEPTH, lane) == place_of(
                        tiling.skip, skip.stride * x, skip.stride * y
                    )
    assert min(residuals, at_once) > 10


@pytest.mark.parametrize("split", [1, 2])
@pytest.mark.parametrize("lanes", [2, 8, 32])
def test_tiles_walked_once_a_channel_as_they_are_written_back(lanes, split):
    """A tile begins where the last one ended; its lines are as long as the input's pitch."""
    rng = random.Random(lanes + split)
    plane = random_placement(rng, lanes, split)
    _, height, width = plane.shape
    pitch = width + rng.randint(0, 3)
    tiles = -(-((height - 1) * pitch + width) // lanes)
    walker = PositionWalker(EngineConfig(lanes=lanes, bank_depth=DEPTH))
    places = {}

    async def bench(ctx):
        drive(ctx, walker, {"map": map_inputs(plane), "first_x": 0, "last_x": pitch - 1})
        await ctx.tick().repeat(PositionWalker.SETTLE_CYCLES)
        start = {"row": plane.base, "line_row": plane.base}
        for tile, channel in product(range(tiles), range(2)):
            drive(ctx, walker, {"start": start, "load": 1, "step": 1})
            await ctx.tick()
            for lane in range(lanes):
                drive(ctx, walker, {"load": 0, "step": 1})
                out = observe(ctx, walker, ["point", "next"])
                (x, y), place = found(out["point"])
                assert y * pitch + x == tile * lanes + lane
                if x < width and y < height:
                    assert place == place_of(plane, x, y)
                    places[x, y, channel] = place
                if (lane, channel) == (lanes - 1, 1):
                    start = out["next"]
                elif lane == lanes - 1:
                    break  # the load takes the place of the step
                await ctx.tick()

    simulate(walker, bench)
    assert len(places) == 2 * height * width


def test_places_by_hand():
    # 3 x 3 pixels of two channels in two banks, in phases of 2 x 2, 2 x 1, 1 x 2 and 1 x 1
    # positions; every phase takes 2 rows of vectors of 2 positions of 2 channels.
    plane = Placement((2, 3, 3), split=2, pitch=2, lanes=2, base=8)
    route = Route(random.Random(0))
    inputs = {
        "map": map_inputs(plane),
        "first_x": 0,
        "last_x": 2,
        "first_phase_x": 0,
        "start": start_inputs(plane, 0, 0),
    }
    route.rectangle(plane, inputs, range(3), range(3))
    route.check(EngineConfig(lanes=2, bank_depth=DEPTH))
    assert plane.phase_rows == 4
    assert [place_of(plane, x, y) for y in range(3) for x in range(3)] == [
        (8, 0), (12, 0), (8, 1),
        (16, 0), (20, 0), (16, 1),
        (10, 0), (14, 0), (10, 1),
    ]  # fmt: skip
