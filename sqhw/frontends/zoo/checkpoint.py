"""Trained weights from a safetensors file of plain tensors."""

from pathlib import Path

from torch import Tensor, nn

from sqhw.errors import SqhwError
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.files.plain import located
from sqhw.files.tensor_file import KINDS, read_tensors

COUNTER = "num_batches_tracked"  # of a batch normalisation: no result depends on it


def load_checkpoint(module: nn.Module, path: Path, name: str) -> None:
    """Fill a module with the tensors of a file, which must be those of its `state_dict`.

    Parameters
    ----------
    module : nn.Module
    path : Path
    name : str
        What the module is called in errors.

    Raises
    ------
    SqhwError
        If the file is missing or no safetensors file, or a tensor is missing, unexpected or of
        another shape or type.
    """
    found = _read(path)
    wanted = {key: value for key, value in module.state_dict().items() if not _ignored(key)}
    where = f"{path}: tensor"
    for key, value in wanted.items():
        shape = tuple(value.shape)
        if key not in found:
            raise SqhwError(f"{where} {key!r} of shape {shape} is missing, {name!r} needs it")
        if tuple(found[key].shape) != shape:
            raise SqhwError(
                f"{where} {key!r} has shape {tuple(found[key].shape)}, {name!r} needs {shape}"
            )
        if not found[key].is_floating_point():
            raise SqhwError(f"{where} {key!r} is of type {found[key].dtype}, not floating point")
    for key, value in found.items():
        if key not in wanted:
            raise SqhwError(
                f"{where} {key!r} of shape {tuple(value.shape)} is none of {name!r}; "
                "save the state_dict of that network alone"
            )
    module.load_state_dict(found, strict=False)  # strict would want the counters


def _read(path: Path) -> dict[str, Tensor]:
    with located(path):
        metadata, tensors = read_tensors(path, MAX_NETWORK_BYTES, "pt")
        for key, what in KINDS.items():
            if key in metadata:
                raise SqhwError(f"not the state dict of a module but {what}")
    return {key: value for key, value in tensors.items() if not _ignored(key)}


def _ignored(key: str) -> bool:
    return key.rpartition(".")[2] == COUNTER
