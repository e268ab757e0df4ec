"""Digests of what is measured: the Verilog of an engine, and the way that it is synthesized."""

import ast
import hashlib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from benchmarks.cost_engine.canonical import without_comments, without_names
from benchmarks.cost_engine.design import Point
from benchmarks.cost_engine.families import Family, Mapped
from sqhw.cost_models.rom import rom_pieces
from sqhw.export.build import write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import DEFAULT_NAME, top_module
from sqhw.machine.rom_pieces import Pieces
from sqhw.synth.place import SOURCES, place_command, synthesis_script
from sqhw.synth.top import TOP, engine_ports, top_verilog

#: Seed of the one placement of each engine. The model's error includes the spread between seeds.
PLACEMENT_SEED = 1
#: Files, besides those of `sqhw.rtl`, that the engine's Verilog is made from.
RTL_FILES = (
    "machine/config.py",
    "machine/layout.py",
    "machine/rom_pieces.py",
    "machine/timing.py",
    "synth/top.py",
)
#: File that changes the netlist before placement, on devices with output registers.
OUTPUT_REGISTERS = "synth/output_registers.py"
#: Files that are synthesized.
VERILOG = (*SOURCES, f"{TOP}.v")
DIGITS = 16


def digest(texts: Iterable[str]) -> str:
    """Return the first 16 hex digits of the SHA-256 of texts, one after the other."""
    parts = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:DIGITS]


def write_verilog(family: Family, point: Point, folder: Path) -> dict[str, tuple[str, int]]:
    """Write the files that are synthesized, and return the ports of the engine.

    Parameters
    ----------
    family : Family
    point : Point
    folder : path
        Made if missing.
    """
    return emit(
        point.engine,
        point.depths,
        rom_pieces(point.engine, point.depths, family.device),
        folder,
    )


def emit(
    engine: EngineConfig, depths: Mapping[str, int], pieces: Pieces, folder: Path
) -> dict[str, tuple[str, int]]:
    """Write the files of any engine, and return its ports.

    Parameters
    ----------
    engine : EngineConfig
    depths : mapping of str to int
        Words of its ROMs.
    pieces : mapping of str to tuple of Piece
    folder : path
        Made if missing.
    """
    write_rtl(engine, depths, folder, pieces=pieces)
    ports = engine_ports((folder / SOURCES[0]).read_text(encoding="utf-8"))
    (folder / f"{TOP}.v").write_text(top_verilog(ports), encoding="utf-8")
    return ports


def verilog_digest(folder: Path) -> str:
    """Return the digest of the files that `write_verilog` wrote.

    Engines that differ in comments or in names of signals only have the same.
    """
    engine, *others = [(folder / name).read_text(encoding="utf-8") for name in VERILOG]
    return digest([without_names(engine, top_module(DEFAULT_NAME)), *map(without_comments, others)])


def flow_digest(family: Family) -> str:
    """Return the digest of what is done with the Verilog of a family's engines.

    It covers the yosys script, the command that places, and the code in between.
    """
    flow = family.flow
    parts = [yosys_script(family)]
    if not isinstance(flow, Mapped):
        parts += place_command(flow, PLACEMENT_SEED)
        if flow.output_registers:
            parts.append(code_of(files("sqhw").joinpath(OUTPUT_REGISTERS).read_text("utf-8")))
    return digest(parts)


def yosys_script(family: Family) -> str:
    """Return the yosys script of a family."""
    flow = family.flow
    if not isinstance(flow, Mapped):
        return synthesis_script(flow)
    # Split nets keep names that abc9 makes from clashing, at which yosys 0.70 stops.
    return (
        f"read_verilog {' '.join(VERILOG)}\n"
        f"{flow.synth} -top {TOP} -run begin:map_luts\n"
        "splitnets\n"
        f"{flow.synth} -top {TOP} -run map_luts:\n"
        "tee -q -o stat.json stat -json\n"
    )


def rtl_digest(family: Family) -> str:
    """Return the digest of the Python files that Verilog and flow come from, comments and all.

    As long as it stays, so do the digests of the Verilog and of the flow.
    """
    root, folder, flow = files("sqhw"), files("sqhw.rtl"), family.flow
    paths = [root.joinpath(name) for name in RTL_FILES]
    if not isinstance(flow, Mapped) and flow.output_registers:
        paths.append(root.joinpath(OUTPUT_REGISTERS))
    paths += sorted(
        (path for path in folder.iterdir() if path.name.endswith(".py")), key=lambda path: path.name
    )
    paths += [folder.joinpath("verilog", name) for name in ("sqhw_ram.v", "sqhw_rom.v")]
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:DIGITS]


def code_of(text: str) -> str:
    """Return Python code without comments and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
