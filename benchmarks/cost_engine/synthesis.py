"""Synthesizes one engine, keeps what it took in a file, and does it once only."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.cost_engine.design import Point
from benchmarks.cost_engine.families import Family, Mapped
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.build import write_rtl
from sqhw.cost_models.rom import rom_pieces
from sqhw.errors import SqhwError
from sqhw.export.readmemh import write_image
from sqhw.layout import rom_widths
from sqhw.program import RomImage
from sqhw.synth.place import (
    SOURCES,
    move_registers,
    place_command,
    read_counts,
    read_fmax,
    synthesis_script,
)
from sqhw.synth.tools import Flow, find_tool, run_tool
from sqhw.synth.top import TOP, engine_ports, top_cells, top_verilog

#: One placement each: the model is of the typical one, and its error includes their spread.
PLACEMENT_SEED = 1
#: What the engine's Verilog is made from.
RTL_FILES = ("engine.py", "layout.py", "rom_pieces.py", "timing.py", "synth/top.py")
#: What changes the netlist before it is placed, on the devices that have such registers.
OUTPUT_REGISTERS = "synth/output_registers.py"
YOSYS = """import sys
from pyosys import libyosys
design = libyosys.Design()
for line in open(sys.argv[1]):
    design.run_pass(line.strip())
"""


@dataclass(frozen=True)
class Measurement:
    """What an engine takes of a device, without the shift register that it is placed behind.

    Parameters
    ----------
    family : str
    point : Point
    luts, ffs, brams, dsps : int
        After packing; flip-flops after synthesis.
    fmax_mhz : float or None
        Static timing of one placement (unit: MHz); None if it was not placed.
    unplaced : str
        Why it was not, in the tool's words, if that was tried.
    rtl : str
        Digest of what the Verilog is made from.
    tools : dict of str to str
        Names and versions.
    """

    family: str
    point: Point
    luts: int
    ffs: int
    brams: int
    dsps: int
    fmax_mhz: float | None
    unplaced: str
    rtl: str
    tools: dict[str, str]


def measure(family: Family, point: Point, data: Path, work: Path) -> Measurement:
    """Return what an engine takes, from its file if it is there and of this RTL.

    Parameters
    ----------
    family : Family
    point : Point
    data : path
        Folder of the results.
    work : path
        Folder for the tools' files.

    Raises
    ------
    SqhwError
        If a tool is missing or fails.
    """
    path = data / family.name / f"{point.number:03d}.json"
    found = read_measurement(path) if path.is_file() else None
    if found is None or found.rtl != rtl_digest(family.flow) or found.point != point:
        found = _synthesize(family, point, work / family.name / f"{point.number:03d}")
        _write(found, path)
    return found


def place_once(family: Family, measured: Measurement, data: Path, work: Path) -> Measurement:
    """Return the measurement with its clock frequency; place and route if that was never tried."""
    flow = family.flow
    if measured.fmax_mhz is not None or measured.unplaced or isinstance(flow, Mapped):
        return measured
    number = measured.point.number
    folder = work / family.name / f"{number:03d}"
    if not (folder / "netlist.json").is_file():
        _synthesize(family, measured.point, folder)
    log = folder / f"{flow.tool}.log"
    try:
        run_tool(place_command(flow, PLACEMENT_SEED), folder, log)
    except SqhwError as error:
        if "ERROR" not in log.read_text(encoding="utf-8", errors="replace"):
            raise  # the tool was stopped: that says nothing of the engine
        placed = replace(measured, unplaced=str(error).split("; see ")[0])
    else:
        placed = replace(
            measured, fmax_mhz=round(read_fmax(_json(folder / "report.json"), flow, log), 2)
        )
    _write(placed, data / family.name / f"{number:03d}.json")
    return placed


def read_measurement(path: Path) -> Measurement:
    """Return the measurement in a file."""
    entry = _json(path)
    point = Point.from_dict(entry.pop("point"))
    return Measurement(point=point, **entry)


def read_measurements(data: Path, family: str) -> list[Measurement]:
    """Return the measurements of a family, in the order of their numbers."""
    return [read_measurement(path) for path in sorted((data / family).glob("*.json"))]


def rtl_digest(flow: Flow | Mapped) -> str:
    """Return the SHA-256 of the files that the netlist is made from, first 16 hex digits."""
    root = files("sqhw")
    folder = files("sqhw.rtl")
    paths = [root.joinpath(name) for name in RTL_FILES]
    if isinstance(flow, Flow) and flow.output_registers:
        paths.append(root.joinpath(OUTPUT_REGISTERS))
    paths += sorted(
        (path for path in folder.iterdir() if path.name.endswith(".py")), key=lambda path: path.name
    )
    paths += [folder.joinpath("verilog", name) for name in ("sqhw_ram.v", "sqhw_rom.v")]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def tool_versions(tool: str) -> dict[str, str]:
    """Return the versions of yosys and, unless it is empty, of a place-and-route tool."""
    found = {"yosys": version("pyosys")}
    if tool:
        command = [find_tool(tool), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        numbers = re.findall(r"Version ([^)\s]+)", said.stdout + said.stderr)
        found[tool] = numbers[0] if numbers else "unknown"
    return found


def _synthesize(family: Family, point: Point, folder: Path) -> Measurement:
    engine, flow = point.engine, family.flow
    make_folder(folder)
    pieces = rom_pieces(engine, point.depths, family.device)
    write_rtl(engine, point.depths, folder, pieces=pieces)
    ports = engine_ports((folder / SOURCES[0]).read_text(encoding="utf-8"))
    atomic_write_text(folder / f"{TOP}.v", top_verilog(ports))
    atomic_write_text(folder / "synth.ys", _script(flow))
    for name, width in rom_widths(engine).items():
        random = Random(f"{name} {point.number}")
        words = tuple(random.getrandbits(width) for _ in range(point.depths[name]))
        write_image(RomImage(name, width, words), pieces[name], folder)
    log = folder / "yosys.log"
    with log.open("w", encoding="utf-8") as out:
        run = subprocess.run(
            [sys.executable, "-c", YOSYS, "synth.ys"],
            cwd=folder, stdout=out, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if run.returncode:
        raise SqhwError(f"yosys fails ({run.returncode}); see {log}")
    statistics = _json(folder / "stat.json")
    around = top_cells(ports)
    own = around.luts
    if isinstance(flow, Mapped):
        counts = flow.counts(statistics["design"]["num_cells_by_type"])
    else:
        inside = move_registers(flow, folder)
        pack = (*place_command(flow, PLACEMENT_SEED), "--pack-only")
        run_tool(pack, folder, folder / "pack.log")
        counts = read_counts(_json(folder / "report.json"), statistics, flow)
        counts["ffs"] -= inside
        if flow.tool == "nextpnr-ice40":
            own = around.cells
    return Measurement(
        family=family.name,
        point=point,
        luts=counts["luts"] - own,
        ffs=counts["ffs"] - around.ffs,
        brams=counts["brams"],
        dsps=counts["dsps"],
        fmax_mhz=None,
        unplaced="",
        rtl=rtl_digest(flow),
        tools=tool_versions("" if isinstance(flow, Mapped) else flow.tool),
    )


def _script(flow: Flow | Mapped) -> str:
    if isinstance(flow, Flow):
        return synthesis_script(flow)
    # Split nets keep names that abc9 makes from clashing, at which yosys 0.70 stops.
    return (
        f"read_verilog {' '.join(SOURCES)} {TOP}.v\n"
        f"{flow.synth} -top {TOP} -run begin:map_luts\n"
        "splitnets\n"
        f"{flow.synth} -top {TOP} -run map_luts:\n"
        "tee -q -o stat.json stat -json\n"
    )


def _write(measured: Measurement, path: Path) -> None:
    make_folder(path.parent)
    atomic_write_text(path, json.dumps(asdict(measured), indent=1) + "\n")


def _json(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text[text.index("{") :])
