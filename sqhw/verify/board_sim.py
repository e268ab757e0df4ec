"""The design of a board in simulation, behind a pseudo-terminal that stands for its serial port."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from sqhw.atomic import atomic_write_text
from sqhw.environment.extras import package_folder
from sqhw.errors import SqhwError
from sqhw.verify.tool_log import said
from sqhw.verify.tools import cxxrtl_compiler

HARNESS = "board_harness.cc"
#: File in which the harness notes its cycles.
CYCLES = "cycles"
HEADER = "cxxrtl_plain.h"
TRANSLATE = "cxxrtl_translate.py"
FLAGS = ("-std=c++17", "-DNDEBUG", "-fno-tree-slp-vectorize")


class BoardSimulation:
    """The design of a board, without the module of its pins, compiled once.

    Parameters
    ----------
    folder : path
        Folder with the Verilog files and the ROM images; files of the tools go there too.
    sources : sequence of str
        Verilog files, that of the top module first. No module has the name ``sqhw_engine``.
    divisor : int
        Cycles of a bit of the serial line.
    optimize : int, 0 to 3
        Level of the C++ compiler.

    Raises
    ------
    SqhwError
        If yosys or a compiler is missing, or the design does not build; the message names the log.
    """

    def __init__(
        self, folder: Path, sources: Sequence[str], divisor: int, *, optimize: int = 1
    ) -> None:
        self._folder = folder
        self._divisor = divisor
        runtime = package_folder("pyosys", "simulation of a board")
        runtime /= "share/include/backends/cxxrtl/runtime"
        for name in (HARNESS, HEADER, TRANSLATE):
            atomic_write_text(folder / name, files("sqhw.verify").joinpath(name).read_text())
        self._command("yosys", [sys.executable, TRANSLATE, *sources])
        flags = [*FLAGS, f"-O{optimize}", f"-I{runtime}", "-I."]
        self._command("compiler", [cxxrtl_compiler(), *flags, HARNESS, "-o", "board"])

    def _command(self, name: str, command: list[str]) -> None:
        log = self._folder / f"{name}.log"
        with log.open("w") as out:
            code = subprocess.run(
                command, cwd=self._folder, stdout=out, stderr=subprocess.STDOUT, check=False
            ).returncode
        if code:
            raise SqhwError(
                f"the board does not build for CXXRTL: {name} fails ({code}), {said(log)}; "
                f"see {log}"
            )

    def cycles(self) -> int:
        """Return the cycles up to the last time that the board waited, without pauses."""
        return int((self._folder / CYCLES).read_text())

    @contextmanager
    def port(self) -> Iterator[str]:
        """Run the board; give the name of the port that it is connected to."""
        ours, theirs = pty.openpty()
        try:
            process = subprocess.Popen(
                ["./board", str(ours), str(self._divisor)], cwd=self._folder, pass_fds=[ours]
            )
            try:
                yield os.ttyname(theirs)
            finally:
                process.kill()
                process.wait()
        finally:
            os.close(ours)
            os.close(theirs)
