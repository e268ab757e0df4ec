"""Checkpoints of a training: tensors and a header in one file, tied to the run that wrote it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sqhw.atomic import atomic_write_bytes
from sqhw.data import Dataset
from sqhw.errors import SqhwError
from sqhw.float_network import FloatNetwork

KEY = "sqhw_method_checkpoint"
VERSION = 2


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run needs to go on.

    Parameters
    ----------
    key : str
        Of the run, see `fingerprint`.
    header : dict
        Plain data.
    tensors : dict of str to Tensor
    """

    key: str
    header: dict[str, Any]
    tensors: dict[str, Tensor]

    def write(self, path: Path) -> None:
        """Write the file under a temporary name, then rename it."""
        header = {"version": VERSION, "key": self.key, "state": self.header}
        plain = {
            name: tensor.detach().cpu().contiguous().clone()
            for name, tensor in self.tensors.items()
        }
        atomic_write_bytes(path, save(plain, {KEY: json.dumps(header)}))

    @classmethod
    def read(cls, path: Path | None, key: str) -> "Checkpoint | None":
        """Return the checkpoint, or None if there is no such file.

        Raises
        ------
        SqhwError
            If the file is damaged, of another version or of another run.
        """
        if path is None or not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})[KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            version, found_key, state = header["version"], str(header["key"]), header["state"]
            state = dict(state)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            raise SqhwError(
                f"{path} is damaged or not a checkpoint of a method; remove it to start anew"
            ) from None
        if version != VERSION:
            raise SqhwError(f"{path} has checkpoint version {version}, this sqhw reads {VERSION}")
        if found_key != key:
            raise SqhwError(
                f"{path} is the checkpoint of another run (network, data, method or an "
                "option differs); remove it or name another file"
            )
        return cls(key, state, tensors)

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


def fingerprint(network: FloatNetwork, data: Dataset, options: Any) -> str:
    """Return what tells one run from another: a SHA-256 of network, data and options.

    Parameters
    ----------
    network : FloatNetwork
    data : Dataset
        Its name, training and validation split.
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
    """Take back what `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in found.items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


def load_module(module: torch.nn.Module, found: dict[str, Tensor], device: torch.device) -> None:
    """Take back a module's parameters and buffers, those of codebooks whatever their size.

    Parameters stay the objects that they are: what several layers share, they share afterwards.

    Parameters
    ----------
    module : Module
    found : dict of str to Tensor
        As ``module.state_dict()`` returned them.
    device : torch.device
    """
    for name in module.state_dict():
        owner: Any = module
        *path, field = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        tensor = found[name].to(device)
        old = getattr(owner, field)
        if isinstance(old, torch.nn.Parameter):
            old.data = tensor
        else:
            owner.register_buffer(field, tensor)
