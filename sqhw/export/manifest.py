"""The manifest of a folder of ROM images or Verilog: a JSON file that names their engine.

The images themselves carry no such mark, because Vivado takes no comments in ``$readmemh`` files.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqhw.atomic import atomic_write_text, is_file
from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_JSON_BYTES
from sqhw.files.plain import field_of, parse_json, typed
from sqhw.machine.config import LATER_FIELDS, MAX_CORES, EngineConfig
from sqhw.machine.naming import DEFAULT_NAME, check_name
from sqhw.machine.rom_pieces import Piece, depth_of, from_plain, width_of

#: File name of a manifest by its kind.
FILES = {
    "rom": "rom.json",
    "rtl": "rtl.json",
    "images": "images.json",
    "bench": "bench.json",
}
WHAT = {
    "rom": "ROM images",
    "rtl": "Verilog files",
    "images": "memory images",
    "bench": "files of the bench",
}
#: Command that writes the files of each kind.
COMMANDS = {
    "rom": "sqhw rom",
    "rtl": "sqhw rtl",
    "images": "sqhw rom --format",
    "bench": "sqhw rtl --bench",
}
#: Types of the facts in a manifest. Its kind decides which of them it has.
FACTS: dict[str, Any] = {
    "batch": int,
    "interface": str,
    "name": str,
    "network": str,
    "network_sha256": str,
    "version": int,
    "words": dict[str, int],
}
MAX_DIFFERENCES = 20  # largest number of differences of two engines in one message


def write_manifest(folder: Path, kind: str, engine: EngineConfig, facts: Mapping[str, Any]) -> Path:
    """Write the manifest of the files in a folder and return its path.

    Parameters
    ----------
    folder : path
    kind : str
        One of `FILES`.
    engine : EngineConfig
    facts : mapping
        Other content of the manifest; must be plain data.
    """
    path = folder / FILES[kind]
    content = {"engine": engine.to_dict(), **facts}
    atomic_write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
    return path


def check_manifest(folder: Path, kind: str, engine: EngineConfig) -> dict[str, Any]:
    """Check that the files in a folder were written for an engine; return the manifest.

    The number of its cores may differ: they all run the same images.

    Raises
    ------
    SqhwError
        If they were written for another configuration, or the manifest is missing or damaged. The
        message names the fields that differ.
    """
    found = read_manifest(folder, kind)
    fields = {**LATER_FIELDS, **found["engine"]}
    wanted = asdict(engine)
    other = [
        name
        for name in {**wanted, **fields}
        if name != "cores"
        and (type(fields.get(name)), fields.get(name)) != (type(wanted.get(name)), wanted.get(name))
    ]
    if other:
        differences = ", ".join(
            f"{shown(name)[1:-1]} {shown(fields.get(name))} instead of {wanted.get(name)}"
            for name in other[:MAX_DIFFERENCES]
        )
        raise SqhwError(
            f"the {WHAT[kind]} in {folder} were written for another engine configuration "
            f"({differences}); write them anew with `{COMMANDS[kind]}`"
        )
    return found


def name_of(folder: Path, kind: str = "rtl") -> str:
    """Return the first part of the names of modules and files in a folder.

    Parameters
    ----------
    folder : path
    kind : str
        One of `FILES`.

    Returns
    -------
    str
        Name; `sqhw.machine.naming.DEFAULT_NAME` if there is no manifest or it has no name.

    Raises
    ------
    SqhwError
        If the manifest is damaged.
    """
    if not is_file(folder / FILES[kind]):
        return DEFAULT_NAME
    return str(read_manifest(folder, kind).get("name", DEFAULT_NAME))


def cores_of(folder: Path) -> int:
    """Return the cores of the engine whose Verilog is in a folder; 1 if there is no manifest.

    Raises
    ------
    SqhwError
        If the manifest is damaged.
    """
    if not is_file(folder / FILES["rtl"]):
        return 1
    cores = read_manifest(folder, "rtl")["engine"].get("cores", 1)
    if type(cores) is not int or not 1 <= cores <= MAX_CORES:
        raise SqhwError(
            f"{folder / FILES['rtl']} is damaged: cores must be 1 to {MAX_CORES}, not "
            f"{shown(cores)}; write them anew with `{COMMANDS['rtl']}`"
        )
    return cores


def read_manifest(folder: Path, kind: str) -> dict[str, Any]:
    """Return a manifest, its facts of the right types.

    Raises
    ------
    SqhwError
        If it is missing or damaged.
    """
    path = folder / FILES[kind]
    again = f"write them anew with `{COMMANDS[kind]}`"
    if not is_file(path):
        raise SqhwError(f"{path} is missing beside the {WHAT[kind]}; {again}")
    try:
        found = typed(dict, parse_json(read_text(path, MAX_JSON_BYTES)))
        field_of(found, "engine", dict)
        for name, fact in FACTS.items():
            if name in found:
                field_of(found, name, fact)
        check_name(found.get("name", DEFAULT_NAME))
    except SqhwError as error:
        raise SqhwError(f"{path} is damaged; {again} ({error})") from None
    return found


def pieces_of(folder: Path, kind: str, engine: EngineConfig) -> dict[str, tuple[Piece, ...]]:
    """Return the pieces of the ROMs that the files in a folder were written for.

    Raises
    ------
    SqhwError
        In the cases of `check_manifest`, or if the manifest has no pieces.
    """
    found = check_manifest(folder, kind, engine)
    return from_plain(found.get("pieces"), str(folder / FILES[kind]))


def check_roms(
    pieces: Mapping[str, tuple[Piece, ...]], widths: Mapping[str, int], source: Path
) -> None:
    """Check that pieces are those of the ROMs of an engine.

    Parameters
    ----------
    pieces : mapping of str to tuple of Piece
    widths : mapping of str to int
        Bits of a word of each ROM.
    source : path
        Path of the manifest with the pieces, for errors.

    Raises
    ------
    SqhwError
        If a ROM is missing, unknown or of another width; the message names it.
    """
    for name in widths:
        if name not in pieces:
            raise SqhwError(f"{source} does not say which pieces the {name} ROM has")
    for name, parts in pieces.items():
        if name not in widths:
            raise unknown_name(f"ROM in {source}", name, widths)
        if width_of(parts) != widths[name]:
            raise SqhwError(
                f"{source}: the {name} ROM has words of {width_of(parts)} bits, this engine's "
                f"of {widths[name]}"
            )


def check_plain(folder: Path, rtl: Mapping[str, Any]) -> None:
    """Check that Verilog is of the plain interface.

    Parameters
    ----------
    folder : path
    rtl : mapping
        The manifest of the Verilog.

    Raises
    ------
    SqhwError
        If it has another interface; the message names it.
    """
    if rtl.get("interface") != "plain":
        raise SqhwError(
            f"the Verilog files in {folder} have the interface {shown(rtl.get('interface'))}, only "
            "plain ones can be verified; write them anew with `sqhw rtl`"
        )


def check_same_pieces(rtl: Path, roms: Path, engine: EngineConfig) -> dict[str, tuple[Piece, ...]]:
    """Check that ROM images suit the pieces of the Verilog; return the pieces of the images.

    A ROM of one piece may be deeper than its image.

    Parameters
    ----------
    rtl, roms : path
        The folders of both.
    engine : EngineConfig

    Raises
    ------
    SqhwError
        If they do not; the message names the ROM, or the name, and its state in both folders.
    """
    built_as, images_as = name_of(rtl, "rtl"), name_of(roms, "rom")
    if built_as != images_as:
        raise SqhwError(
            f"the Verilog in {rtl} has the name {built_as}, the ROM images in {roms} {images_as}; "
            f"write the images anew with `sqhw rom --name {built_as}`"
        )
    built, images = pieces_of(rtl, "rtl", engine), pieces_of(roms, "rom", engine)
    for name, parts in images.items():
        there = built.get(name, ())
        if len(parts) == len(there) == 1:
            if depth_of(parts) > depth_of(there):
                raise SqhwError(
                    f"the {name} ROM of the Verilog in {rtl} has {depth_of(there)} words, its "
                    f"image {depth_of(parts)}; write the Verilog anew with `sqhw rtl`"
                )
        elif parts != there:
            raise SqhwError(
                f"the {name} ROM is {_size(there)} in the Verilog in {rtl}, its image "
                f"{_size(parts)} in {roms}; write both anew, with `sqhw rtl` and `sqhw rom`, for "
                "the same device"
            )
    return images


def _size(pieces: tuple[Piece, ...]) -> str:
    words = depth_of(pieces) if pieces else 0
    return f"{words} words in {len(pieces)} pieces"
