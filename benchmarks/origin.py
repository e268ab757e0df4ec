"""What a measurement was made on, for the tables: the commit, and the versions of tools."""

import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any


@cache
def commit() -> str:
    """Return the commit of the working tree, ``-dirty`` after it if files differ from it."""
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.stdout.strip() or "unknown"


def measured_on(*packages: str) -> dict[str, Any]:
    """Return the commit and the versions of the Python packages that matter, as plain data."""
    return {"commit": commit(), "tools": {name: version(name) for name in packages}}


def sentence(origin: Mapping[str, Any]) -> str:
    """Return what `measured_on` returned as a sentence."""
    tools = "".join(f", {name} {number}" for name, number in origin["tools"].items())
    return f"Measured on commit {origin['commit']}{tools}.\n"
