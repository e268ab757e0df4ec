"""Bench of test_two_engines.py; it runs inside the simulator: both engines at the same time."""

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, gather, with_timeout

JOB = np.load("job.npz")
PERIOD = 10  # ns


async def frames(dut, side):
    """Run all frames of one engine and return its results; signals change at falling edges."""

    def signal(name):
        return getattr(dut, f"{side}_{name}")

    results = []
    for pixels in JOB[f"pixels_{side}"].tolist():
        while not signal("in_ready").value:
            await FallingEdge(dut.clk)
        for pixel in pixels:
            signal("in_valid").value, signal("in_data").value = 1, pixel
            await FallingEdge(dut.clk)
        signal("in_valid").value, signal("start").value = 0, 1
        await FallingEdge(dut.clk)
        signal("start").value = 0
        found, last = [], False
        while not last:
            if signal("out_valid").value:
                found.append(int(signal("out_data").value))
                last = bool(signal("out_last").value)
            await FallingEdge(dut.clk)
        results.append(found)
    return results


@cocotb.test()
async def both_engines(dut):
    for name in ("a_start", "a_in_valid", "b_start", "b_in_valid"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    Clock(dut.clk, PERIOD, "ns").start()
    await ClockCycles(dut.clk, 3)
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    limit = int(JOB["limit"]) * PERIOD
    found = await with_timeout(gather(frames(dut, "a"), frames(dut, "b")), limit, "ns")
    for side, results in zip("ab", found, strict=True):
        assert results == JOB[f"results_{side}"].tolist(), f"engine {side}"
