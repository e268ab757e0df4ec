"""Writing files whole or not at all."""

import os
import secrets
from pathlib import Path

from sqhw.errors import SqhwError


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes, *, mode: int = 0o666) -> None:
    """Write a file under a temporary name in its own directory, then rename it into place.

    Whoever reads `path` meanwhile sees the old content or the new, never a part of it.

    Parameters
    ----------
    path : path
        Its directory must exist; a file of that name is replaced.
    data : bytes
    mode : int
        Permissions of the new file, before the umask; ``0o777`` for a program.

    Raises
    ------
    SqhwError
        If the directory is missing or the file cannot be written.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise SqhwError(f"cannot write {target}: directory {target.parent} does not exist")
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SqhwError(f"cannot write {target}: {error.strerror or error}") from None


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder and those above it, unless it is there.

    Raises
    ------
    SqhwError
        If it cannot be made, or something else has that name.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SqhwError(f"cannot make folder {folder}: {error.strerror or error}") from None
    return folder


def writable(path: str | os.PathLike[str]) -> Path:
    """Make the folder that a file is to be written to, ahead of the work that it will hold.

    Raises
    ------
    SqhwError
        If the folder cannot be made or written to, or the path is that of a folder.
    """
    target = Path(path)
    make_folder(target.parent)
    if target.is_dir():
        raise SqhwError(f"cannot write {target}: it is a folder; name a file")
    if not os.access(target.parent, os.W_OK):
        raise SqhwError(f"cannot write {target}: no permission to write to {target.parent}")
    return target


def atomic_write_text(path: str | os.PathLike[str], text: str, *, mode: int = 0o666) -> None:
    """Write UTF-8 text with `atomic_write_bytes`; line ends are written as they are."""
    atomic_write_bytes(path, text.encode(), mode=mode)
