"""Quantized networks on disk: one safetensors file, arrays and topology together.

The arrays are tensors named ``LAYER.FIELD``. The metadata has the single entry ``sqhw``, a JSON
object of four fields. ``format`` and ``version`` name the kind of file. ``network`` has everything
that is not an array. ``sha256`` is the digest of the canonical JSON of ``network`` followed by
name, type, shape and bytes of every tensor in order of name. Nothing in the file is executed when
it is read.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from sqhw.atomic import atomic_write_bytes
from sqhw.errors import SqhwError
from sqhw.files.digest import network_digest
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.files.plain import field_of, located, parse_json, typed
from sqhw.files.tensor_file import QUANTIZED_KEY, entry_of, read_tensors
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import StreamFormat, StreamRecord
from sqhw.network.facts import facts_of
from sqhw.network.graph import MaxPool
from sqhw.network.layer_records import Tensors, check_digest, has_pairs, layer_record, read_layers
from sqhw.network.quantized import Conv, Layer, QuantizedNetwork, Residual

FORMAT = "sqhw-quantized-network"
#: Newest version. Files are of version 1 unless a layer has a format that it does not know.
VERSION = 2
ARRAYS: dict[str, np.dtype[Any]] = {
    "weight": np.dtype(np.int8),
    "bias": np.dtype(np.int32),
    "multiplier": np.dtype(np.int32),
    "shift": np.dtype(np.int32),
    "weight_scale": np.dtype(np.float64),
}


def save_network(network: QuantizedNetwork, path: str | os.PathLike[str]) -> None:
    """Save a network. The same network gives the same bytes.

    Parameters
    ----------
    network : QuantizedNetwork
    path : path
        Path, usually ``*.safetensors``. An existing file is replaced by a complete one.

    Raises
    ------
    SqhwError
        If the file cannot be written, or the network holds something that cannot be read back.
    """
    description, tensors, digest = _described(network)
    header = {
        "format": FORMAT,
        "version": VERSION if _needs_newest(network) else 1,
        "sha256": digest,
        "network": description,
    }
    atomic_write_bytes(path, save(tensors, {QUANTIZED_KEY: json.dumps(header)}))


def digest_of(network: QuantizedNetwork) -> str:
    """Return the checksum that the network's file has.

    Raises
    ------
    SqhwError
        If the network holds something that cannot be saved.
    """
    return _described(network)[2]


def load_network(path: str | os.PathLike[str]) -> QuantizedNetwork:
    """Load a network that `save_network` wrote.

    Returns
    -------
    QuantizedNetwork
        Checked, and equal to the saved one in every array and number.

    Raises
    ------
    SqhwError
        If the file is missing, broken, of another kind or of a newer version, breaks a rule of
        `sqhw.network.quantized`, or has metadata that `sqhw.network.facts` cannot read. The message
        names the file, and the layer or the entry at fault.
    """
    with located(path):
        metadata, tensors = read_tensors(Path(path), MAX_NETWORK_BYTES)
        header = _parse(entry_of(metadata, tensors, QUANTIZED_KEY))
        network = _build(header, tensors)
        facts_of(network.metadata)
        return network


def is_quantized(path: str | os.PathLike[str]) -> bool:
    """Return whether a file claims to be a quantized network; nothing is checked."""
    try:
        metadata, _ = read_tensors(Path(path), MAX_NETWORK_BYTES, tensors=False)
    except SqhwError:
        return False
    return QUANTIZED_KEY in metadata


def _parse(text: str) -> dict[str, Any]:
    """Return the metadata entry, of the right format and version."""
    with located("its metadata is damaged"):
        header = parse_json(text)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise SqhwError(f"its format is not {FORMAT!r}")
    version = field_of(header, "version", int)
    if version > VERSION:
        raise SqhwError(
            f"format version {version} is newer than this sqhw, which reads up to {VERSION}; "
            "update sqhw"
        )
    if version < 1:
        raise SqhwError(f"format version {version} does not exist")
    return header


def _described(network: QuantizedNetwork) -> tuple[dict[str, Any], Tensors, str]:
    """Return the description of a network, its tensors by name, and the checksum of both."""
    tensors: Tensors = {}
    for layer in network.convs:
        for name, dtype in ARRAYS.items():
            array = getattr(layer, name)
            if array.dtype != dtype:
                raise SqhwError(f"layer {layer.name!r}: {name} must be {dtype}, not {array.dtype}")
            # safetensors copies memory as it lies, so a transposed view would be saved wrongly.
            tensors[f"{layer.name}.{name}"] = np.ascontiguousarray(array)
    description = _describe(network)
    try:
        digest = network_digest(description, tensors)
    except ValueError as error:  # infinity or not-a-number in a scale
        raise SqhwError(f"network {network.name!r} cannot be saved: {error}") from None
    return description, tensors, digest


def _describe(network: QuantizedNetwork) -> dict[str, Any]:
    """Return everything of the network that is not an array, as JSON values."""
    return {
        "name": network.name,
        "input_shape": [int(n) for n in network.input_shape],
        "input_format": _describe_format(network.input_format),
        "layers": [_describe_layer(layer) for layer in network.layers],
        "metadata": dict(network.metadata),
    }


def _needs_newest(network: QuantizedNetwork) -> bool:
    """Return whether a layer has a stream or a field that files of version 1 cannot name."""
    coded = any(StreamRecord.of(layer.stream).filler_ones for layer in network.convs)
    coded |= any(layer.table for layer in network.convs)
    return coded or any(map(has_pairs, network.layers))


def _describe_stream(form: StreamFormat) -> dict[str, int]:
    """Return a format as JSON values; `filler_ones` is there if it is not 0."""
    record = asdict(StreamRecord.of(form))
    return {name: value for name, value in record.items() if value or name != "filler_ones"}


def _describe_layer(layer: Layer) -> dict[str, Any]:
    record = layer_record(layer)
    if isinstance(layer, MaxPool):
        return record
    record |= {
        "codebook": [int(n) for n in layer.codebook],
        "stream": _describe_stream(layer.stream),
        "output": _describe_format(layer.output),
        "output_scale": float(layer.output_scale),
    }
    return record | ({"table": [int(n) for n in layer.table]} if layer.table else {})


def _describe_format(form: ActivationFormat) -> dict[str, Any]:
    return {"bits": int(form.bits), "signed": bool(form.signed)}


@dataclass(frozen=True)
class _Network:
    """The JSON of a network, field by field."""

    name: str
    input_shape: tuple[int, int, int]
    input_format: ActivationFormat
    layers: list[Any]
    metadata: dict[str, str]


@dataclass(frozen=True)
class _Conv:
    """The JSON of a convolution."""

    kind: str
    name: str
    source: str
    groups: int
    residual: Residual | None
    stride: int | tuple[int, int]
    padding: tuple[int, int, int, int]
    codebook: tuple[int, ...]
    stream: dict[str, int]
    output: ActivationFormat
    output_scale: float
    table: tuple[int, ...]


def _build(header: Mapping[str, Any], tensors: Tensors) -> QuantizedNetwork:
    """Return the network of a file's content."""
    description = field_of(header, "network", dict)
    found = typed(_Network, description)
    layers = read_layers(
        found.layers, tensors, fields=_Conv, dtypes=ARRAYS, make=_conv, later={"table": []}
    )
    check_digest(header, description, tensors)
    return QuantizedNetwork(**vars(found) | {"layers": layers})


def _conv(stream: dict[str, int], **rest: Any) -> Conv:
    return Conv(stream=typed(StreamRecord, stream, "stream", partial=True).form(), **rest)
