"""UARTBone onto the registers, in Amaranth's simulator."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from sqhw.machine.config import EngineConfig
from sqhw.machine.link import BUS_READ, BUS_WRITE
from sqhw.machine.registers import ID, VERSION, find_register
from sqhw.rtl.axi_registers import AxiRegisters
from sqhw.rtl.uart_bone import UartBone

TIMEOUT = 50


def place(register):
    return (find_register(register).offset >> 2).to_bytes(4, "big")


def run(script):
    """Run (bytes to send, cycles of rest) pairs; return the bytes that come back, in one string."""
    m = Module()
    m.submodules.bone = bone = UartBone(TIMEOUT)
    m.submodules.registers = registers = AxiRegisters(EngineConfig(), {})
    wiring.connect(m, bone.bus, registers.bus)
    found = []

    async def bench(ctx):
        ctx.set(bone.free, 1)
        ctx.set(bone.tx_ready, 1)
        for data, rest in script:
            for byte in data:
                ctx.set(bone.rx_valid, 1)
                ctx.set(bone.rx_data, byte)
                await ctx.tick()
                ctx.set(bone.rx_valid, 0)
                await ctx.tick().repeat(10)
            await ctx.tick().repeat(rest)

    async def listen(ctx):
        async for _, _, valid, data in ctx.tick().sample(bone.tx_valid, bone.tx_data):
            if valid:
                found.append(data)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_process(listen)
    simulator.run()
    return bytes(found)


def test_words_are_read_and_written():
    answer = run([
        (bytes([BUS_READ, 2]) + place("ID"), 100),
        (bytes([BUS_WRITE, 1]) + place("IRQ_ENABLE") + bytes([0, 0, 0, 3]), 10),
        (bytes([BUS_READ, 1]) + place("IRQ_ENABLE"), 50),
        (bytes([BUS_READ, 0]) + place("ID"), 50),  # no words
        (bytes([BUS_READ, 1, 0, 0, 0x30, 0]), 50),  # no register: 0
    ])  # fmt: skip
    assert answer == b"".join(word.to_bytes(4, "big") for word in (ID, VERSION, 3, 0))


def test_a_transaction_that_stops_is_dropped():
    whole = bytes([BUS_READ, 1]) + place("ID")
    for stopped in (whole[:1], whole[:5], bytes([BUS_WRITE, 2]) + place("CONTROL") + bytes(5)):
        answer = run([(b"?" + stopped, TIMEOUT + 5), (whole, 50)])
        assert answer == ID.to_bytes(4, "big")
