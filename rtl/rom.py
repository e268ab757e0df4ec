"""A ROM that is initialised from ``$readmemh`` files, never from assignments in the Verilog."""

from collections.abc import Sequence
from itertools import pairwise

from amaranth.hdl import Array, Cat, ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.rom_pieces import Piece, check_pieces, depth_of, piece_names, width_of


class Rom(wiring.Component):
    """Synchronous ROM, or RAM that begins as one, of one or several memories.

    Parameters
    ----------
    name : str
        Prefix of the images of its pieces: ``NAME.hex``, or ``NAME_0.hex`` and so on, in the folder
        in which simulation or synthesis runs.
    pieces : sequence of Piece
        Memories that make it up. Reads outside of them are undefined.
    addr_bits : int
        Address width (unit: bit).
    latency : {1, 2}
        Cycles from address to word. With 2, each piece has an output register upstream of the
        multiplexer.
    writable : bool
        Whether there is a write port, which takes a ROM of one piece.
    module : str
        Name of the Verilog module of a ROM of one piece. Several pieces are each a
        ``MODULE_piece``. A ROM with a write port is a ``MODULE_rw``.

    Members
    -------
    addr : In(addr_bits)
    data : Out(width)
        Word at the `addr` of `latency` cycles before.
    write_en, write_addr, write_data : In
        Write port. Missing if the ROM is not writable. A word that is read in the cycle in which it
        is written is undefined.
    """

    def __init__(
        self,
        name: str,
        pieces: Sequence[Piece],
        addr_bits: int,
        *,
        latency: int = 1,
        writable: bool = False,
        module: str = "sqhw_rom",
    ) -> None:
        depth, width = depth_of(pieces), width_of(pieces)
        check_pieces(pieces, depth, width)
        if writable and len(pieces) > 1:
            raise ValueError(f"the ROM {name} can be written: it must be one piece")
        self._name = name
        self._pieces = tuple(pieces)
        self._latency = latency
        self._writable = writable
        self._module = module
        members = {"addr": In(addr_bits), "data": Out(width)}
        if writable:
            members |= {
                "write_en": In(1),
                "write_addr": In(addr_bits),
                "write_data": In(width),
            }
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Wrap the Verilog modules of the memories and choose between them."""
        m = Module()
        alone = len(self._pieces) == 1
        outputs = {}
        names = piece_names(self._name, self._pieces)
        for index, (piece, name) in enumerate(zip(self._pieces, names, strict=True)):
            bits = len(self.addr) if alone else max(1, piece.addr_bits)
            ports = {"i_clk": ClockSignal(), "i_addr": self.addr[:bits]}
            module = self._module if alone else f"{self._module}_piece"
            if self._writable:
                module = f"{self._module}_rw"
                ports["i_write_en"] = self.write_en
                ports["i_write_addr"] = self.write_addr
                ports["i_write_data"] = self.write_data
            word = Signal(piece.bits, name=f"word_{index}")
            m.submodules[_memory(index, alone)] = Instance(
                module,
                p_WIDTH=piece.bits,
                p_DEPTH=piece.words,
                p_ADDR=bits,
                p_FILE=f"{name}.hex",
                **ports,
                o_data=word,
            )
            if self._latency > 1:
                late = Signal(piece.bits, name=f"late_{index}", reset_less=True)
                m.d.sync += late.eq(word)
                word = late
            outputs[piece] = word
        m.d.comb += self.data.eq(Cat(self._columns(m, outputs)))
        return m

    def _columns(self, m, outputs):
        """Return the bits of the word, each column of pieces chosen by the row."""
        starts = sorted({piece.first_word for piece in outputs})
        edges = sorted({p.first_bit for p in outputs} | {p.first_bit + p.bits for p in outputs})
        # The number of a row is that of the rows that begin at or before the address, minus 1.
        row = sum((self.addr >= start for start in starts[1:]), start=0)
        if len(starts) > 1:
            for cycle in range(self._latency):
                late = Signal(range(len(starts)), name=f"row_{cycle}", reset_less=True)
                m.d.sync += late.eq(row)
                row = late
        columns = []
        for low, high in pairwise(edges):
            words = [
                next(
                    word[low - piece.first_bit : high - piece.first_bit]
                    for piece, word in outputs.items()
                    if piece.first_bit <= low < piece.first_bit + piece.bits
                    and piece.first_word <= start < piece.first_word + piece.words
                )
                for start in starts
            ]
            columns.append(Array(words)[row] if len(starts) > 1 else words[0])
        return columns


def memory_names(name: str, pieces: Sequence[Piece]) -> list[str]:
    """Return the instance paths, from the engine down, of the memories of a ROM."""
    alone = len(pieces) == 1
    return [f"{name} {_memory(index, alone)}" for index in range(len(pieces))]


def _memory(index: int, alone: bool) -> str:
    return "rom" if alone else f"rom_{index}"
