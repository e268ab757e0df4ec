"""A memory to be built, the cells that it may be made of, and its mapping."""

from dataclasses import dataclass

from sqhw.cost_models.fabric import Device, MemoryPrimitive
from sqhw.errors import SqhwError

#: Port configurations: one read port; one write and one read port on the same clock, where a read
#: of the word being written returns the old one; one port that reads or writes.
PORTS = ("rom", "1r1w", "1rw")
#: Choices of cells: those that synthesis takes by itself; huge ones too, where they are cheaper;
#: block RAM only; huge ones only.
STYLES = ("auto", "auto huge", "block", "huge")


@dataclass(frozen=True)
class Memory:
    """A memory to be built.

    Parameters
    ----------
    depth : int
        Number of words, 1 or more.
    width : int
        Bits per word, 1 or more.
    ports : {"rom", "1r1w", "1rw"}
        One read port; one write and one read port; one port that reads or writes.
    initialised : bool
        Whether the bitstream must set its contents, other than to zero.

    Raises
    ------
    ValueError
        If `depth` or `width` is less than 1, or the ports are none of the three.
    """

    depth: int
    width: int
    ports: str
    initialised: bool

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ValueError(f"depth must be 1 or more, not {self.depth!r}")
        if self.width < 1:
            raise ValueError(f"width must be 1 or more, not {self.width!r}")
        if self.ports not in PORTS:
            raise ValueError(f"ports must be one of {', '.join(PORTS)}, not {self.ports!r}")

    @property
    def bits(self) -> int:
        """Capacity (unit: bit)."""
        return self.depth * self.width

    @property
    def writes(self) -> bool:
        """Whether it can be written."""
        return self.ports != "rom"


@dataclass(frozen=True)
class Mapping:
    """The mapping of a memory.

    Parameters
    ----------
    primitive : str or None
        Name of the memory cell; None if the memory is made of LUTs (or flip-flops).
    blocks : int
        Number of memory blocks that the cells take, 0 for LUTs. A RAMB36 counts as two RAMB18.
    mode : (int, int) or None
        Depth and width in which the cells are used (unit: words, bits per word); None for LUTs.
    segments : int
        Number of pieces into which the depth is cut, with a multiplexer after more than one. 1 for
        LUTs.
    """

    primitive: str | None
    blocks: int
    mode: tuple[int, int] | None
    segments: int

    def __post_init__(self) -> None:
        in_luts = self.primitive is None
        if in_luts != (self.mode is None) or in_luts != (self.blocks == 0):
            raise ValueError(f"primitive, blocks and mode must agree, not {self!r}")
        if self.blocks < 0 or self.segments < 1:
            raise ValueError(f"blocks must be 0 or more and segments 1 or more, not {self!r}")


IN_LUTS = Mapping(None, 0, None, 1)


def cells_for(memory: Memory, device: Device, style: str) -> list[MemoryPrimitive]:
    """Return the cells that a memory may be made of, in the order of the device file.

    Parameters
    ----------
    memory : Memory
    device : Device
    style : {"auto", "auto huge", "block", "huge"}

    Returns
    -------
    list of MemoryPrimitive

    Raises
    ------
    ValueError
        If the style is none of the four.
    SqhwError
        If the style leaves no cell.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, not {style!r}")
    kinds = {
        "auto": ("distributed", "block"),
        "auto huge": ("distributed", "block", "huge"),
        "block": ("block",),
        "huge": ("huge",),
    }[style]
    cells = [
        cell
        for cell in device.memories
        if cell.kind in kinds
        and (cell.initialisable or not memory.initialised)
        and (cell.ports == 2 or memory.ports != "1r1w")
        and (cell.kind != "distributed" or memory.writes)
    ]
    if not cells and style in ("block", "huge"):
        raise SqhwError(
            f"{device.name} has no {style} memory for {memory.ports} ports"
            f"{' with initial contents' if memory.initialised else ''}; take style 'auto'"
        )
    return cells


def ceil_div(a: int, b: int) -> int:
    """Return a / b, rounded up."""
    return -(-a // b)
