"""The file of a float network: safetensors, with the topology as JSON in its metadata."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from sqhw.atomic import atomic_write_bytes
from sqhw.errors import SqhwError, shown
from sqhw.files.digest import network_digest
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.files.plain import field_of, located, parse_json, typed
from sqhw.files.tensor_file import FLOAT_KEY, entry_of, read_tensors
from sqhw.network.facts import facts_of
from sqhw.network.floats import FloatConv, FloatLayer, FloatNetwork, FloatResidual
from sqhw.network.graph import MaxPool
from sqhw.network.layer_records import check_digest, has_pairs, layer_record, read_layers

#: Versions that are read. The newer one is that of networks which the older cannot hold.
OLDEST, VERSION = 2, 3
ARRAYS = dict.fromkeys(("weight", "bias"), np.dtype(np.float32))


def save_float(network: FloatNetwork, path: str | Path) -> None:
    """Write a float network to one file; an existing file is replaced by a complete one.

    Parameters
    ----------
    network : FloatNetwork
    path : str or Path
    """
    path = Path(path)
    tensors = {}
    for layer in network.convs:
        for name, dtype in ARRAYS.items():
            tensors[f"{layer.name}.{name}"] = np.ascontiguousarray(getattr(layer, name), dtype)
    topology = {
        "version": VERSION if any(map(_is_later, network.layers)) else OLDEST,
        "name": network.name,
        "input_shape": list(network.input_shape),
        "input_max": network.input_max,
        "mean": list(network.mean),
        "std": list(network.std),
        "layers": [_describe(layer) for layer in network.layers],
        "metadata": network.metadata,
    }
    header = {"sha256": network_digest(topology, tensors), "network": topology}
    atomic_write_bytes(path, save(tensors, {FLOAT_KEY: json.dumps(header, sort_keys=True)}))


def load_float(path: str | Path) -> FloatNetwork:
    """Read a float network.

    Raises
    ------
    SqhwError
        If the file is missing, damaged or of another kind or version, a field is of another type
        or missing, or a rule of `sqhw.network.floats` is broken. The message names the file, and
        the layer at fault.
    """
    with located(path):
        metadata, tensors = read_tensors(Path(path), MAX_NETWORK_BYTES)
        entry = entry_of(metadata, tensors, FLOAT_KEY)
        with located("its metadata is damaged"):
            header = typed(dict, parse_json(entry))
        topology = field_of(header, "network", dict)
        version = topology.get("version")
        if version not in (OLDEST, VERSION):
            raise SqhwError(
                f"format version {shown(version)}, this sqhw reads {OLDEST} and {VERSION}"
            )
        found = typed(_Network, topology)
        layers = read_layers(
            found.layers,
            tensors,
            fields=_Conv,
            dtypes=ARRAYS,
            make=_conv,
            later={"activation": None},
        )
        check_digest(header, topology, tensors)
        network = FloatNetwork(
            name=found.name,
            input_shape=found.input_shape,
            input_max=found.input_max,
            mean=tuple(map(float, found.mean)),
            std=tuple(map(float, found.std)),
            layers=layers,
            metadata=found.metadata,
        )
        facts_of(network.metadata)
        return network


@dataclass(frozen=True)
class _Network:
    """The JSON of a network, field by field."""

    version: int
    name: str
    input_shape: tuple[int, int, int]
    input_max: int
    mean: tuple[int | float, ...]
    std: tuple[int | float, ...]
    layers: list[Any]
    metadata: dict[str, str]


@dataclass(frozen=True)
class _Conv:
    """The JSON of a convolution."""

    kind: str
    name: str
    source: str
    stride: int | tuple[int, int]
    padding: tuple[int, int, int, int]
    relu: bool
    ceiling: int | float | None
    groups: int
    residual: FloatResidual | None
    activation: str | None


def _is_later(layer: FloatLayer) -> bool:
    """Whether a layer has a field that files had not from the start."""
    return has_pairs(layer) or (isinstance(layer, FloatConv) and layer.activation is not None)


def _describe(layer: FloatLayer) -> dict[str, Any]:
    record = layer_record(layer)
    if isinstance(layer, MaxPool):
        return record
    if layer.activation is not None:
        record["activation"] = layer.activation
    return record | {"relu": layer.relu, "ceiling": layer.ceiling}


def _conv(ceiling: float | None, **fields: Any) -> FloatConv:
    return FloatConv(ceiling=None if ceiling is None else float(ceiling), **fields)
