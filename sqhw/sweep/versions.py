"""The versions that the results of a point depend on."""

import hashlib
import os
import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import sqhw
from sqhw.errors import SqhwError

#: Packages whose arithmetic is in the results.
PACKAGES = ("numpy", "numba", "llvmlite", "scikit-learn", "torch")
#: Number of hex digits of the digest of the sources.
SOURCE_DIGITS = 12


@cache
def versions() -> dict[str, str]:
    """Return the versions of sqhw, with a digest of its sources, of Python and of packages."""
    found = {
        "sqhw": f"{sqhw.__version__}+{_sources()}",
        "python": ".".join(platform.python_version_tuple()[:2]),
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def check_versions(found: Mapping[str, str], expected: Mapping[str, str], where: str) -> None:
    """Check that two programs would compute the same results.

    Parameters
    ----------
    found, expected : mapping of str to str
        As `versions` returns them; `expected` are those of the driver.
    where : str
        Program or folder that `found` is of, as the error begins.

    Raises
    ------
    SqhwError
        Naming the packages that differ.
    """
    names = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    if names:
        differing = ", ".join(
            f"{name} {found.get(name, 'none')} and not {expected.get(name, 'none')}"
            for name in names
        )
        raise SqhwError(f"{where} has {differing}, so results would differ")


def _sources() -> str:
    digest = hashlib.sha256()
    root = Path(sqhw.__file__).parent
    paths: list[Path] = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        paths += [Path(folder, name) for name in names if not name.endswith((".pyc", ".nbi"))]
    for path in sorted(paths):
        digest.update(f"\n{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:SOURCE_DIGITS]
