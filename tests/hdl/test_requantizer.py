import random
from itertools import product

import pytest
from hdl.support import clocked

from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import requantize_cycles
from sqhw.rtl.requantizer import Requantizer
from sqhw.sim.reference import requantize

CONFIGS = {
    "default": EngineConfig(),
    "narrow": EngineConfig(lanes=2, acc_bits=16, mult_bits=1, requantizers=2),
    "wide": EngineConfig(lanes=4, acc_bits=32, mult_bits=16, requantizers=2),
    "odd": EngineConfig(lanes=16, acc_bits=23, mult_bits=5, requantizers=4),
}
#: Output formats, (lo, hi): signed and unsigned, 2 to 8 bits.
CLAMPS = [(-128, 127), (0, 255), (-2, 1), (0, 3), (-16, 15), (0, 127)]


def vectors(rng, engine, totals, multiplier, shift):
    """Return loads of `lanes` accumulators that together with a random bias make `totals`."""
    lo, hi = -(1 << (engine.acc_bits - 1)), (1 << (engine.acc_bits - 1)) - 1
    for first in range(0, len(totals), engine.lanes):
        chunk = totals[first : first + engine.lanes]
        filled = [*chunk, *[0] * (engine.lanes - len(chunk))]
        # The accumulators fit before and after the bias.
        bias = rng.randint(max(lo, max(filled) - hi), min(hi, min(filled) - lo))
        yield {
            "acc": [total - bias for total in filled],
            "bias": bias,
            "multiplier": multiplier,
            "shift": shift,
        }


def noise(rng, engine):
    """Return random values for the inputs of a load while there is none."""
    return {
        "acc": [rng.getrandbits(engine.acc_bits) for _ in range(engine.lanes)],
        "bias": rng.getrandbits(engine.acc_bits),
        "multiplier": rng.getrandbits(engine.mult_bits),
        "shift": rng.getrandbits(5),
    }


def reference_bytes(load, lo, hi):
    constants = load["multiplier"], load["shift"], lo, hi
    return [requantize(acc + load["bias"], *constants) & 0xFF for acc in load["acc"]]


def check(rng, engine, loads, clamps, pause=0):
    """Load vector after vector with up to `pause` cycles between, and compare every byte.

    The first clamp is that of a layer with one byte a cycle, the next one that of a layer with
    as many as there are requantizers, and so on.
    """
    stimulus, expected = [], {}
    for index, (lo, hi) in enumerate(clamps):
        serial = 1 - index % 2
        at_once = 1 if serial else engine.requantizers
        stimulus.append({"clamp_lo": lo, "clamp_hi": hi, "serial": serial, "load": 0})
        for load in loads:
            start = len(stimulus) + requantize_cycles(engine)
            for lane, byte in enumerate(reference_bytes(load, lo, hi)):
                what = f"lane {lane} of {load}, clamped to {lo} to {hi}, serial {serial}"
                expected[start + lane // at_once, lane % at_once] = byte, what
            stimulus.append({**load, "load": 1})
            rest = engine.lanes // at_once - 1 + rng.randint(0, pause)
            stimulus += [{**noise(rng, engine), "load": 0}] * rest
        stimulus += [{"load": 0}] * requantize_cycles(engine)
    seen = clocked(Requantizer(engine), stimulus, ["y"])
    for (cycle, index), (byte, what) in expected.items():
        assert seen[cycle]["y"][index] == byte, what


def nasty_totals(engine, multiplier, shift):
    """Return totals at the ends of the range, at halves and at the edges of a byte."""
    lo, hi = -(1 << (engine.acc_bits - 1)), (1 << (engine.acc_bits - 1)) - 1
    steps = [-512, -257, -256, -255, -129, -128, -127, -17, -16, -3, -2, -1]
    steps += [0, 1, 2, 3, 15, 16, 17, 127, 128, 254, 255, 256, 511, 512, 513, 1023, 1024]
    around = [((2 * step + 1) << shift) // (2 * multiplier) for step in steps]
    # With odd factors these are exact halves: -1.5, -0.5, 0.5 and 1.5 times the multiplier.
    around += [(odd << shift) // 2 for odd in (-3, -1, 1, 3)]
    totals = {lo, lo + 1, lo // 2, -1, 0, 1, hi // 2, hi - 1, hi}
    totals |= {total + off for total in around for off in (-1, 0, 1)}
    return sorted(total for total in totals if lo <= total <= hi)


@pytest.mark.parametrize("name", CONFIGS)
def test_nasty_values_back_to_back(name):
    engine = CONFIGS[name]
    rng = random.Random(name)
    top = (1 << engine.mult_bits) - 1
    loads = []
    for multiplier, shift in product(
        sorted({1, top, top // 2 + 1}), [0, 1, 2, 7, 15, engine.acc_bits - 1, 30, 31]
    ):
        totals = nasty_totals(engine, multiplier, shift)
        totals = rng.sample(totals, min(len(totals), 32))
        loads += vectors(rng, engine, totals, multiplier, shift)
    rng.shuffle(loads)
    check(rng, engine, loads, rng.sample(CLAMPS, 2))


@pytest.mark.parametrize("name", CONFIGS)
def test_extremes_of_the_accumulator_in_every_lane(name):
    engine = CONFIGS[name]
    rng = random.Random(name)
    lo, hi = -(1 << (engine.acc_bits - 1)), (1 << (engine.acc_bits - 1)) - 1
    top = (1 << engine.mult_bits) - 1
    loads = [
        {"acc": accs, "bias": bias, "multiplier": multiplier, "shift": shift}
        for accs, bias in [
            ([lo] * engine.lanes, 0),
            ([hi] * engine.lanes, 0),
            ([lo, hi] * (engine.lanes // 2), 0),
            ([-1] * engine.lanes, lo + 1),
            ([0, 1] * (engine.lanes // 2), hi - 1),
            ([lo, lo + 1] * (engine.lanes // 2), hi),
            ([hi, hi - 1] * (engine.lanes // 2), lo),
        ]
        for multiplier in (1, top)
        for shift in (0, 1, engine.acc_bits - 8, 31)
    ]
    check(rng, engine, loads, [(-128, 127), (0, 255), (-128, 127)])


@pytest.mark.parametrize("clamp", [(-128, 127), (0, 255)])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_every_total_around_a_byte(shift, clamp):
    rng = random.Random(shift)
    engine = EngineConfig(lanes=8, acc_bits=16, requantizers=rng.choice([2, 4, 8]))
    reach = 520 << min(shift, 1)
    loads = list(vectors(rng, engine, list(range(-reach, reach + 1)), 1, shift))
    check(rng, engine, loads, [clamp, clamp])


@pytest.mark.parametrize(
    ("lanes", "requantizers"), [(2, 1), (16, 1), (8, 2), (16, 2), (4, 4), (16, 4), (8, 8)]
)
def test_random_values_with_pauses(lanes, requantizers):
    rng = random.Random(lanes + requantizers)
    engine = EngineConfig(
        lanes=lanes,
        acc_bits=rng.randint(16, 32),
        mult_bits=rng.randint(1, 16),
        requantizers=requantizers,
    )
    loads = []
    for _ in range(50):
        multiplier, shift = rng.randint(1, (1 << engine.mult_bits) - 1), rng.randint(0, 31)
        reach = min((1 << engine.acc_bits) // 2 - 1, (300 << shift) // multiplier)
        totals = [rng.randint(-reach - 1, reach) for _ in range(engine.lanes)]
        loads += vectors(rng, engine, totals, multiplier, shift)
    check(rng, engine, loads, rng.sample(CLAMPS, 3), pause=5)


@pytest.mark.parametrize(
    ("acc", "bias", "multiplier", "shift", "clamp", "y"),
    [
        (5, 0, 1, 1, (-128, 127), 3),  # 2.5 rounds up
        (-5, 0, 1, 1, (-128, 127), -2),  # so does -2.5
        (-3, 2, 1, 1, (-128, 127), 0),  # and -0.5
        (-7, 0, 1, 2, (-128, 127), -2),  # -1.75
        (255, 0, 1, 0, (0, 255), 255),
        (256, 0, 1, 0, (0, 255), 255),
        (-1, 0, 1, 0, (0, 255), 0),
        (-129, 0, 1, 0, (-128, 127), -128),
        (-(1 << 23), 0, 255, 31, (-128, 127), -1),  # -0.996
        ((1 << 23) - 1, 0, 255, 31, (-128, 127), 1),
        ((1 << 23) - 1, 0, 128, 31, (-128, 127), 0),  # just below a half
        (-(1 << 23), 0, 128, 31, (-128, 127), 0),  # -0.5
        ((1 << 23) - 1, -(1 << 23), 1, 0, (-128, 127), -1),
    ],
)
def test_by_hand(acc, bias, multiplier, shift, clamp, y):
    assert requantize(acc + bias, multiplier, shift, *clamp) == y
    load = {"acc": [acc] * 2, "bias": bias, "multiplier": multiplier, "shift": shift}
    for requantizers in (1, 2):
        engine = EngineConfig(lanes=2, requantizers=requantizers)
        check(random.Random(0), engine, [load], [clamp, clamp])


def test_order_and_cycles_by_hand():
    engine = EngineConfig(lanes=4, requantizers=2)
    load = {"acc": [10, 11, 12, 13], "bias": 5, "multiplier": 2, "shift": 1, "clamp_hi": 255}
    for serial, elements in [(1, {0: [15, 16, 17, 18]}), (0, {0: [15, 17], 1: [16, 18]})]:
        stimulus = [{**load, "load": 1, "serial": serial}, *[{"load": 0}] * 20]
        seen = clocked(Requantizer(engine), stimulus, ["y"])[requantize_cycles(engine) :]
        for index, expected in elements.items():
            assert [out["y"][index] for out in seen[: len(expected)]] == expected
