"""The open synthesis tools, from their wheels: what a device needs and how they are called."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqhw.cost_models.device import Device
from sqhw.environment.extras import missing_package
from sqhw.environment.wasm_cache import wasm_cache
from sqhw.errors import SqhwError, unknown_name


@dataclass(frozen=True)
class Flow:
    """How a device is synthesized, placed and routed.

    Parameters
    ----------
    synth : str
        The yosys command.
    tool : str
        The place-and-route program, without the prefix ``yowasp-``.
    part : tuple of str
        Its options for the device, package and speed grade.
    target_mhz : int
        The frequency that it works towards; a higher one brings no more.
    cells : dict of str to str
        Its names of the cells that are counted: ``luts``, ``brams``, ``dsps``.
    ff_prefix : str
        What the names of yosys' flip-flops begin with.
    output_registers : bool
        Whether registers behind block RAM go into it, see `sqhw.synth.output_registers`.
    """

    synth: str
    tool: str
    part: tuple[str, ...]
    target_mhz: int
    cells: dict[str, str]
    ff_prefix: str
    output_registers: bool = False


_ICE40 = {"luts": "ICESTORM_LC", "brams": "ICESTORM_RAM", "dsps": "ICESTORM_DSP"}
_ECP5 = {"luts": "TRELLIS_COMB", "brams": "DP16KD", "dsps": "MULT18X18D"}


def _ice40(part: str, package: str, synth: str, mhz: int) -> Flow:
    options = (f"--{part}", "--package", package, "--pcf-allow-unconstrained")
    return Flow(synth, "nextpnr-ice40", options, mhz, _ICE40, "SB_DFF")


def _ecp5(part: str) -> Flow:
    options = (f"--{part}", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained")
    return Flow(
        "synth_ecp5", "nextpnr-ecp5", options, 150, _ECP5, "TRELLIS_FF", output_registers=True
    )


FLOWS = {
    "iCE40UP5K": _ice40("up5k", "sg48", "synth_ice40 -device u -dsp", 48),
    "iCE40HX8K": _ice40("hx8k", "ct256", "synth_ice40 -device hx", 120),
    "iCE40LP8K": _ice40("lp8k", "cm81", "synth_ice40 -device lp", 80),
    "LFE5U-25F": _ecp5("25k"),
    "LFE5U-45F": _ecp5("45k"),
    "LFE5U-85F": _ecp5("85k"),
}


def flow_for(device: Device) -> Flow:
    """Return how a device is placed and routed.

    Raises
    ------
    SqhwError
        If no open place-and-route tool is set up here for the device.
    """
    if device.name not in FLOWS:
        raise unknown_name("device for place and route", device.name, FLOWS)
    return FLOWS[device.name]


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
        raise missing_package(command, "synthesis" if name == "yosys" else "place and route")
    return path


def run_tool(command: Sequence[str], folder: Path, log: Path) -> None:
    """Run a tool in a folder; what it prints goes to a file.

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
