"""The activation banks of an engine on a device: the RAM that they are made of, and its blocks."""

from typing import TypedDict

from sqhw.cost_models.device import load_devices
from sqhw.cost_models.fabric import Device, MemoryPrimitive
from sqhw.cost_models.mapping import Mapping
from sqhw.cost_models.memory import map_ram
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig

#: Rows above which a bank of a single port has two of them, 16 bits, in a word of the RAM.
WORD_ROWS = 16384
#: Remedy where a device has no single-port RAM, or too little.
IN_BLOCK_RAM = "--bank-ram block, of `sqhw retarget` for a network that has an engine"


class SinglePortUse(TypedDict):
    """Single-port RAM of activation banks: name of the block, blocks, those of the device."""

    block: str
    blocks: int
    available: int


def single_port_ram(device: Device) -> MemoryPrimitive | None:
    """Return the large RAM beside the block RAM of a device, one port of which a bank uses.

    Returns
    -------
    MemoryPrimitive or None
        None if the device has no such RAM.
    """
    there = dict(device.blocks)
    cells = (cell for cell in device.memories if cell.kind == "huge" and cell.name in there)
    return next(cells, None)


def bank_mapping(engine: EngineConfig, device: Device) -> Mapping:
    """Return the mapping of one bank by synthesis.

    Raises
    ------
    SqhwError
        If the banks have a single port and the device has no RAM for them.
    """
    if not engine.single_port:
        return map_ram(engine.bank_depth, 8, device)
    if single_port_ram(device) is None:
        others = [one.name for one in load_devices().values() if single_port_ram(one)]
        raise SqhwError(
            f"{device.name} has no single-port RAM for the activation banks; {', '.join(others)} "
            f"have; take one of these, or {IN_BLOCK_RAM}"
        )
    words, width = engine.bank_depth, 8
    if words > WORD_ROWS:
        words, width = words // 2, 16
    return map_ram(words, width, device, ports="1rw", style="huge")


def bank_block(engine: EngineConfig, device: Device) -> str:
    """Return the name of the memory block of the banks.

    Raises
    ------
    SqhwError
        As `bank_mapping` does.
    """
    if not engine.single_port:
        return device.bram.name
    bank_mapping(engine, device)
    cell = single_port_ram(device)
    return cell.block_name if cell else ""


def bank_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the number of memory blocks of all banks.

    Raises
    ------
    SqhwError
        As `bank_mapping` does.
    """
    return engine.lanes * bank_mapping(engine, device).blocks


def table_mapping(engine: EngineConfig, device: Device) -> Mapping:
    """Return the mapping of the RAM with the table of one requantizer by synthesis."""
    from sqhw.machine.layout import TABLE_ENTRIES, TABLE_WIDTH  # NumPy, which no help text needs

    return map_ram(TABLE_ENTRIES, TABLE_WIDTH, device)


def table_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the number of memory blocks of the tables of all requantizers, 0 without tables."""
    return engine.tables * engine.requantizers * table_mapping(engine, device).blocks


def lacking_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the single-port blocks that the banks need beyond those of the device, 0 if none.

    Raises
    ------
    SqhwError
        As `bank_mapping` does.
    """
    if not engine.single_port:
        return 0
    there = device.block_count(bank_block(engine, device))
    return max(0, bank_blocks(engine, device) - there)


def single_port_use(engine: EngineConfig, device: Device) -> SinglePortUse | None:
    """Return the single-port RAM that the banks take, None if they are block RAM.

    Raises
    ------
    SqhwError
        As `bank_mapping` does.
    """
    if not engine.single_port:
        return None
    block = bank_block(engine, device)
    return {
        "block": block,
        "blocks": bank_blocks(engine, device),
        "available": device.block_count(block),
    }


def check_banks(engine: EngineConfig, device: Device) -> None:
    """Check that a device has the RAM for banks of a single port.

    Raises
    ------
    SqhwError
        If it has none, or too little.
    """
    if lacking_blocks(engine, device):
        block = bank_block(engine, device)
        raise SqhwError(
            f"{engine.lanes} activation banks of {engine.bank_depth:,} rows need "
            f"{bank_blocks(engine, device)} {block}, {device.name} has "
            f"{device.block_count(block)}; take fewer lanes or "
            f"{IN_BLOCK_RAM}"
        )
