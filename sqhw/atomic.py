"""Writing files whole or not at all, and in place of regular files only."""

import os
import secrets
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sqhw.errors import SqhwError

#: Names of what is not a regular file, by the type in its mode.
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}

#: Most bytes of a file name on the file systems of Linux, macOS and Windows.
NAME_BYTES = 255


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes, *, mode: int = 0o666) -> None:
    """Write a file under a temporary name in its own directory, then rename it into place.

    Whoever reads `path` meanwhile sees the old content or the new, never a part of it.

    Parameters
    ----------
    path : path
        Its directory must exist; a regular file of that name is replaced. Anything else is not:
        neither a device nor a pipe, and a link neither itself nor what it leads to.
    data : bytes
    mode : int
        Permissions of the new file, before the umask; ``0o777`` for a program.

    Raises
    ------
    SqhwError
        If the directory is missing, something other than a regular file has that name, or the
        file cannot be written; nothing is then changed or left behind.
    """
    target = Path(path)
    if not is_folder(target.parent):
        raise SqhwError(f"cannot write {target}: directory {target.parent} does not exist")
    check_replaceable(target)
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


def atomic_write_text(path: str | os.PathLike[str], text: str, *, mode: int = 0o666) -> None:
    """Write UTF-8 text with `atomic_write_bytes`; line ends are written as they are.

    Bytes of a file name that are not UTF-8, which the text may cite, are written as escapes.
    """
    atomic_write_bytes(path, text.encode(errors="backslashreplace"), mode=mode)


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Check that a name is free or that of a regular file.

    Raises
    ------
    SqhwError
        Naming what it is instead.
    """
    target = Path(path)
    try:
        kind = stat.S_IFMT(target.lstat().st_mode)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise SqhwError(f"cannot write {target}: {_reason(error)}") from None
    if kind != stat.S_IFREG:
        raise SqhwError(
            f"cannot write {target}: it is {KINDS.get(kind, 'something else')}, and only regular "
            "files are replaced; name another file"
        )


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
    except (OSError, ValueError) as error:
        raise SqhwError(f"cannot make folder {folder}: {_reason(error)}") from None
    return folder


def check_folder(path: str | os.PathLike[str]) -> None:
    """Check, ahead of the work, that a folder can be made or is there, and can be written to.

    Raises
    ------
    SqhwError
        Naming the folder above that is in the way.
    """
    folder = Path(path)
    there = folder
    while not is_folder(there):
        try:
            there.lstat()
        except FileNotFoundError:
            there = there.parent
        except (OSError, ValueError) as error:
            raise SqhwError(f"cannot make folder {folder}: {_reason(error)}") from None
        else:
            raise SqhwError(f"cannot make folder {folder}: {there} is not a folder")
    for name in folder.parts[len(there.parts) :]:
        _check_length(name, f"make folder {folder}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SqhwError(f"cannot write to {folder}: no permission to write to {there}")
    try:  # a file system may refuse what the permissions allow, as /proc does
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise SqhwError(
            f"cannot write to {folder}: no file can be made in {there} ({error.strerror})"
        ) from None


def writable(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """Check, ahead of the work, that a file can be written; nothing is made or changed.

    Parameters
    ----------
    path : path
        The folders above may be missing yet.
    inputs : iterable of path
        Files that are read for it, whether they exist or not.

    Raises
    ------
    SqhwError
        If its folder could not be made or written to, something other than a regular file has
        that name, or it is one of the inputs, under whatever name.
    """
    target = Path(path)
    check_folder(target.parent)
    check_replaceable(target)
    _check_length(target.name, f"write {target}")
    for source in inputs:
        if same_file(target, source):
            raise SqhwError(
                f"cannot write {target}: that is the same file as {source}, which is read; name "
                "another"
            )
    return target


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Return whether two names are of one file: other spellings, links, or hard links."""
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)


def check_outside(
    folder: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]], why: str
) -> None:
    """Check that files that are read lie outside of a folder that is changed.

    Parameters
    ----------
    folder : path
        May be missing.
    inputs : iterable of path
        Files or folders.
    why : str
        What happens to the folder, for the error.

    Raises
    ------
    SqhwError
        Naming the first that lies in the folder, or is it, also by way of links.
    """
    changed = Path(os.path.realpath(folder))
    for path in inputs:
        if changed in (there := Path(os.path.realpath(path)), *there.parents):
            raise SqhwError(f"{path} is read and lies in {folder}, {why}; name another folder")


def is_folder(path: Path) -> bool:
    """Return whether a folder has that name; unlike `Path.is_dir`, whatever the name."""
    try:
        return path.is_dir()
    except OSError:  # too long a name, or no permission to look
        return False


def is_file(path: Path) -> bool:
    """Return whether a regular file has that name; unlike `Path.is_file`, whatever the name."""
    try:
        return path.is_file()
    except OSError:
        return False


def _check_length(name: str, task: str) -> None:
    """Check that a file system takes a name; it says so itself only of folders that are there."""
    if len(os.fsencode(name)) > NAME_BYTES:
        raise SqhwError(f"cannot {task}: a name has {NAME_BYTES} bytes at most")


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
