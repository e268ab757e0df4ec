"""Writes the generated RTL and the ROM images of a program."""

from pathlib import Path

from sqhw.atomic import atomic_write_text
from sqhw.export.readmemh import write_readmemh
from sqhw.program import Program


def write_rom(program: Program, folder: Path) -> list[Path]:
    """Write the ROM images and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_readmemh(image, folder) for image in program.images]


def write_rtl(program: Program, folder: Path) -> list[Path]:
    """Write the Verilog of the engine, with ROMs as deep as the program's, and return the paths."""
    from sqhw.rtl.emit import LEAVES, TOP, engine_verilog, leaf_verilog

    folder.mkdir(parents=True, exist_ok=True)
    depths = {image.name: image.depth for image in program.images}
    texts = {f"{TOP}.v": engine_verilog(program.engine, depths)}
    texts |= {name: leaf_verilog(name) for name in LEAVES}
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    return [folder / name for name in texts]
