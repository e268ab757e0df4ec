"""The folder of a data set's files, as a user names it."""

import os
from pathlib import Path

from sqhw.errors import SqhwError
from sqhw.files.input_file import folder_at


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
