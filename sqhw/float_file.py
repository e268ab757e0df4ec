"""The file of a float network: safetensors, with the topology as JSON in its metadata."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sqhw.atomic import atomic_write_bytes
from sqhw.digest import network_digest
from sqhw.errors import SqhwError
from sqhw.float_network import (
    KINDS,
    FloatArray,
    FloatConv,
    FloatLayer,
    FloatMaxPool,
    FloatNetwork,
    FloatResidual,
)
from sqhw.network_file import FLOAT_KEY, METADATA_KEY

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
        If the file is missing, damaged or of another kind or version, or holds a layer of an
        unknown kind.
    """
    path = Path(path)
    if not path.is_file():
        raise SqhwError(f"{path}: no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            header = metadata.get(FLOAT_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, TypeError):
        raise SqhwError(f"{path} is damaged or not a safetensors file") from None
    if METADATA_KEY in metadata:
        raise SqhwError(f"{path} is a compressed network, not a float network")
    if header is None:
        raise SqhwError(f"{path} is a safetensors file, but not of an sqhw float network")
    try:
        header = json.loads(header)
        topology = header["network"]
        version = topology["version"]
        if version != VERSION:
            raise SqhwError(f"{path} has format version {version}, this sqhw reads {VERSION}")
        network = FloatNetwork(
            name=str(topology["name"]),
            input_shape=_triple(topology["input_shape"]),
            input_max=int(topology["input_max"]),
            mean=tuple(float(value) for value in topology["mean"]),
            std=tuple(float(value) for value in topology["std"]),
            layers=tuple(_layer(fields, tensors, path) for fields in topology["layers"]),
            metadata={str(k): str(v) for k, v in topology["metadata"].items()},
        )
        damaged = network_digest(topology, tensors) != header["sha256"]
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise SqhwError(
            f"{path} is damaged: its topology does not read ({type(error).__name__}: {error})"
        ) from None
    if damaged:
        raise SqhwError(f"{path} is damaged: its content does not match its checksum")
    return network


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


def _layer(fields: dict[str, Any], tensors: dict[str, Any], path: Path) -> FloatLayer:
    name, kind, source = str(fields["name"]), fields["kind"], str(fields["source"])
    if kind == "maxpool":
        return FloatMaxPool(name, source, int(fields["kernel"]), int(fields["stride"]))
    if kind not in KINDS:
        raise SqhwError(
            f"{path}: layer {name!r} is of unknown kind {kind!r}; "
            f"supported: {', '.join(KINDS)}, maxpool"
        )
    top, bottom, left, right = (int(value) for value in fields["padding"])
    ceiling = fields["ceiling"]
    return FloatConv(
        name=name,
        source=source,
        weight=_tensor(tensors, f"{name}.weight"),
        bias=_tensor(tensors, f"{name}.bias"),
        stride=int(fields["stride"]),
        padding=(top, bottom, left, right),
        relu=bool(fields["relu"]),
        ceiling=None if ceiling is None else float(ceiling),
        kind=str(kind),
        groups=int(fields["groups"]),
        residual=_residual(fields["residual"]),
    )


def _residual(fields: dict[str, Any] | None) -> FloatResidual | None:
    if fields is None:
        return None
    return FloatResidual(str(fields["source"]), int(fields["stride"]), int(fields["first"]))


def _tensor(tensors: dict[str, Any], name: str) -> FloatArray:
    tensor: FloatArray = tensors[name]
    if tensor.dtype != np.float32:
        raise ValueError(f"tensor {name!r} is of type {tensor.dtype}, not float32")
    return tensor


def _triple(values: list[int]) -> tuple[int, int, int]:
    channels, height, width = (int(value) for value in values)
    return channels, height, width
