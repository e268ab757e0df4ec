"""The banked activation memory: reads `lanes` consecutive positions, wherever they begin."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import is_deep
from sqhw.rtl.interfaces import MemoryWrite, VectorAddress


class ActivationMemory(wiring.Component):
    """`lanes` banks of bytes with one vector read and one byte or group written a cycle.

    A vector begins in bank `lane`. It takes row `row` of that bank and of the banks above it, and
    row `row + channels` of the banks below it. A rotation brings element 0 to lane 0.

    Parameters
    ----------
    engine : EngineConfig
    ram : str
        Name of the Verilog module of a bank.

    Members
    -------
    read : In(VectorAddress)
    vector : Out(ArrayLayout(8, lanes))
        Vector whose address came `sqhw.machine.timing.read_cycles` before.
    write : In(MemoryWrite)
        Write access, done `WRITE_CYCLES` later. A row that is read in the cycle in which it is
        written gives undefined data. Banks of a single port read nothing while one is written.
    """

    #: Stages of the rotation upstream of its register. The others and the mask are downstream.
    FIRST_STAGES = 3

    def __init__(self, engine: EngineConfig, ram: str = "sqhw_ram") -> None:
        self._engine = engine
        self._ram = ram
        super().__init__(
            {
                "read": In(VectorAddress(engine)),
                "vector": Out(ArrayLayout(8, engine.lanes)),
                "write": In(MemoryWrite(engine)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build banks, address selection and rotation."""
        m = Module()
        engine, deep = self._engine, is_deep(self._engine)

        def register(signal, name: str, wanted=True):
            if not wanted:
                return signal
            late = Signal.like(signal, name=name, reset_less=True)
            m.d.sync += late.eq(signal)
            return late

        next_row = Signal(engine.row_bits, name="next_row")
        later = Signal(engine.lanes, name="later")
        m.d.comb += [
            next_row.eq(self.read.row + self.read.channels),
            later.eq(Cat(self.read.lane > bank for bank in range(engine.lanes - 1))),
        ]
        row = register(self.read.row, "row_1", deep)
        next_row = register(next_row, "next_row_1", deep)
        later, lane = register(later, "later_1", deep), register(self.read.lane, "lane_1", deep)
        write_en = Signal(name="write_en")
        m.d.sync += write_en.eq(self.write.en)
        write_row, write_lane = register(self.write.row, "row_w"), register(self.write.lane, "bank")
        write_group = register(self.write.group, "group")
        write_data = register(self.write.data.as_value(), "bytes")
        if engine.single_port:
            # All banks take the row that one of them writes. They are not read meanwhile.
            row, next_row = (Mux(write_en, write_row, one) for one in (row, next_row))
        outputs = []
        for bank in range(engine.lanes):
            address = Signal(engine.row_bits, name=f"address_{bank}")
            output = Signal(8, name=f"output_{bank}")
            m.d.comb += address.eq(Mux(later[bank], next_row, row))
            here = write_lane == bank
            byte = write_data[:8]
            count = engine.requantizers
            if count > 1:
                low = count.bit_length() - 1
                group = write_lane[low:] == bank >> low if count < engine.lanes else 1
                here = Mux(write_group, group, here)
                byte = Mux(write_group, write_data.word_select(bank % count, 8), byte)
            ports = {"i_write_addr": write_row, "i_write_data": byte, "i_read_addr": address}
            if engine.single_port:
                ports = {"i_addr": address, "i_write_data": byte}
            m.submodules[f"bank_{bank}"] = Instance(
                self._ram,
                p_WIDTH=8,
                p_DEPTH=engine.bank_depth,
                p_ADDR=engine.row_bits,
                i_clk=ClockSignal(),
                i_write_en=write_en & here,
                **ports,
                o_read_data=output,
            )
            outputs.append(register(output, f"read_{bank}", deep))
        turn = register(register(lane, "turn"), "turn_1", deep)
        # A logarithmic rotation: stage k turns by 2**k lanes.
        for stage in range(engine.lane_bits):
            turned = Signal(8 * engine.lanes, name=f"turned_{stage}")
            shifted = outputs[1 << stage :] + outputs[: 1 << stage]
            m.d.comb += turned.eq(Mux(turn[stage], Cat(shifted), Cat(outputs)))
            if deep and stage == self.FIRST_STAGES - 1:
                turned, turn = register(turned, "half_turned"), register(turn, "turn_2")
            outputs = [turned[8 * lane : 8 * lane + 8] for lane in range(engine.lanes)]
        m.d.comb += self.vector.as_value().eq(Cat(outputs))
        return m
