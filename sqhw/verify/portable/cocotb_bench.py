"""cocotb test of an engine that sqhw wrote. It needs cocotb and the files beside it, nothing else.

The pixels, the expected bytes and the predicted cycles are in files; ``bench.json`` describes them.
The streams pause at random; cocotb prints the seed. The Verilog top compares every activation while
the network runs, so no Python runs in these cycles.
"""

import json
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge

HERE = Path(__file__).parent
BENCH = json.loads((HERE / "bench.json").read_text())
#: Share of the cycles in which a stream pauses.
PAUSES = 0.2


def vector(name: str) -> list[list[int]]:
    """Return the bytes of a file, image by image."""
    data = [int(line, 16) for line in (HERE / f"{name}.hex").read_text().split()]
    size = len(data) // BENCH["images"]
    return [data[at : at + size] for at in range(0, len(data), size)]


def place_of_result(index: int) -> str:
    """Return channel, row and column of a result: row by row, the channels of a pixel together."""
    channels, _, width = BENCH["layers"][-1]["shape"]
    position, channel = divmod(index, channels)
    row, column = divmod(position, width)
    return f"channel {channel}, row {row}, column {column}"


async def rises(dut: Any, name: str, limit: int) -> None:
    """Wait for a signal, `limit` cycles at most, and end its cycle."""
    await ReadOnly()
    signal = getattr(dut, name)
    if signal.value != 1:
        rising = RisingEdge(signal)
        first = await First(rising, ClockCycles(dut.clk, limit))
        assert first is rising, f"waited {limit} cycles for {name}"
    await RisingEdge(dut.clk)


async def send(dut: Any, pixels: list[int]) -> None:
    """Send the pixels of an image, row by row, the channels of a pixel together."""
    for pixel in pixels:
        while random.random() < PAUSES:
            dut.in_valid.value = 0
            await RisingEdge(dut.clk)
        dut.in_valid.value, dut.in_data.value = 1, pixel
        await RisingEdge(dut.clk)
        for _ in range(BENCH["patience"]):
            if dut.in_ready.value == 1:
                break
            await RisingEdge(dut.clk)
        else:
            raise AssertionError(f"waited {BENCH['patience']} cycles for in_ready")
    dut.in_valid.value = 0


async def receive(dut: Any, expected: list[int]) -> None:
    """Take the results and compare each with the expected one."""
    for index, value in enumerate(expected):
        for _ in range(BENCH["patience"]):
            listens = random.random() >= PAUSES
            dut.out_ready.value = int(listens)
            await RisingEdge(dut.clk)
            if listens and dut.out_valid.value == 1:
                break
        else:
            raise AssertionError(f"waited {BENCH['patience']} cycles for result {index + 1}")
        found, last = dut.out_data.value, dut.out_last.value
        assert found == value, (
            f"result of {place_of_result(index)} is {found} instead of {value:08b} (binary)"
        )
        assert last == int(index == len(expected) - 1), f"out_last is {last} at result {index + 1}"
    dut.out_ready.value = 0


def check_activations(dut: Any) -> None:
    """Check that no activation of the last run differed; name the first one that did."""
    differences = int(dut.differences.value)
    if differences:
        layer = BENCH["layers"][int(dut.first_layer.value)]["name"]
        place = ", ".join(
            f"{name} {int(getattr(dut, f'first_{name}').value)}"
            for name in ("channel", "row", "column")
        )
        raise AssertionError(
            f"layer {layer}, {place} is {dut.first_found.value} instead of "
            f"{dut.first_expected.value} (binary); {differences} of {BENCH['bytes']} activations "
            "differ"
        )
    written = int(dut.written.value)
    assert written == BENCH["bytes"], f"{written} activations instead of {BENCH['bytes']}"


@cocotb.test()
async def engine_is_as_expected(dut: Any) -> None:
    """Every activation of every layer, every result and the cycles of each image."""
    dut.rst.value, dut.start.value, dut.image.value = 1, 0, 0
    dut.in_valid.value, dut.in_data.value, dut.out_ready.value = 0, 0, 0
    Clock(dut.clk, 10, "ns").start()
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    for image, (pixels, results) in enumerate(
        zip(vector("pixels"), vector("results"), strict=True)
    ):
        try:
            dut.image.value = image
            await rises(dut, "ready", BENCH["patience"])
            await send(dut, pixels)
            dut.start.value = 1
            await RisingEdge(dut.clk)
            dut.start.value = 0
            await rises(dut, "done", BENCH["cycles"] + 1)
            await ReadOnly()
            check_activations(dut)
            cycles = int(dut.cycles.value)
            assert cycles == BENCH["cycles"], f"{cycles} cycles instead of {BENCH['cycles']}"
            await RisingEdge(dut.clk)
            await receive(dut, results)
        except AssertionError as error:
            raise AssertionError(f"image {image}: {error}") from None
        dut._log.info(
            f"image {image}: {BENCH['bytes']} activations, {len(results)} results and "
            f"{BENCH['cycles']} cycles as expected"
        )
