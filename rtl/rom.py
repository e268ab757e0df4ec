"""A ROM that is initialised from a ``$readmemh`` file, never from assignments in the Verilog."""

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Rom(wiring.Component):
    """Synchronous ROM, or RAM that begins as one.

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
    writable : bool
        Whether there is a write port.

    Members
    -------
    addr : In(addr_bits)
    data : Out(width)
        The word at the `addr` of one cycle before.
    write_en, write_addr, write_data : In
        Only if writable. What is read in the cycle in which it is written is undefined.
    """

    LATENCY = 1

    def __init__(
        self, width: int, depth: int, addr_bits: int, file: str, *, writable: bool = False
    ) -> None:
        self._parameters = {"WIDTH": width, "DEPTH": depth, "ADDR": addr_bits, "FILE": file}
        self._writable = writable
        members = {"addr": In(addr_bits), "data": Out(width)}
        if writable:
            members |= {
                "write_en": In(1),
                "write_addr": In(addr_bits),
                "write_data": In(width),
            }
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Wrap the Verilog module ``sqhw_rom``, or ``sqhw_rom_rw`` if writable."""
        m = Module()
        parameters = {f"p_{name}": value for name, value in self._parameters.items()}
        write_port = {}
        if self._writable:
            write_port = {
                "i_write_en": self.write_en,
                "i_write_addr": self.write_addr,
                "i_write_data": self.write_data,
            }
        m.submodules.rom = Instance(
            "sqhw_rom_rw" if self._writable else "sqhw_rom",
            **parameters,
            **write_port,
            i_clk=ClockSignal(),
            i_addr=self.addr,
            o_data=self.data,
        )
        return m
