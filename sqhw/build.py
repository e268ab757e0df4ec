"""Writes the generated RTL and the ROM images of a program."""

from collections.abc import Mapping
from pathlib import Path

from sqhw.atomic import atomic_write_text, make_folder
from sqhw.engine import EngineConfig
from sqhw.export.readmemh import write_image
from sqhw.layout import rom_widths
from sqhw.manifest import write_manifest
from sqhw.program import Program
from sqhw.rom_pieces import Pieces, check_pieces, to_plain, whole


def write_rom(program: Program, folder: Path, pieces: Pieces | None = None) -> list[Path]:
    """Write the ROM images, and a manifest that tells what they are for; return the paths.

    Parameters
    ----------
    program : Program
    folder : path
        Made if missing.
    pieces : mapping of str to tuple of Piece, optional
        Those of the Verilog, from `sqhw.cost_models.rom.rom_pieces`; by default each ROM is one
        piece of as many words as its image.

    Raises
    ------
    SqhwError
        If an image has more words than its pieces, or the folder cannot be written.
    """
    make_folder(folder)
    pieces = pieces or {image.name: whole(image.depth, image.width) for image in program.images}
    facts = {
        "network": program.network.name,
        "batch": program.batch,
        "words": program.depths,
        "pieces": to_plain(pieces),
    }
    images = [
        path for image in program.images for path in write_image(image, pieces[image.name], folder)
    ]
    return [*images, write_manifest(folder, "rom", program.engine, facts)]


def write_rtl(
    engine: EngineConfig,
    depths: Mapping[str, int],
    folder: Path,
    interface: str = "plain",
    pieces: Pieces | None = None,
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
    pieces : mapping of str to tuple of Piece, optional
        Of ROMs of these depths, from `sqhw.cost_models.rom.rom_pieces`; by default each ROM is
        one piece.

    Raises
    ------
    SqhwError
        If there is no such interface or the folder cannot be written.
    """
    from sqhw.rtl.emit import LEAVES, TOPS, engine_verilog, leaf_verilog

    widths = rom_widths(engine)
    pieces = pieces or {name: whole(depth, widths[name]) for name, depth in depths.items()}
    for name, parts in pieces.items():
        check_pieces(parts, depths[name], widths[name])
    text = engine_verilog(engine, pieces, interface)
    make_folder(folder)
    texts = {f"{TOPS[interface]}.v": text}
    texts |= {name: leaf_verilog(name) for name in LEAVES}
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    facts = {"interface": interface, "words": dict(depths), "pieces": to_plain(pieces)}
    return [*(folder / name for name in texts), write_manifest(folder, "rtl", engine, facts)]
