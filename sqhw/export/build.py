"""Writes the generated RTL and the ROM images of a program."""

import re
from collections.abc import Mapping
from pathlib import Path

from sqhw.compiler.program import Program
from sqhw.environment.extras import need_package
from sqhw.export.file_set import write_set
from sqhw.export.readmemh import image_texts
from sqhw.export.rom_graph import FIELD, graph_facts
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import check_depths, rom_widths
from sqhw.machine.naming import (
    DEFAULT_NAME,
    SINGLE_PORT_LEAVES,
    TOPS,
    check_name,
    image_name,
    leaf_files,
    top_module,
)
from sqhw.machine.rom_pieces import Pieces, check_pieces, to_plain, whole


def write_rom(
    program: Program,
    folder: str | Path,
    pieces: Pieces | None = None,
    name: str = DEFAULT_NAME,
) -> list[Path]:
    """Write the ROM images, and after them a manifest that tells their engine.

    Images of pieces that an earlier network had there, and this one has not, are removed.

    Parameters
    ----------
    program : Program
    folder : path
        Made if missing.
    pieces : mapping of str to tuple of Piece, optional
        Pieces of the Verilog's ROMs, from `sqhw.cost_models.rom.rom_pieces`; by default each ROM
        is one piece of as many words as its image.
    name : str
        Name of the Verilog, with which file names begin unless it is the default.

    Returns
    -------
    list of Path
        The images, then the manifest.

    Raises
    ------
    SqhwError
        If an image has more words than its pieces, no module can have the name, or the folder
        cannot be written.
    """
    check_name(name)
    folder = Path(folder)
    pieces = pieces or {image.name: whole(image.depth, image.width) for image in program.images}
    facts = {
        "name": name,
        "network": program.network.name,
        "batch": program.batch,
        "words": program.depths,
        "pieces": to_plain(pieces),
        FIELD: graph_facts(program.network),
    }
    roms = "|".join(image_name(name, image.name) for image in program.images)
    own = re.compile(rf"({roms})(_\d+)?\.hex", re.ASCII)
    contents = rom_contents(program, pieces, name)
    return write_set(folder, "rom", program.engine, contents, facts, own.fullmatch)


def rom_contents(program: Program, pieces: Pieces, name: str) -> dict[str, bytes]:
    """Return the content of the files that `write_rom` writes, by file name.

    Raises
    ------
    SqhwError
        If an image has more words than its pieces.
    """
    texts = dict[str, str]()
    for image in program.images:
        texts |= image_texts(image, pieces[image.name], name)
    return {file: text.encode() for file, text in texts.items()}


def write_rtl(
    engine: EngineConfig,
    depths: Mapping[str, int],
    folder: str | Path,
    interface: str = "plain",
    pieces: Pieces | None = None,
    name: str = DEFAULT_NAME,
) -> list[Path]:
    """Write the Verilog of the engine, and after it a manifest.

    The top module of the other interface, if it is there, is removed.

    Parameters
    ----------
    engine : EngineConfig
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``. Deeper ROMs leave room for a
        later network, whose images then need no new Verilog.
    folder : path
        Made if missing.
    interface : str
        ``plain`` (top module ``NAME_engine``) or ``axi`` (``NAME_axi``).
    pieces : mapping of str to tuple of Piece, optional
        Pieces of ROMs of these depths, from `sqhw.cost_models.rom.rom_pieces`; by default each
        ROM is one piece.
    name : str
        First part of the names of modules and files; of ROM images too, unless it is the default.

    Returns
    -------
    list of Path
        The Verilog files, then the manifest.

    Raises
    ------
    SqhwError
        If there is no such interface, no module can have the name, a ROM has no depth or one
        that the engine does not address, or the folder cannot be written.
    """
    need_package("amaranth", "writing Verilog")
    from sqhw.rtl.emit import engine_verilog, leaf_verilog

    check_name(name)
    folder = Path(folder)
    check_depths(engine, depths)
    widths = rom_widths(engine)
    pieces = pieces or {rom: whole(depth, widths[rom]) for rom, depth in depths.items()}
    for rom, parts in pieces.items():
        check_pieces(parts, depths[rom], widths[rom])
    text = engine_verilog(engine, pieces, interface, name)
    texts = {f"{top_module(name, interface)}.v": text}
    leaves = SINGLE_PORT_LEAVES if engine.single_port else {}
    texts |= {
        file: leaf_verilog(leaves.get(leaf, leaf), name) for leaf, file in leaf_files(name).items()
    }
    facts = {
        "name": name,
        "interface": interface,
        "words": dict(depths),
        "pieces": to_plain(pieces),
    }
    own = {*texts, *(f"{top_module(name, other)}.v" for other in TOPS)}
    contents = {file: text.encode() for file, text in texts.items()}
    return write_set(folder, "rtl", engine, contents, facts, own.__contains__)
