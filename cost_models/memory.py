"""Results of synthesis for ROMs and RAMs on a device."""

from sqhw.cost_models.fabric import Device
from sqhw.cost_models.libmap import map_by_libmap
from sqhw.cost_models.mapping import Mapping, Memory, cells_for
from sqhw.cost_models.tiling import map_by_bram, map_by_fewest

__all__ = ["Mapping", "map_ram", "map_rom"]

_RULES = {
    "memory_libmap": map_by_libmap,
    "memory_bram": map_by_bram,
    "fewest": map_by_fewest,
}


def map_rom(depth: int, width: int, device: Device, *, style: str = "auto") -> Mapping:
    """Return how synthesis builds a ROM with one synchronous read port.

    Exact on all of ``benchmarks/cost_memory/data/rom_yosys.csv``. yosys drops bit columns that are
    constant over the whole ROM before it maps it; `width` counts the columns that are left.

    Parameters
    ----------
    depth : int
        Number of words, 1 or more.
    width : int
        Bits per word, 1 or more.
    device : Device
        The device to build for.
    style : {"auto", "auto huge", "block", "huge"}
        Choice of memories: those that synthesis takes by itself; huge memory too, where it is
        cheaper (``-spram``, ``-uram``); or only the one that the Verilog asks for (``ram_style``).

    Returns
    -------
    Mapping

    Raises
    ------
    ValueError
        If `depth` or `width` is less than 1, or the style is none of the four.
    SqhwError
        If the device has no memory of the style that can be initialised.
    """
    return _map(Memory(depth, width, "rom", initialised=True), device, style)


def map_ram(
    depth: int,
    width: int,
    device: Device,
    *,
    ports: str = "1r1w",
    initialised: bool = False,
    style: str = "auto",
) -> Mapping:
    """Return how synthesis builds a RAM whose writes set the whole word.

    Exact on all of ``benchmarks/cost_memory/data/ram_yosys.csv``. Its single-port RAMs are of iCE40
    only, but a sample of the other families equals yosys too. On UltraScale+ yosys 0.70 stops at
    single-port RAM.

    Parameters
    ----------
    depth : int
        Number of words, 1 or more.
    width : int
        Bits per word, 1 or more.
    device : Device
        The device to build for.
    ports : {"1r1w", "1rw"}
        One write port and one read port on the same clock, where a read of the word being written
        returns the old one; or one port that either writes or reads.
    initialised : bool
        Whether the bitstream must set its contents, other than to zero.
    style : {"auto", "auto huge", "block", "huge"}
        Choice of memories, as for `map_rom`.

    Returns
    -------
    Mapping

    Raises
    ------
    ValueError
        If `depth` or `width` is less than 1, or ports or style are none of those.
    SqhwError
        If the device has no memory of the style with these ports, or none that can be initialised.
    """
    return _map(Memory(depth, width, ports, initialised), device, style)


def _map(memory: Memory, device: Device, style: str) -> Mapping:
    cells = cells_for(memory, device, style)
    return _RULES[device.mapping.rule](memory, device, cells, forced=style in ("block", "huge"))
