"""What a folder of ROM images or Verilog was written for: a JSON file beside them.

The images themselves carry no such mark, because Vivado takes no comments in ``$readmemh`` files.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqhw.atomic import atomic_write_text
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError

#: File name by what it describes.
FILES = {"rom": "rom.json", "rtl": "rtl.json"}
WHAT = {"rom": "ROM images", "rtl": "Verilog files"}


def write_manifest(folder: Path, kind: str, engine: EngineConfig, facts: Mapping[str, Any]) -> Path:
    """Write what the files in a folder are for and return the path.

    Parameters
    ----------
    folder : path
    kind : {"rom", "rtl"}
    engine : EngineConfig
    facts : mapping
        Whatever else is worth knowing; must be plain data.
    """
    path = folder / FILES[kind]
    content = {"engine": engine.to_dict(), **facts}
    atomic_write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
    return path


def check_manifest(folder: Path, kind: str, engine: EngineConfig) -> dict[str, Any]:
    """Check that the files in a folder were written for an engine; return the manifest.

    Raises
    ------
    SqhwError
        If they were written for another configuration, naming the fields that differ, or the
        manifest is missing or damaged.
    """
    path = folder / FILES[kind]
    again = f"write them anew with `sqhw {kind}`"
    try:
        found = json.loads(path.read_text())
        fields = dict(found["engine"])
    except FileNotFoundError:
        raise SqhwError(f"{path} is missing beside the {WHAT[kind]}; {again}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise SqhwError(f"{path} is damaged; {again}") from None
    wanted = engine.to_dict()
    other = [name for name in {**wanted, **fields} if fields.get(name) != wanted.get(name)]
    if other:
        differences = ", ".join(
            f"{name} {fields.get(name)} instead of {wanted.get(name)}" for name in other
        )
        raise SqhwError(
            f"the {WHAT[kind]} in {folder} were written for another engine configuration "
            f"({differences}); {again}"
        )
    return dict(found)


def check_plain(folder: Path, rtl: Mapping[str, Any], words: Mapping[str, int]) -> None:
    """Check that Verilog is of the plain interface and its ROMs hold the images.

    Parameters
    ----------
    folder : path
    rtl : mapping
        The manifest of the Verilog.
    words : mapping of str to int
        Words of each ROM image by name.

    Raises
    ------
    SqhwError
        Naming the interface, or the ROM and both sizes.
    """
    if rtl.get("interface") != "plain":
        raise SqhwError(
            f"the Verilog files in {folder} have the interface {rtl.get('interface')!r}, only "
            "plain ones can be verified; write them anew with `sqhw rtl`"
        )
    for name, count in words.items():
        room = rtl.get("words", {}).get(name, 0)
        if count > room:
            raise SqhwError(
                f"the {name} ROM of the Verilog in {folder} has {room} words, its image {count}; "
                "write the Verilog anew with `sqhw rtl`"
            )
