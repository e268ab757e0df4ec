"""Writes the generated RTL and the ROM images of a program."""

from collections.abc import Mapping
from pathlib import Path

from sqhw.atomic import atomic_write_text, make_folder
from sqhw.engine import EngineConfig
from sqhw.export.readmemh import write_readmemh
from sqhw.manifest import write_manifest
from sqhw.program import Program


def write_rom(program: Program, folder: Path) -> list[Path]:
    """Write the ROM images, and a manifest that tells what they are for; return the paths."""
    make_folder(folder)
    facts = {"network": program.network.name, "batch": program.batch, "words": program.depths}
    images = [write_readmemh(image, folder) for image in program.images]
    return [*images, write_manifest(folder, "rom", program.engine, facts)]


def write_rtl(
    engine: EngineConfig, depths: Mapping[str, int], folder: Path, interface: str = "plain"
) -> list[Path]:
    """Write the Verilog of the engine, and a manifest, and return the paths.

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
    facts = {"interface": interface, "words": dict(depths)}
    return [*(folder / name for name in texts), write_manifest(folder, "rtl", engine, facts)]
