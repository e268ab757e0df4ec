"""From a network's file to the program of its engine: functions that several steps share."""

import json
from dataclasses import replace
from pathlib import Path

from sqhw.compiler.program import Program, compile_network
from sqhw.cost_models.device import Device, find_device
from sqhw.cost_models.rom import rom_pieces
from sqhw.machine.config import EngineConfig
from sqhw.machine.rom_pieces import Piece
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import load_network


def labelled(
    network: QuantizedNetwork, engine: EngineConfig, device: Device, more: dict[str, str]
) -> QuantizedNetwork:
    """Return the network with the engine and the device in its metadata."""
    label = {"engine": json.dumps(engine.to_dict()), "device": device.name}
    return replace(network, metadata=network.metadata | label | more)


def program_of(source: Path, batch: int = 1) -> Program:
    """Return the program of a network's file, for runs of `batch` images."""
    network = load_network(source)
    return compile_network(network, network.facts.engine, batch)


def device_pieces(program: Program, device: str | None) -> dict[str, tuple[Piece, ...]]:
    """Return the pieces of the ROMs on a device, by default that of the network, if it has one."""
    name = device or program.network.facts.device
    return rom_pieces(program.engine, program.depths, find_device(name) if name else None)
