"""The folder of a data set's files, or its one file, as a user names it."""

import os
from pathlib import Path

from sqhw.errors import SqhwError
from sqhw.files.input_file import check_file, folder_at
from sqhw.files.input_limits import MAX_DATA_BYTES
from sqhw.files.plain import located


def data_folder(directory: str | os.PathLike[str], expected: str) -> Path:
    """Return the folder of a name that may begin with ``~`` or ``~user``.

    Parameters
    ----------
    directory : path
    expected : str
        The files that it must hold, for the error.

    Raises
    ------
    SqhwError
        If there is no such folder or user, or its files may not be read.
    """
    folder = folder_at(directory)
    if folder is None:
        raise SqhwError(f"data set directory {directory} does not exist; it must hold {expected}")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise SqhwError(f"data set directory {folder} cannot be read: no permission")
    return folder


def data_file(file: str | os.PathLike[str]) -> Path:
    """Return the file of a name that may begin with ``~`` or ``~user``.

    Raises
    ------
    SqhwError
        If there is no such file, it is no regular one, too large, or may not be read.
    """
    try:
        path = Path(file).expanduser()
    except RuntimeError:  # no such user
        path = Path(file)
    with located(path):
        check_file(path, MAX_DATA_BYTES)
        if not os.access(path, os.R_OK):
            raise SqhwError("cannot be read (no permission)")
    return path
