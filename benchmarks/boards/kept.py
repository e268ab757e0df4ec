"""Measurements that are kept beside a design and hold as long as the design is the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqhw.atomic import atomic_write_text


def kept(path: Path, design: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was measured on a design before, or measure and keep it.

    Parameters
    ----------
    path : Path
        JSON file of the measurement.
    design : str
        Digest of the design.
    measure : callable
    """
    if path.is_file():
        before: dict[str, Any] = json.loads(path.read_text())
        if before["design"] == design:
            found: dict[str, Any] = before["found"]
            return found
    print(f"measure: {path.stem}", flush=True)
    found = measure()
    atomic_write_text(path, json.dumps({"design": design, "found": found}))
    return found
