"""Bench of the adder in test_tools.py; runs inside the simulator."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


@cocotb.test()
async def adds(dut):
    Clock(dut.clk, 10, unit="ns").start()
    rng = random.Random(1)
    for _ in range(20):
        a, b = rng.randrange(256), rng.randrange(256)
        dut.a.value, dut.b.value = a, b
        await FallingEdge(dut.clk)
        assert dut.sum.value.to_unsigned() == a + b


@cocotb.test()
async def wraps_in_no_bit(dut):
    Clock(dut.clk, 10, unit="ns").start()
    dut.a.value = dut.b.value = 255
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    assert dut.sum.value.to_unsigned() == 510
