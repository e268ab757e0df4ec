"""The working folder of a verification: one process at a time, and errors that name it."""

import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqhw.atomic import make_folder
from sqhw.errors import SqhwError

LOCK = ".lock"
#: Characters of a path that a makefile would interpret.
SPECIAL = re.compile(r"[^\w./+,@~-]")
#: Characters of a path that break a tool's list of files: line breaks and other control characters.
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
#: Size of a file that is written to see whether the disk is full (unit: byte).
PROBE = 1 << 20


@contextmanager
def work_folder(path: Path) -> Iterator[Path]:
    """Make a folder and keep it for this process until the context ends.

    Parameters
    ----------
    path : path

    Raises
    ------
    SqhwError
        If another process has it, it cannot be made or written to, or the disk becomes full while
        the context lasts; the message names the option ``--work``.
    """
    make_folder(path)
    with _locked(path):
        try:
            yield path
        except OSError as error:
            raise _unwritable(path, error) from None
        except SqhwError:
            check_space(path)  # else a truncated file looks like a fault of the RTL
            raise


def check_space(path: Path) -> None:
    """Check that a folder can still be written to.

    Raises
    ------
    SqhwError
        If it cannot; the message says why.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path, prefix=".probe") as file:
            file.write(bytes(PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from None


def check_work_path(work: Path, simulator: str) -> None:
    """Check that a simulator, and the lists of files for its tools, can handle a path.

    Parameters
    ----------
    work : path
    simulator : str
        ``verilator``, ``icarus`` or ``cxxrtl``.

    Raises
    ------
    SqhwError
        If the path has a line break or another control character in it, for Verilator as
        `check_make_path`; the message names the option ``--work``.
    """
    path = str(work.absolute())
    if found := CONTROL.search(path):
        raise SqhwError(
            f"cannot verify in {path!r}: the path has {found[0]!r} in it; name another folder with "
            "--work"
        )
    if simulator == "verilator":
        check_make_path(work)


def check_make_path(path: Path, option: str = "--work") -> None:
    """Check that makefiles, which Verilator uses, can handle the path of a folder.

    Parameters
    ----------
    path : path
    option : str
        Option that names the folder.

    Raises
    ------
    SqhwError
        If they cannot; the message names the first such character.
    """
    if found := SPECIAL.search(str(path.absolute())):
        what = "a space" if found[0] == " " else repr(found[0])
        raise SqhwError(
            f"Verilator cannot build in {path.absolute()}: the path has {what} in it; name another "
            f"folder with {option}"
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a folder; the system releases it when the process ends, however it does."""
    try:
        handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SqhwError(
            f"the working folder {path} is in use by another `sqhw verify`; name another one with "
            "--work"
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> SqhwError:
    todo = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that"
    return SqhwError(
        f"cannot write to the working folder {path}: {error.strerror or error}; {todo} or name "
        "another one with --work"
    )
