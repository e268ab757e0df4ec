"""The banked activation memory: reads `lanes` consecutive positions, wherever they begin."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.engine import EngineConfig


class ActivationMemory(wiring.Component):
    """`lanes` banks of bytes with one vector read and one byte or group written a cycle.

    A vector that begins in bank `lane` takes row `row` of that bank and those above it, row
    `row + channels` of those below it, and is rotated so that element 0 comes out in lane 0.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    row, lane, channels : In
        Vector to read.
    vector : Out(ArrayLayout(8, lanes))
        The vector asked for `READ_CYCLES` before.
    write_en, write_row, write_lane : In
        Write to a row of bank `write_lane`; a read in the same cycle gives the old byte.
    write_data : In(ArrayLayout(8, requantizers))
        Element 0, or all of them.
    write_group : In(1)
        Write all elements to as many neighbouring banks; `write_lane` is a multiple of their
        number.
    """

    READ_CYCLES = 1

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        super().__init__(
            {
                "row": In(engine.row_bits),
                "lane": In(engine.lane_bits),
                "channels": In(engine.row_bits),
                "vector": Out(ArrayLayout(8, engine.lanes)),
                "write_en": In(1),
                "write_row": In(engine.row_bits),
                "write_lane": In(engine.lane_bits),
                "write_data": In(ArrayLayout(8, engine.requantizers)),
                "write_group": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build banks, address selection and rotation."""
        m = Module()
        engine = self._engine
        next_row = Signal(engine.row_bits)
        m.d.comb += next_row.eq(self.row + self.channels)
        outputs = []
        for bank in range(engine.lanes):
            address = Signal(engine.row_bits, name=f"address_{bank}")
            output = Signal(8, name=f"output_{bank}")
            later = self.lane > bank if bank < engine.lanes - 1 else 0
            m.d.comb += address.eq(Mux(later, next_row, self.row))
            here = self.write_lane == bank
            byte = self.write_data[0]
            count = engine.requantizers
            if count > 1:
                low = count.bit_length() - 1
                group = self.write_lane[low:] == bank >> low if count < engine.lanes else 1
                here = Mux(self.write_group, group, here)
                byte = Mux(self.write_group, self.write_data[bank % count], byte)
            m.submodules[f"bank_{bank}"] = Instance(
                "sqhw_ram",
                p_WIDTH=8,
                p_DEPTH=engine.bank_depth,
                p_ADDR=engine.row_bits,
                i_clk=ClockSignal(),
                i_write_en=self.write_en & here,
                i_write_addr=self.write_row,
                i_write_data=byte,
                i_read_addr=address,
                o_read_data=output,
            )
            outputs.append(output)
        turn = Signal(engine.lane_bits)
        m.d.sync += turn.eq(self.lane)
        # A logarithmic rotation: stage k turns by 2**k lanes.
        for stage in range(engine.lane_bits):
            turned = Signal(8 * engine.lanes, name=f"turned_{stage}")
            shifted = outputs[1 << stage :] + outputs[: 1 << stage]
            m.d.comb += turned.eq(Mux(turn[stage], Cat(shifted), Cat(outputs)))
            outputs = [turned[8 * lane : 8 * lane + 8] for lane in range(engine.lanes)]
        m.d.comb += self.vector.as_value().eq(Cat(outputs))
        return m
