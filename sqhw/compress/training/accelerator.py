"""The device that trains."""

import torch

from sqhw.errors import SqhwError, unknown_name
from sqhw.names import ACCELERATORS


def find_accelerator(name: str) -> torch.device:
    """Return the torch device of a name.

    Parameters
    ----------
    name : str
        Name of the device: ``cpu``, ``cuda``, or one of several, such as ``cuda:1``.

    Raises
    ------
    SqhwError
        If there is no such device here.
    """
    kind, _, index = name.partition(":")
    if kind not in ACCELERATORS or (index and not index.isdecimal()):
        raise unknown_name("accelerator", name, ACCELERATORS)
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise SqhwError("no CUDA device is available to torch; use accelerator 'cpu'")
        if int(index or 0) >= count:
            raise SqhwError(f"accelerator {name!r} is none of the {count} CUDA devices, from 0 on")
    return torch.device(name)
