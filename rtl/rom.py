"""A ROM that is initialised from a ``$readmemh`` file, never from assignments in the Verilog."""

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Rom(wiring.Component):
    """Synchronous ROM.

    Parameters
    ----------
    width : int
        Word width (unit: bit).
    depth : int
        Words; reads beyond are undefined.
    addr_bits : int
        Address width (unit: bit).
    file : str
        The image, relative to the folder in which simulation or synthesis runs.

    Members
    -------
    addr : In(addr_bits)
    data : Out(width)
        The word at the `addr` of one cycle before.
    """

    LATENCY = 1

    def __init__(self, width: int, depth: int, addr_bits: int, file: str) -> None:
        self._parameters = {"WIDTH": width, "DEPTH": depth, "ADDR": addr_bits, "FILE": file}
        super().__init__({"addr": In(addr_bits), "data": Out(width)})

    def elaborate(self, platform: object) -> Module:
        """Wrap the Verilog module ``sqhw_rom``."""
        m = Module()
        m.submodules.rom = Instance(
            "sqhw_rom",
            **{f"p_{name}": value for name, value in self._parameters.items()},
            i_clk=ClockSignal(),
            i_addr=self.addr,
            o_data=self.data,
        )
        return m
