"""Units of the measurement: each writes a file of its own, so that a stopped run goes on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.origin import commit
from sqhw.atomic import atomic_write_text

Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Parameters
    ----------
    rows : path
        Folder of the rows' files.
    rounds : int
        Interleaved rounds; medians are taken of all but the first.
    images : int, optional
        Number of images of a run; by default that of each network.
    pythons : dict of str to str
        Python interpreters that have peers of their own: ``litert``, ``qonnx``, ``alkaid``.
    """

    rows: Path
    rounds: int
    images: int | None
    pythons: dict[str, str]


def measured(settings: Settings, name: str, measure: Callable[[], Record]) -> Record:
    """Return the row of that name, measured now unless it has been on this commit.

    Parameters
    ----------
    settings : Settings
    name : str
        Name of the row and of its file.
    measure : callable
    """
    path = settings.rows / f"{name}.json"
    if path.exists():
        found: Record = json.loads(path.read_text(encoding="utf-8"))
        if found.get("commit") == commit():
            return found
    record = measure() | {"commit": commit()}
    settings.rows.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps(record, indent=1) + "\n")
    return record
