"""The line of a board shared by frames and UARTBone, with a queue for frames in flight."""

from dataclasses import dataclass, replace

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered

from sqhw.machine.config import EngineConfig
from sqhw.rtl.axi_registers import AxiRegisters
from sqhw.rtl.link import Link
from sqhw.rtl.uart import UartReceiver, UartTransmitter
from sqhw.rtl.uart_bone import UartBone

#: Cycles between two bytes that leave the queue: the engine has them before the next one comes.
PACE = 64


@dataclass(frozen=True)
class BoardBus:
    """What a board has beside frames.

    Parameters
    ----------
    engine : EngineConfig
        Engine that the registers tell.
    queue : int, power of two
        Bytes of the line that wait while the board works.
    timeout : int
        Cycles of `UartBone`.
    """

    engine: EngineConfig
    queue: int
    timeout: int


def connect_bus(
    m: Module,
    bus: BoardBus,
    receiver: UartReceiver,
    transmitter: UartTransmitter,
    link: Link,
    idle: Signal,
) -> Value:
    """Connect line, queue, link and registers in a module.

    Parameters
    ----------
    m : Module
    bus : BoardBus
    receiver, transmitter, link
        Submodules of `m`; the link has tags.
    idle : Signal
        The engine is ready for a frame.

    Returns
    -------
    Value
        A transaction of UARTBone is on its way, or a byte waits in the queue.
    """
    m.submodules.queue = queue = SyncFIFOBuffered(width=8, depth=bus.queue)
    m.submodules.bone = bone = UartBone(bus.timeout)
    m.submodules.registers = registers = AxiRegisters(replace(bus.engine, writable=False), {})
    wiring.connect(m, bone.bus, registers.bus)
    pause, taken = Signal(range(PACE), name="pause"), Signal(name="byte_taken")
    m.d.sync += pause.eq(Mux(taken, PACE - 1, pause - (pause != 0)))
    m.d.comb += [
        queue.w_en.eq(receiver.valid),
        queue.w_data.eq(receiver.data),
        taken.eq(queue.r_rdy & (pause == 0) & Mux(bone.active, bone.rx_ready, ~link.busy)),
        queue.r_en.eq(taken),
        link.rx_valid.eq(taken & ~bone.active),
        link.rx_data.eq(queue.r_data),
        bone.free.eq(link.waiting),
        bone.rx_valid.eq(taken),
        bone.rx_data.eq(queue.r_data),
        transmitter.valid.eq(Mux(bone.active, bone.tx_valid, link.tx_valid)),
        transmitter.data.eq(Mux(bone.active, bone.tx_data, link.tx_data)),
        link.tx_ready.eq(transmitter.ready & ~bone.active),
        bone.tx_ready.eq(transmitter.ready & bone.active),
        registers.idle.eq(idle & ~link.busy),
        registers.busy.eq(link.busy),
        registers.cycles.eq(link.cycles),
        registers.done.eq(link.result_valid & link.result_last),
    ]
    return bone.active | (queue.level != 0)
