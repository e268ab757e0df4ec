"""Write-back at full width: places of the bytes, in a model of the walk and in whole networks."""

import random
from collections import Counter
from itertools import product

import pytest
from hdl.support import Timeline, clocked, descriptors, layer_inputs, random_program
from hdl.test_residual_network import U8, Builder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import networks, random_images, random_network, reads_with_one_stride

from sqhw.compiler.program import compile_network
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing, accumulate_cycles
from sqhw.network.quantized import QuantizedNetwork
from sqhw.planner.placement import Placement, Tiling, Write, place
from sqhw.rtl.transposer import Transposer
from sqhw.rtl.write_back import WriteBack
from sqhw.sim.reference import requantize
from sqhw.verify.cxxrtl import VolumeBench

ENGINE = EngineConfig(
    lanes=16, bank_depth=1024, word_bits=18, requantizers=4, weight_addr_bits=11,
    param_addr_bits=10, groups=True, residuals=True, max_batch=4,
)  # fmt: skip
#: Limits of the networks: phases and groups divide most of the maps.
LIMITS = {"widths": (8, 16, 24, 31), "whole": 8, "max_channels": 4}
DRAWN = networks(**LIMITS).filter(reads_with_one_stride)


def place_of(plane: Placement, x: int, y: int) -> tuple[int, int]:
    """Return row of channel 0 and bank of a position: the definition of `sqhw.planner`."""
    phase = 2 * (y % plane.split) + x % plane.split
    element = y // plane.split * plane.pitch + x // plane.split
    row = plane.base + phase * plane.phase_rows + element // plane.lanes * plane.shape[0]
    return row, element % plane.lanes


@given(DRAWN, st.sampled_from([(16, 2), (16, 4), (8, 8), (32, 8)]))
def test_groups_lie_together_in_the_rows_of_their_map(network, widths):
    """Bytes that are written at once are computed in one tile and lie in one row of the map."""
    lanes, count = widths
    engine = EngineConfig(
        lanes=lanes, requantizers=count, bank_depth=2048, groups=True, residuals=True
    )
    for tiling in place(network, engine):
        source, target = tiling.source, tiling.target
        channels, height, width = target.shape
        unit = count * target.split
        for y, x in product(range(height), range(width)):
            tile, lane = divmod(y * source.pitch + x, lanes)
            row, bank = place_of(target, x, y)
            assert target.base <= row <= target.base + target.rows - channels
            if tiling.write is Write.AS_COMPUTED:
                assert (row, bank) == (target.base + tile * channels, lane)
            if tiling.write is Write.WALKED and x % unit < target.split:
                assert (y * source.pitch + x) % unit == x % unit
                assert lane + unit <= lanes + x % unit
                group = [place_of(target, x + target.split * index, y) for index in range(count)]
                assert group == [(row, bank + index) for index in range(count)]
                assert bank % count == 0


def between(source, target, requantizers):
    """Return a tiling of a layer from one map to another."""
    return Tiling(random_network(0).layers[0], source, target, None, 1, requantizers)


def test_kinds_of_writing():
    """Cases computed by hand: maps of (split, pitch) in 32 lanes, 4 bytes a cycle."""

    def kinds(source, target, batch=1, requantizers=4, lanes=32):
        maps = [
            Placement((1, 9, split * pitch), split, pitch, lanes, 0, batch)
            for split, pitch in (source, target)
        ]
        tiling = between(*maps, requantizers)
        assert tiling.serial == (tiling.write is Write.SERIAL)
        return tiling.write, tiling.transposes

    assert kinds((1, 9), (1, 9)) == (Write.AS_COMPUTED, False)
    assert kinds((2, 9), (1, 9)) == (Write.AS_COMPUTED, False)
    assert kinds((1, 9), (1, 8)) == (Write.SERIAL, False)
    assert kinds((1, 12), (1, 8)) == (Write.WALKED, False)
    assert kinds((1, 12), (1, 10)) == (Write.SERIAL, False)
    assert kinds((1, 16), (2, 8)) == (Write.WALKED, True)
    assert kinds((1, 12), (2, 8)) == (Write.SERIAL, False)
    assert kinds((1, 16), (2, 6)) == (Write.SERIAL, False)
    assert kinds((1, 16), (2, 8), lanes=4) == (Write.SERIAL, False)  # a tile is half a pair
    assert kinds((1, 12), (1, 8), lanes=4) == (Write.WALKED, False)
    assert kinds((1, 16), (2, 8), batch=2) == (Write.SERIAL, False)
    assert kinds((1, 7), (2, 4), batch=4) == (Write.WALKED, False)
    assert kinds((1, 16), (2, 8), requantizers=1) == (Write.SERIAL, False)
    assert kinds((1, 9), (1, 9), requantizers=1) == (Write.SERIAL, False)


def test_a_map_of_one_line_needs_no_pitch():
    line, wide = Placement((3, 1, 5), 1, 5, 16, 0), Placement((3, 5, 9), 1, 9, 16, 0)
    assert between(wide, line, 4).write is Write.AS_COMPUTED
    # Such a map is stored as it is computed, whatever the pitches are.
    assert [place_of(line, x, 0) for x in range(5)] == [(0, x) for x in range(5)]


@pytest.mark.parametrize(("lanes", "requantizers"), [(4, 2), (8, 4), (32, 8)])
@given(data=st.data())
def test_transposer(lanes, requantizers, data):
    engine = EngineConfig(lanes=lanes, requantizers=requantizers)
    byte = st.integers(0, 255)
    group = st.lists(byte, min_size=requantizers, max_size=requantizers)
    pairs = data.draw(st.lists(st.tuples(group, group, st.booleans()), min_size=1, max_size=6))
    stimulus, expected = [], []
    for first, second, together in pairs:
        stimulus += [{"x": first, "second": 0}, {"x": second, "second": int(together)}]
        both = first + second
        expected += [both[::2], both[1::2]] if together else [first, second]
    stimulus.append({"second": 0})
    seen = [out["y"] for out in clocked(Transposer(engine), stimulus, ["y"])]
    assert seen[1:] == expected


def test_transposer_by_hand():
    stimulus = [{"x": [1, 2, 3, 4], "second": 0}, {"x": [5, 6, 7, 8], "second": 1}, {"second": 0}]
    seen = clocked(Transposer(EngineConfig(requantizers=4)), stimulus, ["y"])
    assert [out["y"] for out in seen[1:]] == [[1, 3, 5, 7], [2, 4, 6, 8]]


class Layers:
    """Runs the layers of a program through the component: pixels, then sums tile by tile."""

    def __init__(self, program, rng):
        self.program, self.engine, self.rng = program, program.engine, rng
        self.part = WriteBack(self.engine)
        self.line = Timeline()
        self.cycle = 4
        self.expected = []  # (first cycle, after the last, {(row, bank): byte}, rows of the map)
        self.firsts, self.taken = [], []  # cycles of the first bytes of channels, of pixels
        tables = descriptors(program)
        if self.engine.max_batch > 1:
            self.line.set(0, {"batch": program.batch})
        self.line.set(0, layer_inputs(self.part, tables[0]))
        self.pixels(program.tilings[0].source)
        for tiling, table in zip(program.tilings, tables, strict=True):
            self.layer(tiling, table)

    def pixels(self, source):
        """Send a frame with pauses; a pixel in the cycle of `start` is not taken."""
        line, rng, start = self.line, self.rng, self.cycle
        channels, height, width = source.shape
        line.pulse(self.cycle, "phases.frame")
        self.cycle += 1
        line.set(self.cycle, {"phases.idle": 1})
        written = {}
        positions = product(range(self.program.batch), range(height), range(width), range(channels))
        for image, y, x, channel in positions:
            for _ in range(rng.choice([0, 0, 1])):
                started = rng.randint(0, 1)
                line.set(self.cycle, {"pixels.valid": started, "start": started})
                self.cycle += 1
            pixel = rng.randrange(256)
            line.set(self.cycle, {"pixels.valid": 1, "pixels.data": pixel, "start": 0})
            row, bank = place_of_image(source, x, y, image)
            written[row + channel, bank] = pixel
            self.taken.append(self.cycle)
            self.cycle += 1
        line.set(self.cycle, {"pixels.valid": 0})
        line.set(self.cycle + 1, {"phases.idle": 0, "phases.busy": 1})
        self.expected.append((start, self.cycle, written, source))
        self.cycle += 2

    def layer(self, tiling, table):
        """Hand over sums of random channels, at the rate of the schedule or more rarely."""
        line, rng, engine, timing = self.line, self.rng, self.engine, Timing.of(self.engine)
        start, target, serial = self.cycle, tiling.target, tiling.serial
        line.set(self.cycle, layer_inputs(self.part, table))
        line.pulse(self.cycle, "phases.prepare")
        self.cycle += timing.prepare
        sums = {}
        for tile in range(tiling.tiles):
            for channel in range(target.shape[0]):
                acc = [rng.randrange(-(1 << 12), 1 << 12) for _ in range(engine.lanes)]
                constants = rng.randrange(-256, 256), rng.randrange(256), rng.randrange(12)
                sums[tile, channel] = acc, constants
                names = ("bias", "multiplier", "shift")
                record = {"count": 0} | dict(zip(names, constants, strict=True))
                line.set(self.cycle, {"record": record})
                line.pulse(self.cycle, "take")
                line.set(self.cycle + timing.hold + 1, {"record": dict.fromkeys(record, 0)})
                slot = timing.min_slot_serial if serial else timing.min_slot
                self.cycle += slot + rng.choice([0, 0, 3])
                arrival = self.cycle + accumulate_cycles(engine)
                line.pulse(arrival, "sums.valid")
                line.set(arrival, {"sums.acc": acc})
                line.set(arrival + 1, {"sums.acc": [0] * engine.lanes})
                y, x = divmod(tile * engine.lanes // target.batch, tiling.source.pitch)
                if x < target.shape[2] and y < target.shape[1]:
                    self.firsts.append(arrival + self.part.latency)
        line.pulse(self.cycle, "take")
        self.cycle += timing.drain_serial if serial else timing.drain
        written = {}
        channels, height, width = target.shape
        images = range(target.batch)
        for y, x, image, channel in product(range(height), range(width), images, range(channels)):
            element = (y * tiling.source.pitch + x) * target.batch + image
            acc, (bias, *factors) = sums[element // engine.lanes, channel]
            value = acc[element % engine.lanes] + bias
            row, bank = place_of_image(target, x, y, image)
            limits = table["clamp_lo"], table["clamp_hi"]
            written[row + channel, bank] = requantize(value, *factors, *limits) % 256
        self.expected.append((start, self.cycle, written, target))

    def check(self):
        """Compare the written bytes, their places and cycles, and the signals for verification."""
        outputs = [f"write.{name}" for name in ("en", "row", "lane", "data", "group")]
        outputs += [f"written.{name}" for name in ("valid", "data", "group")]
        outputs += ["pixels.ready", "pixels.last"]
        seen = clocked(self.part, self.line.stimulus(self.cycle + 2), outputs)
        pixels = [seen[cycle] for cycle in self.taken]
        assert all(pixel["pixels.ready"] for pixel in pixels)
        assert [pixel["pixels.last"] for pixel in pixels] == [*[0] * (len(pixels) - 1), 1]
        assert all(seen[cycle]["write.en"] for cycle in self.firsts)
        for number, (start, stop, expected, plane) in enumerate(self.expected):
            found = {}
            for out in seen[start:stop]:
                if number:
                    assert out["write.en"] == out["written.valid"]
                    assert out["write.group"] == out["written.group"]
                if not out["write.en"]:
                    continue
                data = out["write.data"]
                shown = sum(byte << 8 * index for index, byte in enumerate(data))
                assert not number or out["written.data"] == shown
                for index, byte in enumerate(data if out["write.group"] else data[:1]):
                    found[out["write.row"], out["write.lane"] + index] = byte
            assert expected.items() <= found.items(), number
            rows = range(plane.base, plane.base + plane.rows)
            assert all(row in rows for row, _ in found)
            assert not any(out["write.en"] for out in seen[stop : stop + 1])


def place_of_image(plane, x, y, image):
    """Return row of channel 0 and bank of a position of an image of the run."""
    phase = 2 * (y % plane.split) + x % plane.split
    element = (y // plane.split * plane.pitch + x // plane.split) * plane.batch + image
    row = plane.base + phase * plane.phase_rows + element // plane.lanes * plane.shape[0]
    return row, element % plane.lanes


@pytest.mark.parametrize(
    ("lanes", "requantizers", "max_batch"),
    [(2, 1, 1), (4, 2, 2), (8, 4, 1), (16, 4, 4), (16, 1, 2)],
)
def test_sums_and_pixels_go_to_their_places(lanes, requantizers, max_batch):
    engine = EngineConfig(
        lanes=lanes, bank_depth=1024, requantizers=requantizers, max_batch=max_batch,
        weight_addr_bits=11, param_addr_bits=10, residuals=True, groups=True,
    )  # fmt: skip
    rng, kinds = random.Random(lanes), set()
    limits = {"max_channels": 2, "max_layers": 3, "widths": (4, 7, 8, 16), "whole": 4}
    for seed in range(8):
        network = random_program(seed, engine, **limits).network
        program = compile_network(network, engine, 1 << seed % (engine.batch_bits + 1))
        Layers(program, rng).check()
        kinds |= {tiling.write for tiling in program.tilings}
    assert kinds == ({Write.SERIAL} if requantizers == 1 else set(Write))


def split_map_of(width):
    """Return a network whose first layer writes a split map of a width below 25 in pairs."""
    add = Builder(seed=width)
    before = add.conv("input", 2, 1, 25 - width, padding=(0, 24 - width, 0, 0))
    add.conv(before, 2, 2, 1, stride=2, padding=(0, 0, 0, 24 - width))
    return QuantizedNetwork("ends", (1, 3, 24), U8, tuple(add.layers))


def test_pairs_of_groups_end_anywhere_in_a_split_map():
    for width in range(17, 25):
        program = compile_network(split_map_of(width), ENGINE)
        assert program.tilings[0].transposes
        Layers(program, random.Random(width)).check()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with the engine's RTL and its bench."""
    folder = tmp_path_factory.mktemp("write_back")
    depths = {
        "weights": 1 << ENGINE.weight_addr_bits,
        "params": 1 << ENGINE.param_addr_bits,
        "codebook": 1 << ENGINE.codebook_addr_bits,
    }
    write_rtl(ENGINE, depths, folder)
    return folder, VolumeBench(folder, folder / "work", optimize=0)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(network=DRAWN, seed=st.integers(0, 99), batch=st.sampled_from([1, 2, 4]))
def test_networks_in_rtl(built, network, seed, batch):
    folder, bench = built
    program = compile_network(network, ENGINE, batch)
    write_rom(program, folder)
    report = bench.run(program, random_images(network, seed, 2 * batch), folder)
    assert report.activations > 0


@pytest.mark.slow
def test_networks_of_all_kinds_in_rtl(built):
    """Two maps before a stride, after one, and between other pitches, each many times."""
    folder, bench = built
    found: Counter[tuple[Write, bool]] = Counter()
    for seed in range(80):
        network = random_network(seed, **LIMITS)
        if not reads_with_one_stride(network):
            continue
        print(f"network seed {seed}")
        program = compile_network(network, ENGINE)
        found.update((tiling.write, tiling.transposes) for tiling in program.tilings)
        write_rom(program, folder)
        bench.run(program, random_images(network, seed, 2), folder)
    kinds = [
        (Write.AS_COMPUTED, False),
        (Write.SERIAL, False),
        *((Write.WALKED, t) for t in (0, 1)),
    ]
    assert min(found[kind] for kind in kinds) >= 5, found


@pytest.mark.slow
@pytest.mark.parametrize("width", range(17, 25))
def test_a_split_map_that_ends_anywhere_in_a_pair_of_groups(built, width):
    """The last element of a map may be the only one of its pair, or the second."""
    folder, bench = built
    network = split_map_of(width)
    program = compile_network(network, ENGINE)
    assert program.tilings[0].target.shape == (2, 3, width)
    assert program.tilings[0].transposes
    write_rom(program, folder)
    bench.run(program, random_images(network, width, 2), folder)
