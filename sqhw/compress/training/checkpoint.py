"""Checkpoints of a training: tensors and a header in one file, tied to the run that wrote it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from sqhw.atomic import atomic_write_bytes, is_file
from sqhw.data import Dataset
from sqhw.errors import SqhwError, shown
from sqhw.files.input_limits import MAX_CHECKPOINT_BYTES
from sqhw.files.plain import field_of, located, parse_json, typed
from sqhw.files.tensor_file import CHECKPOINT_KEY, entry_of, read_tensors
from sqhw.network.floats import FloatNetwork

VERSION = 4
ANEW = "remove it to start anew"

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state that a run needs to go on.

    The file is a safetensors file. Its metadata are a JSON object of two texts: ``content``, the
    JSON of version, key and header, and ``sha256`` of that text followed by name, type, shape and
    bytes of every tensor in order of name.

    Parameters
    ----------
    key : str
        Key of the run, see `fingerprint`.
    header : dict
        Plain data.
    tensors : dict of str to Tensor
    path : Path, optional
        File that the checkpoint was read from.
    """

    key: str
    header: dict[str, Any]
    tensors: dict[str, Tensor]
    path: Path | None = None

    def write(self, path: Path) -> None:
        """Write the file under a temporary name, then rename it."""
        content = json.dumps({"version": VERSION, "key": self.key, "state": self.header})
        plain = {
            name: tensor.detach().cpu().contiguous().clone()
            for name, tensor in self.tensors.items()
        }
        entry = json.dumps({"content": content, "sha256": checkpoint_digest(content, plain)})
        atomic_write_bytes(path, save(plain, {CHECKPOINT_KEY: entry}))

    @classmethod
    def read(cls, path: Path | None, key: str) -> "Checkpoint | None":
        """Return the checkpoint, or None if there is no such file.

        Raises
        ------
        SqhwError
            If the file is damaged, of another version or of another run.
        """
        if path is None or not is_file(path):
            return None
        found = cls.open(path)
        if found.key != key:
            raise SqhwError(
                f"{path} is the checkpoint of another run (network, data, method or its version, "
                "or an option differs); remove it or name another file"
            )
        return found

    @classmethod
    def open(cls, path: Path) -> "Checkpoint":
        """Return the checkpoint in a file, of whatever run.

        Raises
        ------
        SqhwError
            If the file is damaged or of another version.
        """
        try:
            found, tensors = _content(path)
        except SqhwError as error:
            raise SqhwError(
                f"{path} is damaged or not a checkpoint of a method ({error}); {ANEW}"
            ) from None
        if found.get("version") != VERSION:
            raise SqhwError(
                f"{path} has checkpoint version {shown(found.get('version'))}, this sqhw reads "
                f"{VERSION}; {ANEW}"
            )
        with located(path):
            return cls(field_of(found, "key", str), field_of(found, "state", dict), tensors, path)

    def cut(self) -> "Checkpoint":
        """Return what a training can go on from, a sixth of the size or less.

        The weights become bfloat16. State of the optimizer and best network go: moments begin anew,
        and the next epoch is the best one yet. The run no longer equals an uninterrupted one.
        """
        tensors = {
            name: tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor
            for name, tensor in self.tensors.items()
            if not name.startswith(("optimizer.", "best."))
        }
        return replace(self, header=self.header | {"score": None}, tensors=tensors)

    def state(self, kind: type[T]) -> T:
        """Return the header as a data class.

        Raises
        ------
        SqhwError
            If a field is missing or of another type.
        """
        with located(self.path):
            return typed(kind, self.header)

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Turn a failure in the block into the error that the checkpoint does not fit its run."""
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            raise SqhwError(f"{self.path} does not fit its run ({what[:200]}); {ANEW}") from None

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with `prefix` and a point, without it."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }

    def numbered(self, prefix: str) -> list[Tensor]:
        """Return the tensors named ``prefix.0``, ``prefix.1`` and so on."""
        return [t for _, t in sorted((int(name), t) for name, t in self.part(prefix).items())]


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the content of a file that `Checkpoint.write` wrote, its digest checked."""
    metadata, tensors = read_tensors(path, MAX_CHECKPOINT_BYTES, "pt")
    entry = typed(dict, parse_json(entry_of(metadata, tensors, CHECKPOINT_KEY), infinite=True))
    if "version" in entry:  # before there were digests
        return {"version": entry["version"]}, {}
    content = field_of(entry, "content", str)
    if checkpoint_digest(content, tensors) != field_of(entry, "sha256", str):
        raise SqhwError("its content does not match its checksum")
    return typed(dict, parse_json(content, infinite=True)), tensors


def checkpoint_digest(content: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a checkpoint's JSON and tensors, in hex digits."""
    digest = hashlib.sha256(content.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(network: FloatNetwork, data: Dataset, options: Any) -> str:
    """Return the key that tells runs apart: a SHA-256 of network, data and options.

    Parameters
    ----------
    network : FloatNetwork
    data : Dataset
        Data set, of which name, training split and validation split count.
    options : plain data
    """
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    rest = (network.input_shape, network.input_max, network.mean, network.std)
    digest.update(f"{network.name} {data.name} {rest}".encode())
    for layer in network.layers:
        plain = {name: getattr(layer, name) for name in layer.__dataclass_fields__}
        for name in ("weight", "bias"):
            digest.update(np.ascontiguousarray(plain.pop(name, ())).tobytes())
        digest.update(repr(sorted(plain.items())).encode())
    for split in (data.train, data.validation):
        digest.update(np.ascontiguousarray(split.images).tobytes())
        digest.update(np.ascontiguousarray(split.labels).tobytes())
    return digest.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer by name."""
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, found: dict[str, Tensor]) -> None:
    """Restore the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in found.items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


def load_module(module: torch.nn.Module, found: dict[str, Tensor], device: torch.device) -> None:
    """Restore a module's parameters and buffers, those of codebooks whatever their size.

    Parameters stay the same objects, so that layers still share the ones that they shared.

    Parameters
    ----------
    module : Module
    found : dict of str to Tensor
        Tensors as ``module.state_dict()`` returned them.
    device : torch.device
    """
    for name in module.state_dict():
        owner: Any = module
        *path, field = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        old = getattr(owner, field)
        tensor = found[name].to(device, old.dtype)
        if isinstance(old, torch.nn.Parameter):
            old.data = tensor
        else:
            owner.register_buffer(field, tensor)
