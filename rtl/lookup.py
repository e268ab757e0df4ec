"""Tables of activation functions: bytes are looked up between requantizers and memory."""

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import TABLE_ENTRIES, TABLE_WIDTH
from sqhw.machine.timing import table_cycles
from sqhw.rtl.interfaces import TableWrite


class Lookup(wiring.Component):
    """Replaces bytes by the entries of a table that they number, or lets them pass.

    Each requantizer has a RAM with the table of the layer.

    Parameters
    ----------
    engine : EngineConfig
        Configuration with tables.
    ram : str
        Name of the Verilog module of a RAM.

    Members
    -------
    write : In(TableWrite)
        Entry of the table of the next layer. None is written while bytes come.
    enable : In(1)
        Whether bytes are looked up; stable while a layer runs.
    x : In(ArrayLayout(8, requantizers))
    y : Out(ArrayLayout(8, requantizers))
        Bytes, `sqhw.machine.timing.table_cycles` after `x`, a group a cycle.
    """

    def __init__(self, engine: EngineConfig, ram: str = "sqhw_ram") -> None:
        self._ram = ram
        self.latency = table_cycles(engine)
        group = ArrayLayout(8, engine.requantizers)
        super().__init__(
            {"write": In(TableWrite()), "enable": In(1), "x": In(group), "y": Out(group)}
        )

    def elaborate(self, platform: object) -> Module:
        """Build a RAM, a register beside it and a register after both for each byte."""
        m = Module()
        for index in range(self.x.shape().length):
            entry, beside = (
                Signal(8, name=f"{name}_{index}", reset_less=True) for name in ("entry", "beside")
            )
            m.submodules[f"table_{index}"] = Instance(
                self._ram,
                p_WIDTH=TABLE_WIDTH,
                p_DEPTH=TABLE_ENTRIES,
                p_ADDR=(TABLE_ENTRIES - 1).bit_length(),
                i_clk=ClockSignal(),
                i_write_en=self.write.en,
                i_write_addr=self.write.index,
                i_write_data=self.write.data,
                i_read_addr=self.x[index],
                o_read_data=entry,
            )
            m.d.sync += [
                beside.eq(self.x[index]),
                self.y[index].eq(Mux(self.enable, entry, beside)),
            ]
        return m
