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


def write_rtl(
    engine: EngineConfig, depths: Mapping[str, int], folder: Path, interface: str = "plain"
) -> list[Path]:
    """Write the Verilog of the engine and return the paths.

    Parameters
    ----------
    engine : EngineConfig
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``. Deeper ROMs leave room for a
        later network, whose images then need no new Verilog.
    folder : path
        Made if missing.
    interface : str
        ``plain`` (top module ``sqhw_engine``) or ``axi`` (``sqhw_axi``).

    Raises
    ------
    SqhwError
        If there is no such interface or the folder cannot be written.
    """
    from sqhw.rtl.emit import LEAVES, TOPS, engine_verilog, leaf_verilog

    text = engine_verilog(engine, depths, interface)
    make_folder(folder)
    texts = {f"{TOPS[interface]}.v": text}
    texts |= {name: leaf_verilog(name) for name in LEAVES}
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    return [folder / name for name in texts]
