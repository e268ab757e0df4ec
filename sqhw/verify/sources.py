"""The Verilog files that a bench builds, as copies whose registers have no initial values."""

import re
from importlib.resources import files
from pathlib import Path

from sqhw.atomic import atomic_write_text
from sqhw.errors import SqhwError
from sqhw.export.manifest import name_of
from sqhw.machine.naming import verilog_files

#: Name of the bench's module. No engine has a module of that name.
BENCH_TOP = "sqhw_bench"
BENCH = f"{BENCH_TOP}.v"
#: Initial value of a register, as `sqhw.rtl.emit` writes it. The initial values that wake
#: combinational blocks are written in another form, and stay.
INITIAL = re.compile(r"^  initial (?:\\\S+|\w+) += \d+'\w+;\n", re.MULTILINE)


def check_sources(rtl: Path) -> tuple[str, ...]:
    """Check that all files are in a folder; return their names, that of the engine first.

    Raises
    ------
    SqhwError
        If a file is missing; the message names it.
    """
    sources = verilog_files(name_of(rtl))
    for name in sources:
        if not (rtl / name).is_file():
            raise SqhwError(f"{rtl / name} is missing; write it with `sqhw rtl`")
    return sources


def without_initial_values(verilog: str) -> str:
    """Return Verilog in which no register has an initial value.

    FPGAs give registers these values once, at configuration. A chip does not, nor does a later
    reset. Without them, registers are undefined or random in a simulator until they are written.
    """
    return INITIAL.sub("", verilog)


def copy_sources(rtl: Path, folder: Path) -> list[Path]:
    """Copy the files into a folder, without initial values, and return the paths of the copies."""
    copies = []
    for name in check_sources(rtl):
        atomic_write_text(folder / name, without_initial_values((rtl / name).read_text()))
        copies.append(folder / name)
    return copies


def copy_bench(folder: Path) -> Path:
    """Write the test bench top into a folder and return its path."""
    atomic_write_text(folder / BENCH, files("sqhw.verify").joinpath(BENCH).read_text())
    return folder / BENCH
