"""The folder of a build: its manifest, with a digest of every file, and what a swap needs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqhw.atomic import atomic_write_text, is_file
from sqhw.errors import SqhwError, shown
from sqhw.files.digest import sha256_of
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_JSON_BYTES
from sqhw.files.plain import located, parse_json, typed
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import rom_widths
from sqhw.machine.rom_pieces import Piece, from_plain, width_of
from sqhw.synth.bitstream import PACKINGS

MANIFEST = "build.json"
#: Version of the manifest.
FORMAT = 1
#: Largest file of a build (unit: byte): the placed design of the largest ECP5 has 20 MB.
MAX_BUILD_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class Build:
    """Manifest of a build.

    Parameters
    ----------
    format : int
    board, device, family : str
    engine : dict
        Configuration of the engine by field.
    pieces : Any
        Pieces of the ROMs, as plain data.
    fixed : tuple of str
        ROMs whose words cannot be swapped.
    clock_mhz : float
    baud, divisor : int
        Speed of the serial line (unit: bit/s), and cycles of a bit.
    identity : int, 0 to 2**32 - 1
        Number that the board answers with.
    seed : int
        Seed of the placement, and of the random words that the ROMs were synthesized with.
    placed : str
        File of the placed design with the random words; empty in a project for vendor tools.
    bitstream : str
        File of the bitstream; empty in such a project.
    network : str
        Name of the network that is in the bitstream.
    files : dict of str to str
        SHA-256 of each file by name.
    queue : int
        Bytes of the queue of a tagged link (`sqhw.machine.link`); 0 for a plain one.
    """

    format: int
    board: str
    device: str
    family: str
    engine: dict[str, Any]
    pieces: Any
    fixed: tuple[str, ...]
    clock_mhz: float
    baud: int
    divisor: int
    identity: int
    seed: int
    placed: str
    bitstream: str
    network: str
    files: dict[str, str]
    queue: int = 0

    @property
    def config(self) -> EngineConfig:
        """Configuration of the engine."""
        return EngineConfig.from_dict(self.engine)

    @property
    def rom_pieces(self) -> dict[str, tuple[Piece, ...]]:
        """Pieces of the ROMs."""
        return from_plain(self.pieces, MANIFEST)


def write_build(folder: Path, build: Build) -> None:
    """Write the manifest of a folder."""
    text = json.dumps(asdict(build), indent=2, sort_keys=True)
    atomic_write_text(folder / MANIFEST, text + "\n")


def read_build(folder: Path) -> Build:
    """Return the manifest of a build whose files are as they were written.

    Raises
    ------
    SqhwError
        If the folder is not that of a build, or a file is missing, damaged or altered.
    """
    path = folder / MANIFEST
    if not is_file(path):
        raise SqhwError(f"{folder} is not the folder of a build: it has no {MANIFEST}")
    with located(path):
        content = parse_json(read_text(path, MAX_JSON_BYTES))
        build = typed(Build, content, partial=True)
        if build.format != FORMAT:
            raise SqhwError(f"has format {build.format}, this version of sqhw reads {FORMAT}")
        widths = rom_widths(build.config)
        found = {name: width_of(parts) for name, parts in build.rom_pieces.items()}
        if found != widths:
            raise SqhwError(f"has ROMs of widths {shown(found)}, the engine has {widths}")
    for name, digest in build.files.items():
        file = folder / name
        if file.parent != folder or not is_file(file):
            raise SqhwError(f"{file} is missing, which {path} was written for; build again")
        if file_digest(file) != digest:
            raise SqhwError(f"{file} was altered after {path} was written; build again")
    return build


def identity_number(board: str, engine: Mapping[str, Any], pieces: Any, queue: int) -> int:
    """Return the number of a build from facts of its manifest, which do not depend on the weights.

    Parameters
    ----------
    board : str
        Name of the board.
    engine : mapping of str to Any
        Configuration of the engine by field.
    pieces : Any
        Pieces of the ROMs, as plain data.
    queue : int
        Bytes of the queue of a tagged link; 0 for a plain one.
    """
    facts = [board, engine, pieces, *([queue] if queue else [])]
    text = json.dumps(facts, sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def check_swappable(build: Build, folder: Path) -> None:
    """Refuse a build whose manifest was altered, as far as a swap depends on it.

    Parameters
    ----------
    build : Build
        Build with a bitstream.
    folder : path

    Raises
    ------
    SqhwError
        If its identity is not that of its board, engine, ROMs and queue, its files are not those
        of its family, or they have no digest.
    """
    packing = PACKINGS.get(build.family)
    number = identity_number(build.board, build.engine, build.pieces, build.queue)
    altered = {
        "board, engine, pieces or queue": number != build.identity,
        "family": packing is None or not build.bitstream.endswith(f".{packing.bitstream}"),
        "files": not {build.bitstream, build.placed} <= build.files.keys(),
    }
    for key in altered:
        if altered[key]:
            raise SqhwError(f"{folder / MANIFEST}: {key} was altered after the build; build again")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file of a build, in hex digits."""
    return sha256_of(path, MAX_BUILD_BYTES)
