import random

import pytest
from hdl.support import FEATURES, clocked, descriptors, random_program

from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import FILL_BEATS, mask_cycles
from sqhw.network.quantized import Conv
from sqhw.rtl.lane_masks import LaneMasks


def inside(element, batch, pitch, stride, dx, dy, width, height):
    """Tell whether the input position that a lane reads lies in the map."""
    position = element // batch
    x, y = position % pitch, position // pitch
    return 0 <= stride * x + dx < width and 0 <= stride * y + dy < height


class Layers:
    """Runs layers through the masks: fill, then offsets tile by tile, with pauses."""

    def __init__(self, rng, engine):
        self.rng = rng
        self.engine = engine
        self.stimulus = []
        self.expected = {}  # cycle -> (masks, masks of the lanes that are compared)

    def layer(self, fields, pitch, stride, width, height, tiles, offsets, batch=1):
        """Add a layer; `offsets` gives the kernel taps (dx, dy) of a tile."""
        engine, rng = self.engine, self.rng
        if engine.max_batch > 1:
            fields = {**fields, "batch_shift": batch.bit_length() - 1}
        self.stimulus.append({**fields, "clear": 1, "fill": 0, "advance": 0})
        self.stimulus.append({"clear": 0, "fill": 1})
        self.stimulus += [{}] * (FILL_BEATS * engine.lane_bits - 1)
        self.stimulus.append({"fill": 0})
        for tile in range(tiles):
            self.stimulus.append({"advance": 0})  # tiles are several cycles apart
            advance = int(tile > 0)
            for dx, dy in offsets(tile):
                self.stimulus.append({"fill": 0, "advance": advance, "dx": dx, "dy": dy})
                elements = range(tile * engine.lanes, (tile + 1) * engine.lanes)
                masks = [inside(e, batch, pitch, stride, dx, dy, width, height) for e in elements]
                # Coordinates that a lane cannot hold are far below the last output row.
                compared = [e // batch // pitch < 1 << engine.dim_bits for e in elements]
                advance = 0
                self.expected[len(self.stimulus) - 1] = (masks, compared)
                self.stimulus += [{"advance": 0}] * rng.choice([0, 0, 0, 1, 3])
        self.stimulus += [{"advance": 0}] * 2

    def check(self):
        seen = clocked(LaneMasks(self.engine), self.stimulus, ["inside"])
        different = set()
        for cycle, (masks, compared) in self.expected.items():
            got = seen[cycle + mask_cycles(self.engine)]["inside"]
            bits = [bool(got >> lane & 1) for lane in range(self.engine.lanes)]
            for lane, (bit, expected) in enumerate(zip(bits, masks, strict=True)):
                assert bit == expected or not compared[lane], (cycle, lane)
            different.add(tuple(bits))
        return different


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("features", FEATURES)
def test_layers_of_random_networks(features, seed):
    lanes = [2, 4, 8, 16, 32][seed]
    engine = EngineConfig(lanes=lanes, bank_depth=1024, **FEATURES[features])
    limits = {"max_channels": 3, "max_padding": 3, **FEATURES[features]}
    program = random_program(seed, engine, **limits)
    layers = Layers(random.Random(seed), engine)
    for tiling, table in zip(program.tilings, descriptors(program), strict=True):
        layer, source = tiling.layer, tiling.source
        if isinstance(layer, Conv):
            (kernel_h, kernel_w), (top, _, left, _) = layer.kernel, layer.padding
        else:
            (kernel_h, kernel_w), (top, _, left, _) = layer.window, layer.padding
        taps = [(x - left, y - top) for y in range(kernel_h) for x in range(kernel_w)]
        fields = {
            "last_x": table["in_last_x"],
            "last_y": table["in_last_y"],
            "split": table["in_split"],
            "pitch_last_x": table["pitch_last_x"],
        }
        _, height, width = source.shape
        layers.layer(
            fields, source.pitch, layer.stride, width, height, tiling.tiles, lambda _, t=taps: t
        )
    assert len(layers.check()) > 1


@pytest.mark.parametrize("dim_bits", [4, 6])
@pytest.mark.parametrize(("lanes", "max_batch"), [(2, 1), (4, 1), (8, 2), (16, 16), (32, 4)])
def test_any_pitch_size_and_offset(lanes, max_batch, dim_bits):
    rng = random.Random(lanes + dim_bits)
    engine = EngineConfig(lanes=lanes, dim_bits=dim_bits, max_batch=max_batch)
    limit = 1 << dim_bits
    layers = Layers(rng, engine)
    corners = [-limit, 1 - limit, -2, -1, 0, 1, 2, limit - 2, limit - 1]
    for index in range(12):
        stride = 1 + index % 2
        width, height, pitch = (rng.choice([1, limit - 1, rng.randint(1, 9)]) for _ in range(3))
        fields = {
            "last_x": width - 1,
            "last_y": height - 1,
            "split": stride - 1,
            "pitch_last_x": pitch - 1,
        }
        batch = 1 << rng.randint(0, max_batch.bit_length() - 1)
        tiles = min(8, -(-(limit - 1) * pitch * batch // lanes))

        def offsets(tile, width=width, height=height):
            taps = [(rng.choice(corners), rng.choice(corners)) for _ in range(6)]
            return taps + [(rng.randint(-5, width), rng.randint(-5, height)) for _ in range(6)]

        layers.layer(fields, pitch, stride, width, height, tiles, offsets, batch)
    assert len(layers.check()) > 1


def test_by_hand():
    # A 3 x 2 map with pitch 3 on four lanes: positions 0 1 2 / 3 4 5 and 6 7 beyond it.
    layers = Layers(random.Random(0), EngineConfig(lanes=4))
    fields = {"last_x": 2, "last_y": 1, "split": 0, "pitch_last_x": 2}
    layers.layer(fields, 3, 1, 3, 2, 2, lambda _: [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)])
    masks = ["".join("01"[bit] for bit in masks) for masks, _ in layers.expected.values()]
    assert masks == [
        "1111", "0110", "1101", "0001", "1110",
        "1100", "1100", "1000", "1111", "0000",
    ]  # fmt: skip
    layers.check()
