"""The files that the options of a point name: absolute paths, and digests of what is in them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqhw.data import dataset_files
from sqhw.errors import SqhwError
from sqhw.files.digest import sha256_of
from sqhw.files.input_limits import MAX_DATA_BYTES
from sqhw.steps.workload import names_file
from sqhw.sweep.swept import Step

#: Digests of files by path, time of the last change (unit: ns) and size (unit: byte).
_digests: dict[tuple[str, int, int], str] = {}


def absolute(step: Step, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options whose paths do not depend on the current folder.

    Parameters
    ----------
    step : Step
    options : mapping
        Values of `step.keys`.
    """
    found = dict(options)
    for name, value in options.items():
        if value is None:
            continue
        if _is_data(name) and ":" in value:
            kind, _, place = value.partition(":")
            found[name] = f"{kind}:{_absolute(place)}"
        elif _is_file(step, name, value):
            found[name] = _absolute(value)
    return found


def digests(step: Step, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of the files that options name, by the option.

    Raises
    ------
    SqhwError
        If a file is missing or cannot be read; the message names it.
    """
    found = {}
    for name, value in options.items():
        if value is None:
            continue
        if _is_data(name):
            files = dataset_files(value)
            if files:
                found[name] = _of_files(files, value.partition(":")[2])
        elif _is_file(step, name, value):
            found[name] = file_digest(_file_of(value))
    return found


def addressed(options: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return options in which digests stand in place of paths, so that moved files are the same."""
    found = dict(options)
    for name, digest in inputs.items():
        value = options[name]
        if _is_data(name):
            found[name] = f"{value.partition(':')[0]}:{digest}"
        else:  # a device file may be followed by the name of one of its devices
            found[name] = f"{digest}{value.partition('.toml')[2]}"
    return found


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; a file that has not changed since is not read again.

    Raises
    ------
    SqhwError
        If it is missing or cannot be read; the message names it.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise SqhwError(f"{path}: cannot be read ({error.strerror or error})") from None
    key = (str(path), state.st_mtime_ns, state.st_size)
    if key not in _digests:
        _digests[key] = sha256_of(path, MAX_DATA_BYTES)
    return _digests[key]


def _is_data(name: str) -> bool:
    return name == "data"


def _is_file(step: Step, name: str, value: object) -> bool:
    """Return whether the value of an option names a file that the step reads."""
    if step.keys[name] is Path:
        return True
    if not isinstance(value, str):
        return False
    head, dot, rest = value.partition(".toml")
    if name in step.needed:  # a network's file, or a name of the zoo
        return names_file(Path(value))
    return bool(head and dot and rest[:1] in ("", ":"))


def _file_of(value: str) -> Path:
    head, dot, rest = value.partition(".toml")
    return Path(head + dot) if rest.startswith(":") else Path(value)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())  # keeps links, which the user chose


def _of_files(files: list[Path], place: str) -> str:
    """Return a digest of names below `place` and contents of files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        name = os.path.relpath(path, place)
        digest.update(f"{name}\0{file_digest(path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
