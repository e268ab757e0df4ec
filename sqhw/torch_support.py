"""Whether PyTorch is there: only training, import, compression and quantization need it."""

import importlib.util
import re
from importlib import metadata

from sqhw.errors import SqhwError

#: The oldest release that sqhw works with, as pyproject.toml says.
OLDEST = (2, 6)
INSTALL = "pip install 'sqhw[torch]'"


def has_torch() -> bool:
    """Return whether a PyTorch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


def need_torch(what: str) -> None:
    """Check that PyTorch is installed and not too old; it is not imported.

    Parameters
    ----------
    what : str
        What needs it, as the error begins.

    Raises
    ------
    SqhwError
        Saying how to install it.
    """
    oldest = ".".join(map(str, OLDEST))
    if not has_torch():
        raise SqhwError(f"{what} needs PyTorch, which is not installed; run: {INSTALL}")
    found = _version()
    release = re.match(r"(\d+)\.(\d+)", found or "")
    if release and (int(release[1]), int(release[2])) < OLDEST:
        raise SqhwError(
            f"{what} needs PyTorch {oldest} or later, {found} is installed; run: {INSTALL}"
        )


def _version() -> str | None:
    """Return the installed version, or None if PyTorch comes without a package."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None
