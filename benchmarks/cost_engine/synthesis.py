"""Synthesizes one engine, keeps what it took in a file, and does it once only."""

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.cost_engine.design import Point
from benchmarks.cost_engine.families import Family, Mapped
from benchmarks.cost_engine.origin import (
    PLACEMENT_SEED,
    flow_digest,
    rtl_digest,
    verilog_digest,
    write_verilog,
    yosys_script,
)
from benchmarks.origin import commit
from benchmarks.seal import read_sealed, write_sealed
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.compiler.program import RomImage
from sqhw.cost_models.rom import rom_pieces
from sqhw.errors import SqhwError
from sqhw.export.readmemh import write_image
from sqhw.machine.layout import rom_widths
from sqhw.synth.place import move_registers, place_command, read_counts, read_fmax
from sqhw.synth.tools import find_tool, run_tool
from sqhw.synth.top import top_cells

#: Name of the file that says what a netlist was made from. It is written after the netlist.
STAMP = "netlist.stamp"
YOSYS = """import sys
from pyosys import libyosys
design = libyosys.Design()
for line in open(sys.argv[1]):
    design.run_pass(line.strip())
"""


@dataclass(frozen=True)
class Measurement:
    """What an engine takes of a device, without the shift register at its inputs.

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
        Digest of the Python files that Verilog and flow came from, as `rtl_digest` was then.
    commit : str
        A commit of this repository that has them.
    verilog, flow : str
        Digests of what was synthesized and how, see `benchmarks.cost_engine.origin`. They tell
        whether the figures are those of the present engine.
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
    commit: str
    verilog: str
    flow: str
    tools: dict[str, str]


def measure(family: Family, point: Point, data: Path, work: Path) -> Measurement:
    """Return what an engine takes, from its file if it is there and of this Verilog and flow.

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
    folder = make_folder(work / family.name / f"{point.number:03d}")
    if found is None or found.point != point or not _is_present(found, family, folder):
        found = _synthesize(family, point, folder)
        _write(found, path)
    return found


def place_once(family: Family, measured: Measurement, data: Path, work: Path) -> Measurement:
    """Return the measurement with its clock frequency; place and route if that was never tried."""
    flow = family.flow
    if measured.fmax_mhz is not None or measured.unplaced or isinstance(flow, Mapped):
        return measured
    number = measured.point.number
    folder = work / family.name / f"{number:03d}"
    if _stamp(measured) != _read_stamp(folder):
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
    """Return the measurement in a file.

    Raises
    ------
    SqhwError
        If its figures or its digests were changed after it was written.
    """
    entry = read_sealed(path)
    point = Point.from_dict(entry.pop("point"))
    return Measurement(point=point, **entry)


def read_measurements(data: Path, family: str) -> list[Measurement]:
    """Return the measurements of a family, in the order of their numbers."""
    return [read_measurement(path) for path in sorted((data / family).glob("*.json"))]


@cache
def tool_versions(tool: str) -> dict[str, str]:
    """Return the versions of yosys and, unless it is empty, of a place-and-route tool."""
    found = {"yosys": version("pyosys")}
    if tool:
        command = [find_tool(tool), "--version"]
        output = subprocess.run(command, capture_output=True, text=True, check=True)
        numbers = re.findall(r"Version ([^)\s]+)", output.stdout + output.stderr)
        found[tool] = numbers[0] if numbers else "unknown"
    return found


def _is_present(measured: Measurement, family: Family, folder: Path) -> bool:
    """Return whether the engine is still made of this Verilog, and measured by this flow."""
    write_verilog(family, measured.point, folder)
    return (measured.verilog, measured.flow, measured.tools) == (
        verilog_digest(folder),
        flow_digest(family),
        _versions(family),
    )


def _versions(family: Family) -> dict[str, str]:
    flow = family.flow
    return tool_versions("" if isinstance(flow, Mapped) else flow.tool)


def _synthesize(family: Family, point: Point, folder: Path) -> Measurement:
    engine, flow = point.engine, family.flow
    make_folder(folder)
    (folder / STAMP).unlink(missing_ok=True)
    pieces = rom_pieces(engine, point.depths, family.device)
    ports = write_verilog(family, point, folder)
    atomic_write_text(folder / "synth.ys", yosys_script(family))
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
    found = Measurement(
        family=family.name,
        point=point,
        luts=counts["luts"] - own,
        ffs=counts["ffs"] - around.ffs,
        brams=counts["brams"],
        dsps=counts["dsps"],
        fmax_mhz=None,
        unplaced="",
        rtl=rtl_digest(family),
        commit=commit(),
        verilog=verilog_digest(folder),
        flow=flow_digest(family),
        tools=_versions(family),
    )
    atomic_write_text(folder / STAMP, _stamp(found))
    return found


def _stamp(measured: Measurement) -> str:
    """Return what tells a netlist from that of another Verilog, flow or yosys."""
    return f"{measured.verilog} {measured.flow} {measured.tools}\n"


def _read_stamp(folder: Path) -> str:
    path = folder / STAMP
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _write(measured: Measurement, path: Path) -> None:
    make_folder(path.parent)
    write_sealed(path, asdict(measured))


def _json(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text[text.index("{") :])
