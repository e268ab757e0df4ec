"""The cocotb test bench: drives images through the engine and compares everything.

It runs inside the simulator, in the folder of the job: ``job.npz`` has the images and what must
come out, ``report.json`` gets what was measured. Python runs only at the ends of a frame, so
that the simulator goes at its own speed.
"""

import json
import random
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge


async def reset(dut) -> None:  # type: ignore[no-untyped-def]
    """Start the clock and bring the engine into its first state."""
    for name in ("start", "in_valid", "in_data", "out_ready"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    Clock(dut.clk, 10, "ns").start()
    await ClockCycles(dut.clk, 5)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)


def number(signal, what: str) -> int:  # type: ignore[no-untyped-def]
    """Return the value of a signal; undefined bits are a failure."""
    value = signal.value
    assert value.is_resolvable, f"{what} is undefined: {value}"
    return int(value)


async def send(dut, pixels, rng: random.Random) -> None:  # type: ignore[no-untyped-def]
    """Send the pixels of an image, with pauses."""
    if not number(dut.ready, "ready"):
        await RisingEdge(dut.ready)
        await RisingEdge(dut.clk)
    for pixel in pixels:
        if rng.random() < 0.1:
            dut.in_valid.value = 0
            await ClockCycles(dut.clk, rng.randint(1, 3))
        dut.in_valid.value = 1
        dut.in_data.value = int(pixel)
        await RisingEdge(dut.clk)
    dut.in_valid.value = 0


async def disturb(dut, rng: random.Random) -> None:  # type: ignore[no-untyped-def]
    """Pulse `start` and offer a pixel while the engine works: both must be ignored."""
    await ClockCycles(dut.clk, rng.randint(1, 30))
    dut.start.value, dut.in_valid.value, dut.in_data.value = 1, 1, rng.randrange(256)
    await ClockCycles(dut.clk, rng.randint(1, 3))
    dut.start.value, dut.in_valid.value = 0, 0


async def receive(dut, count: int, rng: random.Random) -> list[int]:  # type: ignore[no-untyped-def]
    """Take results until the last one, with back-pressure; more than `count` is an error."""
    results: list[int] = []
    last = False
    await ClockCycles(dut.clk, rng.choice([0, 0, 100]) + 1)  # sometimes nobody listens for long
    while not last:
        dut.out_ready.value = int(rng.random() < 0.7)
        await ReadOnly()
        if number(dut.out_valid, "out_valid") and dut.out_ready.value:
            results.append(number(dut.out_data, f"result {len(results)}"))
            last = bool(number(dut.out_last, "out_last"))
            assert len(results) <= count, f"more than {count} results"
        await RisingEdge(dut.clk)
    dut.out_ready.value = 0
    return results


def written(lines: list[str], expected):  # type: ignore[no-untyped-def]
    """Return the bytes of a write-back file; those beyond a map are as negative as expected."""
    digits = [
        line[at - 2 : at] for line in lines for at in range(len(line), 0, -2)
    ]  # lane 0 stands in the low digits
    if len(digits) != len(expected):
        return np.zeros(len(digits), dtype=np.int16)
    found = np.full(len(digits), -1, dtype=np.int16)
    for at in np.flatnonzero(expected >= 0):
        assert digits[at].strip("xXzZ") == digits[at], f"activation {at} is undefined"
        found[at] = int(digits[at], 16)
    return found


def first_difference(expected, found) -> str:  # type: ignore[no-untyped-def]
    """Return where two byte sequences differ first."""
    if len(expected) != len(found):
        return f"{len(found)} bytes instead of {len(expected)}"
    at = int(np.flatnonzero(expected != found)[0])
    return f"byte {at} is {found[at]} instead of {expected[at]}"


@cocotb.test()
async def engine_equals_simulator(dut) -> None:  # type: ignore[no-untyped-def]
    """Every activation of every layer, every result, every cycle count, and the handshakes."""
    job = np.load("job.npz")
    rng = random.Random(int(job["seed"]))
    report = {"images": 0, "activations": 0, "cycles": 0}
    await reset(dut)
    read = 0
    for run, pixels in enumerate(job["pixels"]):
        await send(dut, pixels, rng)
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        cocotb.start_soon(disturb(dut, rng))
        limit = ClockCycles(dut.clk, 2 * int(job["cycles"]) + 1000)
        await First(RisingEdge(dut.done), limit)
        assert dut.done.value, f"run {run}: not done after twice the predicted cycles"
        await RisingEdge(dut.clk)
        counter, cycles = number(dut.cycles, "cycles"), number(dut.counted, "counted")
        assert counter == cycles, (
            f"run {run}: the engine counted {counter} cycles, the bench {cycles}"
        )
        assert cycles == job["cycles"], f"run {run}: {cycles} cycles, predicted {job['cycles']}"
        results = np.array(await receive(dut, len(job["results"][run]), rng), dtype=np.uint8)
        lines = Path("writeback.hex").read_text().split()[read:]
        read += len(lines)
        expected = job["writeback"][run]
        found = written(lines, expected)
        assert np.array_equal(found, expected), (
            f"run {run}: activations differ, {first_difference(expected, found)}"
        )
        wanted = job["results"][run]
        assert np.array_equal(results, wanted), (
            f"run {run}: results differ, {first_difference(wanted, results)}"
        )
        violations = number(dut.violations, "violations")
        assert violations == 0, f"run {run}: the interface broke its rules {violations} times"
        report["images"] += int(job["batch"])
        report["activations"] += int((expected >= 0).sum())
        report["cycles"] = cycles
        Path("report.json").write_text(json.dumps(report))
