"""Where programs keep files that can be made again: the user's cache."""

import os
from pathlib import Path

VARIABLE = "XDG_CACHE_HOME"


def cache_home() -> Path:
    """Return the user's cache folder by the XDG Base Directory Specification; it may be missing.

    Raises
    ------
    RuntimeError
        If there is no home folder.
    """
    given = Path(os.environ.get(VARIABLE, ""))
    return given if given.is_absolute() else Path.home() / ".cache"
