"""A bitstream for a board with open tools: synthesis, place and route, packing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqhw.atomic import atomic_write_text
from sqhw.boards.board import Board
from sqhw.boards.clocks import DesignClock
from sqhw.boards.constraints import lpf, pcf
from sqhw.boards.top import TOP, top_verilog
from sqhw.cost_models.device import Device
from sqhw.errors import SqhwError
from sqhw.synth.place import PlaceReport, move_registers, read_report, synthesis_script
from sqhw.synth.tools import Flow, flow_for, run_tool


@dataclass(frozen=True)
class Packing:
    """Files of a family after place and route.

    Parameters
    ----------
    constraints : str
        Suffix of the file with pins and clock, and the option for it.
    placed : str
        Suffix of the file that place and route writes, and the option for it.
    bitstream : str
        Suffix of the bitstream.
    pack, unpack : str
        Tool that writes the bitstream, and the one that turns it back.
    parts : tuple of str
        Devices of place and route whose block RAM `sqhw.synth.swap` finds in the bitstream.
    """

    constraints: str
    placed: str
    bitstream: str
    pack: str
    unpack: str
    parts: tuple[str, ...]


#: Parts of nextpnr 0.11.1 with the dies 1K, 8K and 5K: not LP384 (no block RAM), not iCE5LP.
ICE40_PARTS = ("hx1k", "hx4k", "hx8k", "lp1k", "lp4k", "lp8k", "up3k", "up5k")
#: Parts of nextpnr 0.11.1, which are all.
ECP5_PARTS = (
    "12k",
    *(f"{kind}{size}" for kind in ("", "um-", "um5g-") for size in ("25k", "45k", "85k")),
)
PACKINGS = {
    "ice40": Packing("pcf", "asc", "bin", "icepack", "iceunpack", ICE40_PARTS),
    "ecp5": Packing("lpf", "textcfg", "bit", "ecppack", "ecpunpack", ECP5_PARTS),
}
#: Name of the placed design, without its suffix.
PLACED = "placed"


def board_flow(board: Board, single_port: bool = False) -> Flow:
    """Return the flow of a board's device, in the board's package and speed grade.

    Parameters
    ----------
    board : Board
    single_port : bool
        Whether the design has memories of single-port RAM.

    Raises
    ------
    SqhwError
        If the device has none, or a swap does not know its part.
    """
    device = board.device
    if device.placement is not None:
        given = {key: getattr(board, key) for key in ("part", "package", "speed")}
        changes = {key: value for key, value in given.items() if value is not None}
        try:
            device = replace(device, placement=replace(device.placement, **changes))
        except ValueError as error:
            raise SqhwError(f"board {board.name}: {error}") from None
    _check_part(board, device)
    flow = flow_for(device, single_port)
    # Every port of a board has its pin.
    part = tuple(option for option in flow.part if not option.endswith("-allow-unconstrained"))
    return replace(flow, part=part)


def _check_part(board: Board, device: Device) -> None:
    """Refuse a part that would fail in the last step of a build, after place and route."""
    if device.placement is None or device.family not in PACKINGS:
        return
    part, known = device.placement.part, PACKINGS[device.family].parts
    if part not in known:
        raise SqhwError(
            f"board {board.name}: part {part!r} is none whose block RAM `sqhw build` finds in a "
            f"bitstream of {device.family}; allowed are {', '.join(known)}: name one in the board "
            f"file, or in [device.placement] of the file of {device.name}"
        )


def place_board(
    board: Board,
    clock: DesignClock,
    sources: Sequence[str],
    work: Path,
    *,
    seed: int,
    single_port: bool = False,
) -> tuple[PlaceReport, bool]:
    """Synthesize, place and route a design for a board.

    Parameters
    ----------
    board : Board
    clock : DesignClock
    sources : sequence of str
        Verilog files of the design in `work`, without the top module.
    work : path
        Folder with these files and the ROM images, for all files of the tools.
    seed : int, 1 or more
        Seed of the placement.
    single_port : bool
        Whether the design has memories of single-port RAM.

    Returns
    -------
    report : PlaceReport
    met : bool
        Whether every clock of the design meets its frequency.

    Raises
    ------
    SqhwError
        If a tool is missing or fails.
    """
    flow = board_flow(board, single_port)
    packing = PACKINGS[board.device.family]
    atomic_write_text(work / f"{TOP}.v", top_verilog(board, clock))
    constraints = (pcf if packing.constraints == "pcf" else lpf)(board)
    atomic_write_text(work / f"{TOP}.{packing.constraints}", constraints)
    atomic_write_text(work / "synth.ys", synthesis_script(flow, sources, TOP))
    run_tool(("yosys", "-s", "synth.ys"), work, work / "yosys.log")
    inside = move_registers(flow, work, TOP)
    log = work / f"{flow.tool}.log"
    command = (
        flow.tool,
        *flow.part,
        *("--json", "netlist.json", "--report", "report.json"),
        *(f"--{packing.constraints}", f"{TOP}.{packing.constraints}"),
        *(f"--{packing.placed}", placed_file(board)),
        *("--seed", str(seed), "--freq", f"{clock.mhz:.3f}", "--timing-allow-fail"),
    )
    run_tool(command, work, log)
    report = json.loads((work / "report.json").read_text(encoding="utf-8"))
    statistics = json.loads((work / "stat.json").read_text(encoding="utf-8"))
    found = read_report(report, statistics, flow, log)
    met = all(one["achieved"] >= one["constraint"] for one in report["fmax"].values())
    return replace(found, ffs=found.ffs - inside), met


def placed_file(board: Board) -> str:
    """Return the name of the file of a board's placed design."""
    return f"{PLACED}.{'asc' if board.device.family == 'ice40' else 'config'}"


def pack(family: str, placed: Path, bitstream: Path) -> None:
    """Turn a placed design into a bitstream, in the folder of both.

    Raises
    ------
    SqhwError
        If the tool is missing or fails.
    """
    names = (placed.name, bitstream.name)
    options = () if family == "ice40" else ("--compress",)
    run_tool((PACKINGS[family].pack, *options, *names), placed.parent, placed.parent / "pack.log")


def unpack(family: str, bitstream: Path, placed: Path) -> None:
    """Turn a bitstream back into a placed design, in the folder of both.

    Raises
    ------
    SqhwError
        If the tool is missing or fails.
    """
    tool = PACKINGS[family].unpack
    run_tool((tool, bitstream.name, placed.name), placed.parent, placed.parent / "unpack.log")
