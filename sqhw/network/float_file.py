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
from sqhw.network.floats import (
    FloatArray,
    FloatConv,
    FloatLayer,
    FloatMaxPool,
    FloatNetwork,
    FloatResidual,
)
from sqhw.network.graph import CONV_KINDS

VERSION = 2


def save_float(network: FloatNetwork, path: str | Path) -> None:
    """Write a float network to one file; an existing file is replaced only when all is written.

    Parameters
    ----------
    network : FloatNetwork
    path : str or Path
    """
    path = Path(path)
    tensors = {}
    for layer in network.convs:
        tensors[f"{layer.name}.weight"] = np.ascontiguousarray(layer.weight, dtype=np.float32)
        tensors[f"{layer.name}.bias"] = np.ascontiguousarray(layer.bias, dtype=np.float32)
    topology = {
        "version": VERSION,
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
        or missing, or a rule of `sqhw.network.floats` is broken; the message names the file, and
        the layer if it is the fault of one.
    """
    with located(path):
        metadata, tensors = read_tensors(Path(path), MAX_NETWORK_BYTES)
        entry = entry_of(metadata, tensors, FLOAT_KEY)
        with located("its metadata is damaged"):
            header = typed(dict, parse_json(entry))
        topology = field_of(header, "network", dict)
        version = topology.get("version")
        if version != VERSION:
            raise SqhwError(f"format version {shown(version)}, this sqhw reads {VERSION}")
        network = _build(typed(_Network, topology), tensors)
        if network_digest(topology, tensors) != field_of(header, "sha256", str):
            raise SqhwError("damaged: its content does not match its checksum")
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
    stride: int
    padding: tuple[int, int, int, int]
    relu: bool
    ceiling: int | float | None
    groups: int
    residual: FloatResidual | None


@dataclass(frozen=True)
class _MaxPool:
    """The JSON of a maximum."""

    kind: str
    name: str
    source: str
    kernel: int
    stride: int


def _build(found: _Network, tensors: dict[str, Any]) -> FloatNetwork:
    layers = []
    for index, record in enumerate(found.layers):
        name = record.get("name") if isinstance(record, dict) else None
        where = f"layer {shown(name)}" if isinstance(name, str) else f"layer number {index + 1}"
        with located(where):
            layers.append(_layer(typed(dict, record), tensors))
    used = {
        f"{layer.name}.{name}"
        for layer in layers
        if isinstance(layer, FloatConv)
        for name in ("weight", "bias")
    }
    for name in sorted(tensors.keys() - used):
        raise SqhwError(f"tensor {shown(name)} belongs to no layer")
    return FloatNetwork(
        name=found.name,
        input_shape=found.input_shape,
        input_max=found.input_max,
        mean=tuple(map(float, found.mean)),
        std=tuple(map(float, found.std)),
        layers=tuple(layers),
        metadata=found.metadata,
    )


def _describe(layer: FloatLayer) -> dict[str, Any]:
    if isinstance(layer, FloatMaxPool):
        return {
            "kind": layer.kind,
            "name": layer.name,
            "source": layer.source,
            "kernel": layer.kernel,
            "stride": layer.stride,
        }
    skip = layer.residual
    return {
        "kind": layer.kind,
        "name": layer.name,
        "source": layer.source,
        "stride": layer.stride,
        "padding": list(layer.padding),
        "relu": layer.relu,
        "ceiling": layer.ceiling,
        "groups": layer.groups,
        "residual": skip and {"source": skip.source, "stride": skip.stride, "first": skip.first},
    }


def _layer(record: dict[str, Any], tensors: dict[str, Any]) -> FloatLayer:
    kind = field_of(record, "kind", str)
    if kind == "maxpool":
        pool = typed(_MaxPool, record)
        return FloatMaxPool(pool.name, pool.source, pool.kernel, pool.stride)
    if kind not in CONV_KINDS:
        known = ", ".join((*CONV_KINDS, "maxpool"))
        raise SqhwError(f"unknown kind {shown(kind)}; known: {known}")
    found = typed(_Conv, record)
    return FloatConv(
        name=found.name,
        source=found.source,
        weight=_tensor(tensors, f"{found.name}.weight"),
        bias=_tensor(tensors, f"{found.name}.bias"),
        stride=found.stride,
        padding=found.padding,
        relu=found.relu,
        ceiling=None if found.ceiling is None else float(found.ceiling),
        kind=kind,
        groups=found.groups,
        residual=found.residual,
    )


def _tensor(tensors: dict[str, Any], name: str) -> FloatArray:
    if name not in tensors:
        raise SqhwError(f"tensor {shown(name)} is missing")
    tensor: FloatArray = tensors[name]
    if tensor.dtype != np.float32:
        raise SqhwError(f"tensor {shown(name)} must be float32, not {tensor.dtype}")
    return tensor
