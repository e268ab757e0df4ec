"""The cocotb test bench: drives frames through the engine and compares everything.

It runs inside the simulator, in the folder of the job: ``job.npz`` has the frames, the images and
the expected results, ``report.json`` gets the measurements. No Python runs while the network runs,
so that the simulator goes at its own speed.
"""

import json
import os
import random
import signal
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge

from sqhw.verify.processes import end_with_parent
from sqhw.verify.stimulus import PATTERN, Phase, label
from sqhw.verify.waits import SECONDS, Waits

if SECONDS in os.environ:
    end_with_parent()
    # The waits are bounded in cycles; this ends a simulator whose clock does not go on.
    signal.alarm(int(os.environ[SECONDS]))

#: Sentences for the bits of `violations`.
RULES = (
    "an activation is written back when nothing runs",
    "in_last does not come with the last pixel",
    "in_ready is high when no pixel may come, or low when one may",
    "ready while the engine works",
    "busy is not high from start to done",
    "done comes when nothing ends",
    "a result changes while it waits for out_ready",
    "a signal of the handshakes is undefined",
    "cycles is not 0 from a reset to the first start",
)


class InterruptedFrameError(Exception):
    """The frame ends here in the intended reset."""


class Bench:
    """The engine in the simulator, and one frame after the other.

    Parameters
    ----------
    dut : handle
        The test bench top.
    waits : Waits
    noise : random.Random
        Source of the pixels that must be ignored.
    """

    def __init__(self, dut, waits: Waits, noise: random.Random) -> None:  # type: ignore[no-untyped-def]
        self._dut = dut
        self._waits = waits
        self._noise = noise
        self._frame: dict[str, int] = {}

    async def power_up(self) -> None:
        """Start the clock and bring the engine into its first state."""
        self._quiet()
        self._dut.rst.value = 1
        Clock(self._dut.clk, 10, "ns").start()
        await self._reset(self._noise.randint(1, 5))

    async def run(self, frame, pixels, results: int) -> list[int] | None:  # type: ignore[no-untyped-def]
        """Run a frame and return its results, or None if it ended in a reset."""
        self._frame = {name: int(frame[name]) for name in frame.dtype.names}
        try:
            await self._wait_for_ready()
            await self._send(pixels)
            await self._start()
            await self._compute()
            found = await self._receive(results)
        except InterruptedFrameError:
            self.check_rules()
            await self._reset(self._frame["reset"])
            return None
        self.check_rules()
        return found

    def number(self, name: str) -> int:
        """Return the value of a signal; undefined bits are a failure."""
        value = getattr(self._dut, name).value
        assert value.is_resolvable, f"{name} is undefined: {value}"
        return int(value)

    def check_rules(self) -> None:
        """Check that the interface kept its rules since the last reset."""
        violations = self.number("violations")
        broken = [rule for bit, rule in enumerate(RULES) if violations >> bit & 1]
        assert not broken, " and ".join(broken)

    async def _reset(self, cycles: int) -> None:
        """Reset the engine; what is offered meanwhile must be ignored."""
        self._dut.rst.value = 1
        await self._cycles(cycles)
        self._dut.rst.value = 0
        self._quiet()

    async def _cycles(self, count: int) -> None:
        if count > 0:
            await ClockCycles(self._dut.clk, count)

    def _quiet(self) -> None:
        """Offer nothing and listen to nothing."""
        self._disturb(False)
        self._dut.out_ready.value = 0

    def _disturb(self, on: bool) -> None:
        """Set `start` and offer a pixel when neither may be taken."""
        self._dut.start.value = self._dut.in_valid.value = int(on)
        self._dut.in_data.value = self._noise.randrange(256)

    def _interrupt(self, phase: Phase, at: int) -> None:
        if self._frame["phase"] == phase and self._frame["at"] == at:
            raise InterruptedFrameError

    async def _rises(self, name: str, limit: int, waited: int) -> None:
        """Wait for a signal, `limit` cycles at most of which some are over; end the cycle."""
        await ReadOnly()  # the effects of the clock edge come later
        if not self.number(name):
            rising = RisingEdge(getattr(self._dut, name))
            first = await First(rising, ClockCycles(self._dut.clk, limit - waited))
            assert first is rising, (
                f"waited {limit} cycles for {name}, which by the schedule comes within {limit}"
            )
        await RisingEdge(self._dut.clk)

    async def _wait_for_ready(self) -> None:
        boot = self._frame["phase"] == Phase.BOOT
        early = min(self._frame["early"], self._frame["at"] if boot else self._waits.ready)
        if early:
            self._disturb(True)
            await self._cycles(early)
            self._disturb(False)
        if boot:
            await self._cycles(self._frame["at"] - early)
            raise InterruptedFrameError
        await self._rises("ready", self._waits.ready, early)

    async def _send(self, pixels) -> None:  # type: ignore[no-untyped-def]
        """Send the pixels of a frame, with pauses."""
        dut, frame = self._dut, self._frame
        if frame["phase"] == Phase.READY:
            await self._cycles(frame["at"])
            raise InterruptedFrameError
        cycle = 0
        for index, pixel in enumerate(pixels.tolist()):
            self._interrupt(Phase.PIXELS, index)
            pause = frame["pixel_stall"] if index == frame["pixel_stall_at"] else 0
            while not frame["valid"] >> cycle % PATTERN & 1:
                pause, cycle = pause + 1, cycle + 1
            cycle += 1
            if pause:
                dut.in_valid.value = 0
                await self._cycles(pause)
            dut.in_valid.value, dut.in_data.value = 1, pixel
            await RisingEdge(dut.clk)
        self._interrupt(Phase.PIXELS, len(pixels))
        dut.in_valid.value = 0
        await self._cycles(frame["delay"])

    async def _start(self) -> None:
        self._disturb(True)
        self._interrupt(Phase.START, 0)
        await RisingEdge(self._dut.clk)
        self._disturb(False)

    async def _compute(self) -> None:
        """Wait for `done`; what is offered meanwhile must be ignored."""
        frame, cycles = self._frame, self._waits.run
        interrupted = frame["phase"] == Phase.RUN
        end = frame["at"] - 1 if interrupted else cycles - 2  # before `done` comes
        first = min(frame["busy_from"] - 1, end)
        last = end if frame["held"] else min(frame["busy_to"] - 1, end)
        await self._cycles(first)
        self._disturb(True)
        await self._cycles(last - first)
        self._disturb(bool(frame["held"]))
        if interrupted:
            await self._cycles(end - last)
            raise InterruptedFrameError
        await self._rises("done", cycles, last)

    async def _receive(self, results: int) -> list[int]:
        """Take results until the last one, with back-pressure."""
        dut, frame = self._dut, self._frame
        found: list[int] = []
        cycle = idle = since = 0
        stall = frame["result_stall"] if frame["result_stall_at"] == 0 else 0
        last = False
        while not last:
            if frame["phase"] == Phase.RESULTS and len(found) >= frame["at"]:
                if len(found) > frame["at"] or since == frame["after"]:
                    raise InterruptedFrameError
                since += 1
            listens = not stall and bool(frame["listen"] >> cycle % PATTERN & 1)
            cycle, stall = cycle + 1, max(0, stall - 1)
            dut.out_ready.value = int(listens)
            await ReadOnly()
            if not self.number("out_valid"):
                idle += 1
                assert idle <= self._waits.result, (
                    f"waited {idle} cycles for result {len(found) + 1} of {results}, which by the "
                    f"schedule comes within {self._waits.result}"
                )
            elif listens:
                found.append(self.number("out_data"))
                last = bool(self.number("out_last"))
                assert last == (len(found) == results), (
                    f"out_last is {int(last)} at result {len(found)} of {results}"
                )
                idle = 0
                if len(found) == frame["result_stall_at"]:
                    stall = frame["result_stall"]
            await RisingEdge(dut.clk)
        self._quiet()
        if frame["phase"] == Phase.RESULTS:
            raise InterruptedFrameError
        return found


class Writeback:
    """The record of the bench top, run by run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def last_run(self) -> list[str]:
        """Return the lines since the last ``run``."""
        with self._path.open() as file:
            file.seek(self._read)
            text = file.read()
            self._read = file.tell()
        return text.rpartition("run\n")[2].split()


def written(lines: list[str], expected):  # type: ignore[no-untyped-def]
    """Return the bytes of a write-back file; those beyond a map are as negative as expected."""
    digits = [
        line[at - 2 : at] for line in lines for at in range(len(line), 0, -2)
    ]  # lane 0 is in the low digits
    if len(digits) != len(expected):
        return np.zeros(len(digits), dtype=np.int16)
    found = np.full(len(digits), -1, dtype=np.int16)
    for at in np.flatnonzero(expected >= 0):
        assert digits[at].strip("xXzZ") == digits[at], f"activation {at} is undefined"
        found[at] = int(digits[at], 16)
    return found


def first_difference(expected, found) -> str:  # type: ignore[no-untyped-def]
    """Return the first place where two byte sequences differ."""
    if len(expected) != len(found):
        return f"{len(found)} bytes instead of {len(expected)}"
    at = int(np.flatnonzero(expected != found)[0])
    return f"byte {at} is {found[at]} instead of {expected[at]}"


def compare(bench: Bench, job, run: int, results: list[int], lines: list[str]) -> None:  # type: ignore[no-untyped-def]
    """Compare cycles, activations and results of a run with the expected ones."""
    counter, cycles = bench.number("cycles"), bench.number("counted")
    assert counter == cycles, f"the engine counted {counter} cycles, the bench {cycles}"
    assert cycles == job["cycles"], f"{cycles} cycles, predicted {job['cycles']}"
    expected = job["writeback"][run]
    found = written(lines, expected)
    assert np.array_equal(found, expected), (
        f"activations differ, {first_difference(expected, found)}"
    )
    wanted, got = job["results"][run], np.array(results, dtype=np.uint8)
    assert np.array_equal(got, wanted), f"results differ, {first_difference(wanted, got)}"


@cocotb.test()
async def engine_equals_simulator(dut) -> None:  # type: ignore[no-untyped-def]
    """Every activation of every layer, every result, every cycle count, and the handshakes."""
    with np.load("job.npz") as file:
        job = {name: file[name] for name in file.files}
    frames = job["frames"]
    bench = Bench(dut, Waits(*job["waits"].tolist()), random.Random(int(job["seed"])))
    writeback = Writeback(Path("writeback.hex"))
    await bench.power_up()
    runs = activations = 0
    for index, frame in enumerate(frames):
        run = int(frame["run"])
        try:
            results = await bench.run(frame, job["pixels"][run], job["results"].shape[1])
            if results is not None:
                compare(bench, job, run, results, writeback.last_run())
        except AssertionError as error:
            raise AssertionError(f"{label(frames, index)}: {error}") from None
        if results is not None:
            runs += 1
            activations += int((job["writeback"][run] >= 0).sum())
    report = {"runs": runs, "activations": activations, "cycles": int(job["cycles"])}
    Path("report.json").write_text(json.dumps(report))
