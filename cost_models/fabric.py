"""The parts of a device: memory cells, multiplier cells, and the rule that fills them."""

from dataclasses import dataclass

from sqhw.cost_models.checks import (
    as_lists,
    check_bool,
    check_choice,
    check_int,
    check_text,
    check_texts,
    is_int,
)
from sqhw.cost_models.placement import Placement, PlaceTool
from sqhw.errors import shown
from sqhw.files.input_limits import MAX_DEVICE_COUNT

#: Kinds of memory cells, in the order in which yosys tries them: on a tie LUT RAM wins.
KINDS = ("distributed", "block", "huge")
#: Words that a read may return while the other port writes the same address.
COLLISIONS = ("old", "new", "undefined")
#: Rules by which a memory is made of cells, each with the names of its numbers.
RULES = {
    "memory_libmap": ("rom_bits_per_cost", "ram_bits_per_cost"),
    "memory_bram": ("least_percent",),
    "fewest": (),
}


@dataclass(frozen=True, kw_only=True)
class MemoryPrimitive:
    """A memory cell that synthesis can build memories from.

    Parameters
    ----------
    name : str
        Name of the cell.
    kind : {"block", "huge", "distributed"}
        ``"block"`` is inferred by itself, ``"huge"`` on request only, ``"distributed"`` is made of
        LUTs and takes no ROM. The words are those of yosys.
    modes : tuple of (int, int)
        The legal (depth, width) pairs (unit: words, bits per word), narrowest first.
    ports : {1, 2}
        Addresses that can be given in one cycle.
    rw_width : int
        Widest mode in which one port both reads and writes (unit: bit); 0 if a port does either.
    collision : {"old", "new", "undefined"}
        Value that a port reads of the word that the other one writes in the same cycle.
    initialisable : bool
        Whether the bitstream can set its contents.
    byte_enable : int
        Bits that share a write enable; 0 where a write sets the whole word.
    cost : int
        Cost that yosys gives to one cell (no unit); 1 where yosys weighs nothing.
    used_cost : int
        Part of `cost` that yosys counts by the bits in use only, its ``widthscale``.
    block : str or None
        Name of the block of the silicon that the cell is in; None if it is the cell's own name.
    block_count : int
        Blocks that one cell takes.
    source : tuple of str
        Where the facts are from.
    """

    name: str
    kind: str
    modes: tuple[tuple[int, int], ...]
    ports: int
    rw_width: int
    collision: str
    initialisable: bool
    byte_enable: int
    cost: int
    used_cost: int = 0
    block: str | None = None
    block_count: int = 1
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_choice("kind", self.kind, KINDS)
        if not _are_modes(self.modes):
            raise ValueError(
                "modes must be pairs [depth, width] of whole numbers, depth a power of two, "
                f"narrowest first, not {shown(as_lists(self.modes))}"
            )
        if not is_int(self.ports, 1) or self.ports > 2:
            raise ValueError(f"ports must be 1 or 2, not {shown(self.ports)}")
        check_int("rw_width", self.rw_width, 0)
        widths = [width for _, width in self.modes]
        if self.rw_width not in (0, *widths):
            raise ValueError(f"rw_width must be 0 or one of {widths}, not {shown(self.rw_width)}")
        if self.ports == 1 and self.rw_width != widths[-1]:
            raise ValueError(f"rw_width of a single port must be {widths[-1]}, the widest mode")
        check_choice("collision", self.collision, COLLISIONS)
        check_bool("initialisable", self.initialisable)
        check_int("byte_enable", self.byte_enable, 0)
        check_int("cost", self.cost, 1)
        check_int("used_cost", self.used_cost, 0)
        if self.used_cost > self.cost:
            raise ValueError(f"used_cost must be at most cost {self.cost}, not {self.used_cost}")
        if self.block is not None:
            check_text("block", self.block)
        check_int("block_count", self.block_count, 1)
        check_texts("source", self.source, at_least=1)

    @property
    def block_name(self) -> str:
        """The block of the silicon that the cell is in."""
        return self.block or self.name

    @property
    def bits(self) -> int:
        """Capacity of one cell in its largest mode (unit: bit)."""
        return max(depth * width for depth, width in self.modes)


@dataclass(frozen=True, kw_only=True)
class MultiplierPrimitive:
    """A signed multiplier in a DSP block.

    Parameters
    ----------
    name : str
        Name of the cell.
    widths : (int, int)
        Widest operands, the wider one first (unit: bit).
    least_widths : (int, int)
        Narrowest operands that yosys gives to it, the wider one first (unit: bit).
    least_product : int
        Narrowest product that yosys gives to it (unit: bit).
    inferred : bool
        Whether yosys makes one from ``a * b`` by itself.
    per_block : int
        Such multipliers in one DSP block of the device.
    source : tuple of str
        Where the facts are from.
    """

    name: str
    widths: tuple[int, int]
    least_widths: tuple[int, int]
    least_product: int
    inferred: bool
    per_block: int
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        check_text("name", self.name)
        for key in ("widths", "least_widths"):
            value = getattr(self, key)
            if not (_is_pair(value) and value[0] >= value[1]):
                raise ValueError(
                    f"{key} must be two whole numbers of 1 or more, the larger first, "
                    f"not {shown(as_lists(value))}"
                )
        check_int("least_product", self.least_product, 0)
        check_bool("inferred", self.inferred)
        check_int("per_block", self.per_block, 1)
        check_texts("source", self.source, at_least=1)


@dataclass(frozen=True, kw_only=True)
class MappingRule:
    """The rule by which synthesis makes a memory of cells, with the numbers of that rule only.

    Parameters
    ----------
    rule : {"memory_libmap", "memory_bram", "fewest"}
        The passes of yosys with these names, or the fewest cells of one mode.
    rom_bits_per_cost, ram_bits_per_cost : int or None
        Bits that cost 1 when a ROM, or RAM, is left out of memory cells (``memory_libmap``).
    least_percent : int or None
        Share of the cells' bits that a memory must use (``memory_bram``; unit: percent).
    source : tuple of str
        Where the facts are from.
    """

    rule: str
    rom_bits_per_cost: int | None = None
    ram_bits_per_cost: int | None = None
    least_percent: int | None = None
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, tuple(RULES))
        for key in ("rom_bits_per_cost", "ram_bits_per_cost", "least_percent"):
            value = getattr(self, key)
            if key in RULES[self.rule]:
                if value is None:
                    raise ValueError(f"key {key!r} is missing, which rule {self.rule!r} needs")
                check_int(key, value, 1)
            elif value is not None:
                raise ValueError(f"key {key!r} means nothing to rule {self.rule!r}")
        check_texts("source", self.source, at_least=1)


@dataclass(frozen=True, kw_only=True)
class Device:
    """An FPGA, as place and route offers it.

    Parameters
    ----------
    name : str
        Part number without package and speed grade.
    family : str
        Family name, as yosys spells it.
    lut_inputs : int, 4 to 6
        Inputs of a LUT.
    luts, ffs, dsps : int
        Number of LUTs, flip-flops and DSP blocks.
    memories : tuple of MemoryPrimitive
        The memory cells of this device, in the order in which synthesis tries them.
    multipliers : tuple of MultiplierPrimitive
        The multiplier cells, in the order in which synthesis tries them; none without DSP blocks.
    blocks : tuple of (str, int)
        Name and number of each kind of memory block that is not made of LUTs.
    boards : tuple of str
        Boards that carry this device.
    mapping : MappingRule
        Rule by which synthesis makes memories.
    place_tool : PlaceTool or None
        The tool that places and routes the family; None if none is set up.
    placement : Placement or None
        Placement of the device by the tool; None if that is not set up.
    source : tuple of str
        Where the facts are from.
    """

    name: str
    family: str
    lut_inputs: int
    luts: int
    ffs: int
    dsps: int
    memories: tuple[MemoryPrimitive, ...]
    multipliers: tuple[MultiplierPrimitive, ...]
    blocks: tuple[tuple[str, int], ...]
    boards: tuple[str, ...]
    mapping: MappingRule
    place_tool: PlaceTool | None = None
    placement: Placement | None = None
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_text("family", self.family)
        if not is_int(self.lut_inputs, 4) or self.lut_inputs > 6:
            raise ValueError(f"lut_inputs must be 4, 5 or 6, not {shown(self.lut_inputs)}")
        check_int("luts", self.luts, 1)
        check_int("ffs", self.ffs, 1)
        check_int("dsps", self.dsps, 0)
        if self.dsps and not self.multipliers:
            raise ValueError(
                f"dsps must be 0 without a [[multiplier]] in the file, not {self.dsps}"
            )
        # A cell with the name of its block stands for the block.
        kinds = {m.name: m.kind for m in self.memories if m.block_name == m.name}
        for name, count in self.blocks:
            if kinds.get(name, "distributed") == "distributed":
                raise ValueError(f"blocks must name block or huge memories, not {shown(name)}")
            check_int(f"blocks.{name}", count, 1)
        if [kinds[name] for name, _ in self.blocks].count("block") != 1:
            raise ValueError(f"blocks must name one memory of kind block, not {dict(self.blocks)}")
        check_texts("boards", self.boards, at_least=0)
        if self.placement is not None and self.place_tool is None:
            raise ValueError("placement needs the table [place_tool] of its family in the file")
        check_texts("source", self.source, at_least=1)

    @property
    def bram(self) -> MemoryPrimitive:
        """The block RAM cell that takes one block."""
        counts = dict(self.blocks)
        return next(m for m in self.memories if m.kind == "block" and m.name in counts)

    @property
    def brams(self) -> int:
        """Number of block RAMs."""
        return self.block_count(self.bram.name)

    def block_count(self, block: str) -> int:
        """Return the number of memory blocks of a kind in the device, 0 if none.

        Parameters
        ----------
        block : str
            Name of the block, for example ``"SB_RAM40_4K"``.

        Returns
        -------
        int
        """
        return dict(self.blocks).get(block, 0)


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(is_int(n, 1, MAX_DEVICE_COUNT) for n in value)
    )


def _are_modes(modes: object) -> bool:
    if not isinstance(modes, tuple) or not modes or not all(map(_is_pair, modes)):
        return False
    widths = [width for _, width in modes]
    return all(depth.bit_count() == 1 for depth, _ in modes) and widths == sorted(set(widths))
