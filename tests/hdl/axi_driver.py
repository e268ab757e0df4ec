"""The engine on its buses inside the simulator, with the bus models of cocotbext-axi."""

import json
import logging
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from sqhw.machine.config import EngineConfig
from sqhw.machine.registers import find_register

JOB = np.load("job.npz")
SEED = int(JOB["seed"])
ENGINE = EngineConfig.from_dict(json.loads(str(JOB["engine"])))
INPUTS = (
    "s_axis_tdata", "s_axis_tvalid", "s_axis_tlast", "m_axis_tready",
    "s_axi_awaddr", "s_axi_awvalid", "s_axi_wdata", "s_axi_wstrb", "s_axi_wvalid",
    "s_axi_bready", "s_axi_araddr", "s_axi_arvalid", "s_axi_rready",
)  # fmt: skip
READYS = ("s_axis_tready", "s_axi_awready", "s_axi_wready", "s_axi_arready")
#: Signals of the channels that the engine drives: they must not change while a channel waits.
CHANNELS = {
    ("m_axis_tvalid", "m_axis_tready"): ("m_axis_tdata", "m_axis_tlast"),
    ("s_axi_bvalid", "s_axi_bready"): ("s_axi_bresp",),
    ("s_axi_rvalid", "s_axi_rready"): ("s_axi_rdata", "s_axi_rresp"),
}


class Bench:
    """The engine on its buses, which pause at random unless `pauses` is false."""

    def __init__(self, dut, *, pauses: bool = True) -> None:
        self.dut = dut
        self.rng = random.Random(SEED)
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        for name in INPUTS:
            getattr(dut, name).value = 0
        dut.s_axi_awprot.value = dut.s_axi_arprot.value = 0
        dut.aresetn.value = 0
        Clock(dut.aclk, 10, "ns").start()
        reset = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), **reset)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **reset)
        write, read = self.master.write_if, self.master.read_if
        channels = (
            self.source, self.sink, write.aw_channel, write.w_channel, write.b_channel,
            read.ar_channel, read.r_channel,
        )  # fmt: skip
        for channel in channels if pauses else ():
            channel.set_pause_generator(self.pauses())
        cocotb.start_soon(self.watch())

    def pauses(self):
        """Yield whether to pause, for a random share of the cycles that changes now and then."""
        rng = random.Random(self.rng.random())
        while True:
            share = rng.choice([0.0, 0.1, 0.5, 0.9])
            yield from (rng.random() < share for _ in range(rng.randint(1, 40)))

    async def watch(self) -> None:
        """Check the rules of the protocol in every cycle: defined, stable while it waits."""
        dut, waiting = self.dut, {}
        edges = 0  # since the reset began
        while True:
            await FallingEdge(dut.aclk)  # between two edges all signals have their values
            in_reset = not dut.aresetn.value
            edges = edges + 1 if in_reset else 0
            for name in (*READYS, *(valid for valid, _ in CHANNELS), "irq"):
                value = getattr(dut, name).value
                assert value.is_resolvable or edges == 1, f"{name} is undefined"
            for (valid, ready), payload in CHANNELS.items():
                now = None
                if in_reset:
                    assert edges == 1 or not getattr(dut, valid).value, f"{valid} during reset"
                elif getattr(dut, valid).value:
                    now = [getattr(dut, name).value for name in payload]
                    assert all(value.is_resolvable for value in now), f"{payload} undefined"
                if waiting.get(valid) is not None and not in_reset:
                    assert now == waiting[valid], f"{valid} waited and changed"
                waiting[valid] = None if in_reset or getattr(dut, ready).value else now

    async def reset(self) -> None:
        """Reset for some cycles."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 5)
        self.dut.aresetn.value = 1
        await RisingEdge(self.dut.aclk)

    async def read(self, name: str) -> dict[str, int]:
        """Return the fields of a register."""
        register = find_register(name)
        answer = await self.master.read(register.offset, 4)
        assert answer.resp == AxiResp.OKAY, name
        word = int.from_bytes(answer.data, "little")
        assert word & ~sum(field.mask for field in register.fields) == 0, f"{name} {word:#x}"
        return {field.name: (word & field.mask) >> field.lsb for field in register.fields}

    async def write(self, name: str, resp: AxiResp = AxiResp.OKAY, **fields: int) -> None:
        """Write fields of a register; the others become 0."""
        register = find_register(name)
        word = sum(value << register.field(field).lsb for field, value in fields.items())
        answer = await self.master.write(register.offset, word.to_bytes(4, "little"))
        assert answer.resp == resp, f"{name}: {answer.resp}"

    async def until(self, name: str, **fields: int) -> None:
        """Read a register until its fields are these."""
        for _ in range(2_000):
            found = await self.read(name)
            if fields.items() <= found.items():
                return
        raise AssertionError(f"{name} is {found}, never {fields}")

    async def send(self, pixels) -> None:
        """Queue a frame."""
        await self.source.send(AxiStreamFrame([int(pixel) for pixel in pixels]))

    async def receive(self) -> list[int]:
        """Return the bytes of the next frame of results, up to TLAST."""
        frame = await with_timeout(self.sink.recv(), 1, "ms")
        return list(frame.tdata)

    async def nothing_comes(self) -> None:
        """Check that no results come for longer than a run takes."""
        await ClockCycles(self.dut.aclk, 2 * int(max(JOB["cycles_a"], JOB["cycles_b"])) + 500)
        assert self.sink.empty()
        assert not self.dut.m_axis_tvalid.value

    async def run(self, network: str, index: int = 0) -> None:
        """Run one frame of a network and compare its results and cycles."""
        await self.send(JOB[f"pixels_{network}"][index])
        assert await self.receive() == JOB[f"results_{network}"][index].tolist()
        assert (await self.read("CYCLES"))["cycles"] == JOB[f"cycles_{network}"]
