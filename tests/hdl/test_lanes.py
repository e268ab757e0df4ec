import random

import pytest
from hdl.support import clocked

from sqhw.machine.config import EngineConfig
from sqhw.rtl.lanes import Lanes

BYTES = [0, 1, 127, 128, 129, 254, 255]
WEIGHTS = [-128, -127, -2, -1, 0, 1, 2, 126, 127]


def value(byte, bit, in_signed):
    """Return an activation; padding is 0."""
    return 0 if not bit else byte - 256 * (in_signed and byte >= 128)


class Accumulators:
    """Model of the lanes, for the accumulators that they should hold."""

    def __init__(self, engine):
        self.acc = None
        self.top = 1 << (engine.acc_bits - 1)

    def after(self, xs, weight, pool, first):
        """Return the accumulators after a vector, or None if one of them would overflow."""
        if first:
            acc = [weight * x for x in xs]
        elif pool:
            acc = [max(a, x) for a, x in zip(self.acc, xs, strict=True)]
        else:
            acc = [a + weight * x for a, x in zip(self.acc, xs, strict=True)]
        return acc if all(-self.top <= a < self.top for a in acc) else None


def run(engine, vectors, in_signed, pool, rng, first_chance, pause_chance):
    """Feed (bytes, mask, weight) and compare all accumulators in every cycle."""
    model = Accumulators(engine)
    stimulus = []
    expected = []
    for bytes_, mask, its_weight in vectors:
        while rng.random() < pause_chance:
            stimulus.append(noise(rng, engine))
            expected.append(model.acc)
        xs = [value(byte, mask >> lane & 1, in_signed) for lane, byte in enumerate(bytes_)]
        first = model.acc is None or rng.random() < first_chance
        acc = model.after(xs, its_weight, pool, first)
        if acc is None:
            first = True
            acc = model.after(xs, its_weight, pool, first)
        model.acc = acc
        stimulus.append(
            {
                "vector": bytes_,
                "inside": mask,
                "valid": 1,
                "first": int(first),
                "weight": its_weight,
            }
        )
        expected.append(acc)
    stimulus += [noise(rng, engine) for _ in range(Lanes.LATENCY)]
    stimulus[0] |= {"in_signed": in_signed, "pool": pool}
    seen = [out["acc"] for out in clocked(Lanes(engine), stimulus, ["acc"])]
    for cycle, acc in enumerate(expected):
        assert acc is None or seen[cycle + Lanes.LATENCY] == acc, cycle


def noise(rng, engine):
    """Return a cycle without a vector."""
    return {
        "vector": [rng.getrandbits(8) for _ in range(engine.lanes)],
        "inside": rng.getrandbits(engine.lanes),
        "valid": 0,
        "first": rng.randint(0, 1),
        "weight": rng.randint(-128, 127),
    }


def random_vectors(rng, engine, count, pool):
    for _ in range(count):
        nasty = rng.random() < 0.5
        bytes_ = [rng.choice(BYTES) if nasty else rng.getrandbits(8) for _ in range(engine.lanes)]
        all_lanes = (1 << engine.lanes) - 1
        mask = rng.choice([all_lanes, all_lanes, 0, rng.getrandbits(engine.lanes)])
        weight = rng.choice(WEIGHTS) if nasty else rng.randint(-128, 127)
        yield bytes_, mask, 1 if pool else weight


@pytest.mark.parametrize("in_signed", [0, 1])
@pytest.mark.parametrize("pool", [0, 1])
@pytest.mark.parametrize(
    ("lanes", "acc_bits", "lut_lanes"), [(2, 16, 0), (8, 24, 3), (4, 24, 4), (16, 32, 0)]
)
def test_random_vectors(lanes, acc_bits, lut_lanes, pool, in_signed):
    rng = random.Random(lanes)
    engine = EngineConfig(lanes=lanes, acc_bits=acc_bits, lut_lanes=lut_lanes)
    vectors = random_vectors(rng, engine, 400, pool)
    run(engine, vectors, in_signed, pool, rng, first_chance=0.1, pause_chance=0.3)


@pytest.mark.parametrize("in_signed", [0, 1])
def test_every_byte_times_extreme_weights_back_to_back(in_signed):
    engine = EngineConfig(lanes=16)
    vectors = [
        (list(range(first, first + 16)), 0xFFFF, weight)
        for weight in WEIGHTS
        for first in range(0, 256, 16)
    ]
    run(engine, vectors, in_signed, 0, random.Random(0), first_chance=0, pause_chance=0)


@pytest.mark.parametrize("acc_bits", [16, 17, 24])
@pytest.mark.parametrize("weight", [127, -128])
def test_sums_up_to_the_end_of_the_range(acc_bits, weight):
    engine = EngineConfig(lanes=2, acc_bits=acc_bits)
    end = (1 << (acc_bits - 1)) - (weight > 0)
    steps, rest = divmod(end, 255 * abs(weight))
    vectors = [([255, 0], 3, weight)] * steps
    vectors += [([rest // abs(weight), 0], 3, weight)]
    vectors += [([rest % abs(weight), 0], 3, 1 if weight > 0 else -1)]
    total = sum(bytes_[0] * factor for bytes_, _, factor in vectors)
    assert total == end * (1 if weight > 0 else -1)
    run(engine, vectors, 0, 0, random.Random(0), first_chance=0, pause_chance=0)


@pytest.mark.parametrize("in_signed", [0, 1])
def test_maximum_of_every_pair_of_nasty_bytes(in_signed):
    engine = EngineConfig(lanes=2, acc_bits=16)
    vectors = []
    for a in BYTES:
        for b in BYTES:
            vectors += [([a, b], 3, 1), ([b, a], 3, 1)]
    values = [[value(byte, 1, in_signed) for byte in bytes_] for bytes_, _, _ in vectors]
    stimulus = [
        {"vector": bytes_, "inside": 3, "valid": 1, "first": int(index % 2 == 0)}
        for index, (bytes_, _, _) in enumerate(vectors)
    ]
    stimulus[0] |= {"in_signed": in_signed, "pool": 1, "weight": 1}
    stimulus += [{"valid": 0}] * Lanes.LATENCY
    seen = [out["acc"] for out in clocked(Lanes(engine), stimulus, ["acc"])]
    for index in range(0, len(vectors), 2):
        larger = [max(pair) for pair in zip(*values[index : index + 2], strict=True)]
        assert seen[index + Lanes.LATENCY] == values[index]
        assert seen[index + 1 + Lanes.LATENCY] == larger


@pytest.mark.parametrize("in_signed", [0, 1])
def test_multipliers_of_luts_know_every_weight(in_signed):
    engine = EngineConfig(lanes=8, lut_lanes=8)
    vectors = [([*BYTES, 64], 0xFF, weight) for weight in range(-128, 128)]
    run(engine, vectors, in_signed, 0, random.Random(0), first_chance=1, pause_chance=0)


def test_by_hand():
    engine = EngineConfig(lanes=2)
    stimulus = [
        {"vector": [2, 255], "inside": 3, "in_signed": 1, "valid": 1, "first": 1, "weight": 10},
        {"vector": [3, 4], "inside": 0b01, "first": 0, "weight": -5},
        {"valid": 0, "weight": 99},
        {"vector": [100, 1], "inside": 0b10, "valid": 1, "weight": 7},
        {"valid": 0, "weight": 99},
        {},
        {},
    ]
    seen = [out["acc"] for out in clocked(Lanes(engine), stimulus, ["acc"])]
    assert seen[3:] == [[20, -10], [5, -10], [5, -10], [5, -3]]
