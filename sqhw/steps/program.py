"""From a network's file to the program of its engine: functions that several steps share."""

import json
from dataclasses import replace
from pathlib import Path

from sqhw.compiler.program import Program, compile_network
from sqhw.cost_models.device import Device, find_device
from sqhw.cost_models.rom import rom_pieces
from sqhw.errors import SqhwError, shown
from sqhw.files.plain import located
from sqhw.machine.config import MAX_CORES, EngineConfig
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


def check_cores(cores: int | None) -> None:
    """Check a number of cores that the user gives; None is no number.

    Raises
    ------
    SqhwError
        If it is out of range.
    """
    if cores is not None and not (type(cores) is int and 1 <= cores <= MAX_CORES):
        raise SqhwError(f"cores must be 1 to {MAX_CORES}, not {shown(cores)}")


def with_cores(engine: EngineConfig, cores: int | None) -> EngineConfig:
    """Return an engine with some number of cores, or with its own if None."""
    return engine if cores is None else replace(engine, cores=cores)


def device_of(source: Path, network: QuantizedNetwork, given: str | None) -> Device | None:
    """Return the device that the user names, or else that of the network; None if it has none.

    Parameters
    ----------
    source : path
        File of the network.
    network : QuantizedNetwork
    given : str or None
        Device or board, or a device file, as the user names it.

    Raises
    ------
    SqhwError
        If the device is unknown; if it is that of the network, the message names the file.
    """
    if given:
        return find_device(given)
    name = network.facts.device
    if not name:
        return None
    with located(f"{source}: metadata entry 'device'"):
        try:
            return find_device(name)
        except SqhwError as error:
            raise SqhwError(f"{error}; name the device with --device") from None


def device_pieces(program: Program, device: Device | None) -> dict[str, tuple[Piece, ...]]:
    """Return the pieces of the ROMs of a program that suit a device, or any device."""
    return rom_pieces(program.engine, program.depths, device)
