"""Writes the generated RTL and the ROM images of a program."""

from collections.abc import Mapping
from pathlib import Path

from sqhw.atomic import atomic_write_text, make_folder
from sqhw.engine import EngineConfig
from sqhw.export.readmemh import write_readmemh
from sqhw.program import Program


def write_rom(program: Program, folder: Path) -> list[Path]:
    """Write the ROM images and return their paths."""
    make_folder(folder)
    return [write_readmemh(image, folder) for image in program.images]


def write_rtl(engine: EngineConfig, depths: Mapping[str, int], folder: Path) -> list[Path]:
    """Write the Verilog of the engine and return the paths.

    Parameters
    ----------
    engine : EngineConfig
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``. Deeper ROMs leave room for a
        later network, whose images then need no new Verilog.
    folder : path
        Made if missing.
    """
    from sqhw.rtl.emit import LEAVES, TOP, engine_verilog, leaf_verilog

    make_folder(folder)
    texts = {f"{TOP}.v": engine_verilog(engine, depths)}
    texts |= {name: leaf_verilog(name) for name in LEAVES}
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    return [folder / name for name in texts]
