"""Packages that only some commands need, and the extra of sqhw that brings each of them."""

import importlib.util
import re
from importlib import metadata

from sqhw.errors import SqhwError

#: The extra of pyproject.toml by the package that is imported.
EXTRAS = {"torch": "torch", "amaranth": "rtl", "cocotb": "rtl", "matplotlib": "plot"}
#: The oldest release of torch that sqhw works with, as pyproject.toml says.
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
        raise SqhwError(
            f"{what} needs the Python package {package}, which is not installed; "
            f"run: {install_line(package)}"
        )


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
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""
