"""Folders that sqhw fills, and empties before it fills them again: only those with its mark."""

import shlex
import shutil
from pathlib import Path

from sqhw.atomic import atomic_write_text, is_folder, make_folder
from sqhw.errors import SqhwError

#: Name of the file that marks a folder as made by sqhw.
MARK = ".sqhw"
MARK_TEXT = "sqhw made this folder, and may delete what is in it.\n"


def check_own(folder: Path, option: str) -> None:
    """Check that a folder is missing, empty or marked as one that sqhw made.

    Parameters
    ----------
    folder : path
    option : str
        What it, or the folder above it, is named with.

    Raises
    ------
    SqhwError
        If it is a link, no folder, or has files in it and no mark; nothing is changed.
    """
    another = f"name another folder with {option}"
    if folder.is_symlink():
        raise SqhwError(f"{folder} is a symbolic link, which sqhw does not follow; {another}")
    if not is_folder(folder):
        if folder.exists():
            raise SqhwError(f"{folder} is not a folder; {another}")
        return
    mark = folder / MARK
    if (mark.is_symlink() or not mark.is_file()) and any(folder.iterdir()):
        raise SqhwError(
            f"{folder} has files that sqhw did not write (it has no file {MARK}), which would be "
            f"lost; {another}, or delete this one if nothing in it is to be kept, such as what an "
            f"earlier version of sqhw left: rm -r {shlex.quote(str(folder))}"
        )


def mark_own(folder: Path) -> Path:
    """Make a folder, with its mark; after `check_own`."""
    make_folder(folder)
    atomic_write_text(folder / MARK, MARK_TEXT)
    return folder


def empty_own(folder: Path, option: str) -> Path:
    """Delete what an earlier run left in a folder, or make the folder; return it.

    The mark stays all the time, so that a process that is killed meanwhile leaves a folder that
    can be used again.

    Raises
    ------
    SqhwError
        As `check_own`; or if it cannot be made or emptied.
    """
    try:
        check_own(folder, option)
        mark_own(folder)
        for path in folder.iterdir():
            if path.name == MARK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise SqhwError(f"cannot empty {folder}: {error.strerror or error}") from None
    return folder
