"""Cases of test_axi.py, which run inside the simulator.

``job.npz`` has the configuration, frames and expected results of two networks, and the ROM images
of both. The first network is in the ROMs at the beginning, and again after every test.
"""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.simtime import get_sim_time
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, Timer, with_timeout
from cocotbext.axi import AxiResp
from hdl.axi_driver import CHANNELS, ENGINE, INPUTS, JOB, READYS, SEED, Bench

from sqhw.machine.layout import ROMS
from sqhw.machine.registers import ADDRESS_BITS, ID, REGISTERS, VERSION, find_register
from sqhw.machine.timing import Timing

#: Cycles from the last pixel to the first result, besides those of the network.
LATENCY = 4 + Timing.of(ENGINE).output
PRESENT = [r for r in REGISTERS if ENGINE.writable or not r.writable_only]


def words_of(network: str) -> dict[str, list[int]]:
    """Return the ROM images of a network."""
    return {name: [int(word, 16) for word in JOB[f"{name}_{network}"]] for name in ROMS}


@cocotb.test()
async def frames_back_to_back(dut):
    bench = Bench(dut)
    await bench.reset()
    for pixels in JOB["pixels_a"]:
        await bench.send(pixels)
    for results in JOB["results_a"]:
        assert await bench.receive() == results.tolist()
    assert (await bench.read("FRAMES"))["frames"] == len(JOB["pixels_a"])
    assert (await bench.read("CYCLES"))["cycles"] == JOB["cycles_a"]
    assert not any((await bench.read("ERROR")).values())
    await bench.until("STATUS", idle=1, loaded=0, busy=0, sending=0, error=0)


@cocotb.test()
async def the_registers_are_those_of_the_table(dut):
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("ID") == {"id": ID}
    assert await bench.read("VERSION") == {"version": VERSION}
    configuration = ENGINE.to_dict() | {"max_batch": ENGINE.max_batch - 1}
    for name, value in (await bench.read("CONFIG")).items():
        assert value == configuration[name], name
    await bench.until("STATUS", idle=1)
    for register in PRESENT:
        if register.access in ("rw", "w1c"):
            found = await bench.read(register.name)
            assert found == {field.name: field.reset for field in register.fields}
    for register in PRESENT:
        if register.access == "rw" and register.name != "CONTROL":
            fields = {
                field.name: bench.rng.getrandbits(field.width) | 1 for field in register.fields
            }
            await bench.write(register.name, **fields)
            assert await bench.read(register.name) == fields
            for length in (1, 2, 3):  # a partial write changes nothing
                answer = await bench.master.write(register.offset, b"\xa5" * length)
                assert answer.resp == AxiResp.SLVERR
            assert await bench.read(register.name) == fields


@cocotb.test()
async def accesses_without_a_register_are_refused(dut):
    bench = Bench(dut, pauses=False)
    await bench.reset()
    known = {register.offset: register.access for register in PRESENT}
    far = {1 << bit for bit in range(8, ADDRESS_BITS)} | {(1 << ADDRESS_BITS) - 4}
    for offset in [*range(0, 0x60, 4), *sorted(far)]:
        access = known.get(offset)
        if access in (None, "wo"):
            answer = await bench.master.read(offset, 4)
            assert answer.resp == AxiResp.SLVERR, f"{offset:#x}"
            assert answer.data == bytes(4)
        if access in (None, "ro"):
            before = await bench.master.read(offset, 4)
            answer = await bench.master.write(offset, b"\xff" * 4)
            assert answer.resp == AxiResp.SLVERR, f"{offset:#x}"
            assert await bench.master.read(offset, 4) == before
    await bench.run("a")


@cocotb.test()
async def accesses_wait_for_answers(dut):
    """Many transactions at once: the master sends the next before it takes an answer."""
    bench = Bench(dut)
    await bench.reset()
    words = {name: find_register(name).offset for name in ("ID", "VERSION", "IRQ_STATUS")}
    nothing = (1 << ADDRESS_BITS) - 4
    offsets = [bench.rng.choice([*words.values(), nothing]) for _ in range(150)]
    alone = {offset: await bench.master.read(offset, 4) for offset in set(offsets)}
    reads = [cocotb.start_soon(bench.master.read(offset, 4)) for offset in offsets]
    writes = [cocotb.start_soon(bench.master.write(offset, bytes(4))) for offset in offsets]
    for offset, read, write in zip(offsets, reads, writes, strict=True):
        assert await with_timeout(read, 1, "ms") == alone[offset]
        expected = AxiResp.OKAY if offset == words["IRQ_STATUS"] else AxiResp.SLVERR
        assert (await with_timeout(write, 1, "ms")).resp == expected


@cocotb.test()
async def short_and_long_frames_are_dropped(dut):
    bench = Bench(dut)
    await bench.reset()
    pixels = JOB["pixels_a"][0].tolist()
    bad = [("short", pixels[:length]) for length in {1, len(pixels) // 2 or 1, len(pixels) - 1}]
    bad += [("long", pixels + pixels[:length]) for length in (1, 2, len(pixels))]
    bad += [("long", pixels * 2 + [0])]
    bench.rng.shuffle(bad)
    for index, (error, frame) in enumerate(bad):
        await bench.send(frame)
        await bench.until("ERROR", **{error: 1})
        if index < 2:
            await bench.nothing_comes()
        await bench.run("a", index % len(JOB["pixels_a"]))
        flags = await bench.read("ERROR")
        assert flags == dict.fromkeys(flags, 0) | {error: 1}
        assert (await bench.read("STATUS"))["error"] == 1
        await bench.write("ERROR", **dict.fromkeys(set(flags) - {error}, 1))
        assert await bench.read("ERROR") == flags  # ones clear their own bits only
        await bench.write("ERROR", **{error: 1})
        assert not any((await bench.read("ERROR")).values())
    assert (await bench.read("FRAMES"))["frames"] == len(bad)
    # The same without time between them.
    for _, frame in bad:
        await bench.send(frame)
    await bench.run("a")


@cocotb.test(skip=ENGINE.cores == 1)
async def start_of_cores_by_hand(dut):
    bench = Bench(dut)
    await bench.reset()
    await bench.write("CONTROL", auto=0)
    pixels, results = JOB["pixels_a"], JOB["results_a"]
    for frame in range(ENGINE.cores):
        await bench.send(pixels[frame])
    bench.sink.clear_pause_generator()
    bench.sink.pause = True
    for _ in range(ENGINE.cores):  # each frame waits for its start while those before it run
        await bench.until("STATUS", loaded=1, idle=0)
        await bench.write("CONTROL", start=1)
    await bench.until("STATUS", sending=1, busy=0, loaded=0, idle=0)
    assert (await bench.read("FRAMES"))["frames"] == ENGINE.cores
    await bench.write("CONTROL", start=1)
    assert await bench.read("ERROR") == {"short": 0, "long": 0, "start_busy": 1, "start_empty": 0}
    bench.sink.pause = False
    for frame in range(ENGINE.cores):
        assert await bench.receive() == results[frame].tolist()
    assert (await bench.read("CYCLES"))["cycles"] == JOB["cycles_a"]


@cocotb.test(skip=ENGINE.cores > 1)
async def start_by_hand(dut):
    bench = Bench(dut)
    await bench.reset()
    await bench.write("CONTROL", auto=0)
    await bench.write("CONTROL", start=1)
    assert await bench.read("ERROR") == {"short": 0, "long": 0, "start_busy": 0, "start_empty": 1}
    await bench.write("ERROR", start_empty=1)
    pixels, results = JOB["pixels_a"], JOB["results_a"]
    await bench.send(pixels[0])
    await bench.send(pixels[1])
    await bench.until("STATUS", loaded=1, idle=0, busy=0, sending=0)
    await bench.nothing_comes()
    bench.sink.pause = True
    bench.sink.clear_pause_generator()
    await bench.write("CONTROL", start=1)
    assert (await bench.read("CONTROL"))["start"] == 0
    await bench.until("STATUS", sending=1, busy=0, loaded=0)  # the sink accepts nothing
    await bench.write("CONTROL", start=1)
    assert await bench.read("ERROR") == {"short": 0, "long": 0, "start_busy": 1, "start_empty": 0}
    bench.sink.pause = False
    assert await bench.receive() == results[0].tolist()
    await bench.until("STATUS", loaded=1)
    await bench.write("CONTROL", auto=1)  # starts the frame that waits
    assert await bench.receive() == results[1].tolist()
    assert (await bench.read("CYCLES"))["cycles"] == JOB["cycles_a"]
    assert (await bench.read("FRAMES"))["frames"] == 2


@cocotb.test()
async def latency(dut):
    bench = Bench(dut, pauses=False)
    await bench.reset()
    await bench.until("STATUS", idle=1)
    seen = {}

    async def when(event, valid, ready, last):
        """Note the time of the first cycle with a handshake, the last of its frame or any."""
        while event not in seen:
            await FallingEdge(dut.aclk)
            if valid.value and ready.value and (last is None or last.value):
                seen[event] = get_sim_time("ns")

    first_pixel = when("first", dut.s_axis_tvalid, dut.s_axis_tready, None)
    last_pixel = when("sent", dut.s_axis_tvalid, dut.s_axis_tready, dut.s_axis_tlast)
    result = when("came", dut.m_axis_tvalid, dut.m_axis_tready, None)
    for event in (first_pixel, last_pixel, result):
        cocotb.start_soon(event)
    await bench.run("a")
    assert seen["sent"] - seen["first"] == 10 * (JOB["pixels_a"].shape[1] - 1)
    assert seen["came"] - seen["sent"] == 10 * (JOB["cycles_a"] + LATENCY)


@cocotb.test()
async def start_while_the_network_runs(dut):
    bench = Bench(dut, pauses=False)
    await bench.reset()
    await bench.send(JOB["pixels_a"][0])
    await bench.until("STATUS", busy=1, idle=0, loaded=0, sending=0)
    await bench.write("CONTROL", auto=1, start=1)
    ignored = "start_busy" if ENGINE.cores == 1 else "start_empty"  # the next core has no frame
    assert (await bench.read("ERROR"))[ignored] == 1
    assert await bench.receive() == JOB["results_a"][0].tolist()
    assert (await bench.read("CYCLES"))["cycles"] == JOB["cycles_a"]
    assert (await bench.read("FRAMES"))["frames"] == 1
    await bench.run("a", 1)


@cocotb.test()
async def interrupts(dut):
    bench = Bench(dut)
    await bench.reset()
    await bench.run("a")
    assert await bench.read("IRQ_STATUS") == {"done": 1, "error": 0}
    assert not dut.irq.value
    for cause in ("done", "error"):
        await bench.write("IRQ_STATUS", done=1, error=1)
        assert await bench.read("IRQ_STATUS") == {"done": 0, "error": 0}
        await bench.write("IRQ_ENABLE", **{cause: 1})
        assert not dut.irq.value
        if cause == "done":
            await bench.send(JOB["pixels_a"][0])
        else:
            await bench.send(JOB["pixels_a"][0][:1])
        await with_timeout(RisingEdge(dut.irq), 1, "ms")
        assert (await bench.read("IRQ_STATUS"))[cause] == 1
        await bench.write("IRQ_STATUS", **{cause: 1})
        assert not dut.irq.value
        if cause == "done":
            await bench.receive()
    await bench.run("a")


@cocotb.test()
async def an_interrupt_that_is_cleared_as_it_comes_is_not_lost(dut):
    bench = Bench(dut, pauses=False)
    await bench.reset()
    await bench.write("IRQ_ENABLE", done=1)
    await bench.write("CONTROL", auto=0)
    rises, left = 0, set()

    async def count_rises():
        nonlocal rises
        while True:
            await RisingEdge(dut.irq)
            rises += 1

    cocotb.start_soon(count_rises())
    for early in range(-6, 16):
        await bench.send(JOB["pixels_a"][0])
        await bench.until("STATUS", loaded=1)
        rises = 0
        await bench.write("CONTROL", start=1)
        await ClockCycles(dut.aclk, int(JOB["cycles_a"]) - early)
        await bench.write("IRQ_STATUS", done=1)
        await bench.receive()
        assert rises == 1, early
        left.add((await bench.read("IRQ_STATUS"))["done"])
        await bench.write("IRQ_STATUS", done=1)
    assert left == {0, 1}  # some results came before the interrupt, some after it


@cocotb.test()
async def pause_between_frames(dut):
    bench = Bench(dut)
    await bench.reset()
    await bench.write("CONTROL", auto=1, pause=1)
    await bench.send(JOB["pixels_a"][0])
    await bench.nothing_comes()
    assert (await bench.read("STATUS"))["idle"] == 1
    await bench.write("CONTROL", auto=1)
    assert await bench.receive() == JOB["results_a"][0].tolist()
    # In the middle of a frame the engine goes on to the end of that frame.
    await bench.until("STATUS", idle=1)
    bench.source.clear_pause_generator()
    bench.source.pause = False
    await bench.send(JOB["pixels_a"][1])
    await RisingEdge(dut.s_axis_tvalid)
    await RisingEdge(dut.aclk)
    bench.source.pause = True
    await bench.until("STATUS", idle=0, loaded=0, busy=0, sending=0)
    await bench.write("CONTROL", auto=1, pause=1)
    bench.source.pause = False
    await bench.send(JOB["pixels_a"][0])
    assert await bench.receive() == JOB["results_a"][1].tolist()
    await bench.nothing_comes()
    await bench.write("CONTROL", auto=1)
    assert await bench.receive() == JOB["results_a"][0].tolist()


@cocotb.test()
async def reset_in_the_middle(dut):
    bench = Bench(dut)
    await bench.reset()
    pixels = JOB["pixels_a"][0]
    length = len(pixels) + int(JOB["cycles_a"]) + 12 * JOB["results_a"].shape[1]
    for _ in range(12):
        await bench.send(pixels)
        await ClockCycles(dut.aclk, bench.rng.randint(1, 2 * length))
        await bench.reset()
        bench.sink.clear()
        bench.source.clear()
        await ClockCycles(dut.aclk, 2)
        assert not any((await bench.read("ERROR")).values())
        assert (await bench.read("FRAMES"))["frames"] == 0
        await bench.run("a", 1)


async def write_network(bench: Bench, network: str) -> None:
    """Write the ROM images of a network through the window."""
    for select, (name, words) in enumerate(words_of(network).items()):
        await bench.write("ROM_ADDRESS", address=0, select=select)
        width = 8 if name == "codebook" else ENGINE.word_bits
        high = None
        for word in words:
            if width > 32 and word >> 32 != high:
                high = word >> 32
                await bench.write("ROM_HIGH", high=high)
            await bench.write("ROM_DATA", low=word & 0xFFFF_FFFF)
        assert await bench.read("ROM_ADDRESS") == {"address": len(words), "select": select}


@cocotb.test(skip=not ENGINE.writable)
async def another_network_at_run_time(dut):
    bench = Bench(dut)
    await bench.reset()
    await bench.run("a")
    # A pause while a stream has more to transfer: pause, wait, write, go on.
    for network, other in (("b", "a"), ("a", "b")):
        await bench.write("CONTROL", auto=1, pause=1)
        await bench.until("STATUS", idle=1)
        for pixels in JOB[f"pixels_{network}"]:
            await bench.send(pixels)
        await write_network(bench, network)
        await bench.write("CONTROL", auto=1)
        for results in JOB[f"results_{network}"]:
            assert await bench.receive() == results.tolist()
        assert (await bench.read("CYCLES"))["cycles"] == JOB[f"cycles_{network}"]
        assert JOB["cycles_a"] != JOB["cycles_b"], other
    assert not any((await bench.read("ERROR")).values())


@cocotb.test(skip=not ENGINE.writable)
async def memories_are_written_only_while_idle_and_inside(dut):
    bench = Bench(dut)
    await bench.reset()
    await bench.until("STATUS", idle=1)
    depths = dict(zip(ROMS, JOB["depths"].tolist(), strict=True))
    places = [(select, depths[name]) for select, name in enumerate(ROMS)]
    places += [(0, (1 << 24) - 1), (3, 0)]
    for select, address in places:
        await bench.write("ROM_ADDRESS", address=address, select=select)
        await bench.write("ROM_DATA", AxiResp.SLVERR, low=0)
        assert await bench.read("ROM_ADDRESS") == {"address": address, "select": select}
    await bench.write("ROM_ADDRESS", address=depths["codebook"] - 1, select=2)
    await bench.write("ROM_DATA", low=0x77)
    await bench.write("CONTROL", auto=0)
    await bench.send(JOB["pixels_a"][0])
    await bench.until("STATUS", loaded=1)
    for select in range(3):
        await bench.write("ROM_ADDRESS", address=0, select=select)
        await bench.write("ROM_DATA", AxiResp.SLVERR, low=0xFFFF_FFFF)
    bench.sink.clear_pause_generator()
    bench.sink.pause = True
    await bench.write("CONTROL", auto=1)
    await bench.until("STATUS", sending=1)
    await bench.write("ROM_DATA", AxiResp.SLVERR, low=0xFFFF_FFFF)
    bench.sink.pause = False
    assert await bench.receive() == JOB["results_a"][0].tolist()
    await bench.run("a", 1)


@cocotb.test()
async def no_output_follows_an_input_within_a_cycle(dut):
    rng = random.Random(SEED)
    ports = {name: getattr(dut, name) for name in INPUTS}
    outputs = [*READYS, "irq"]
    for (valid, _), payload in CHANNELS.items():
        outputs += [valid, *payload]
    addresses = [register.offset for register in PRESENT if register.name != "ROM_DATA"]

    def drive(values, flip=False):
        for name, port in ports.items():
            port.value = values[name] ^ (((1 << len(port)) - 1) if flip else 0)

    def outside():
        return {name: str(getattr(dut, name).value) for name in outputs}

    drive(dict.fromkeys(INPUTS, 0))
    dut.aresetn.value = 0
    Clock(dut.aclk, 10, "ns").start()
    await ClockCycles(dut.aclk, 5)
    dut.aresetn.value = 1
    seen = set()
    for _ in range(1500):
        await RisingEdge(dut.aclk)
        values = {name: rng.getrandbits(len(port)) for name, port in ports.items()}
        values |= {"s_axi_awaddr": rng.choice(addresses), "s_axi_araddr": rng.choice(addresses)}
        values |= {"s_axi_wstrb": rng.choice([15, 15, 7])}
        drive(values)
        await FallingEdge(dut.aclk)
        before = outside()
        seen.add(tuple(before[name] for name in (*READYS, "m_axis_tvalid", "s_axi_bresp")))
        drive(values, flip=True)
        await Timer(1, "ns")
        assert outside() == before
        drive(values)
    assert len(seen) > 10
