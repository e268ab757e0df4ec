"""Quantized networks on disk: one safetensors file, arrays and topology together.

The arrays are tensors named ``LAYER.FIELD``. The metadata has the single entry ``sqhw``, a JSON
object: ``format`` and ``version``; ``network`` with everything that is not an array; ``sha256``
of the canonical JSON of ``network`` followed by name, type, shape and bytes of every tensor in
order of name. Nothing in the file is executed when it is read.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sqhw.atomic import atomic_write_bytes
from sqhw.digest import network_digest
from sqhw.errors import SqhwError
from sqhw.network import Conv, Layer, MaxPool, QuantizedNetwork, Residual
from sqhw.number import ActivationFormat
from sqhw.stream import StreamFormat

FORMAT = "sqhw-quantized-network"
VERSION = 1
FLOAT_KEY = "sqhw_float_network"  # of networks before compression
METADATA_KEY = "sqhw"  # one key: safetensors writes several in an order that changes
CONV_KINDS = ("conv", "linear", "avgpool")
ARRAYS: dict[str, np.dtype[Any]] = {
    "weight": np.dtype(np.int8),
    "bias": np.dtype(np.int32),
    "multiplier": np.dtype(np.int32),
    "shift": np.dtype(np.int32),
    "weight_scale": np.dtype(np.float64),
}

Tensors = dict[str, npt.NDArray[Any]]
T = TypeVar("T")


def save_network(network: QuantizedNetwork, path: str | os.PathLike[str]) -> None:
    """Save a network. The same network gives the same bytes.

    Parameters
    ----------
    network : QuantizedNetwork
    path : path
        Usually ``*.safetensors``; replaced if it exists, and never left half written.

    Raises
    ------
    SqhwError
        If the file cannot be written, or the network holds something that cannot be read back.
    """
    tensors: Tensors = {}
    for layer in network.convs:
        if layer.kind not in CONV_KINDS:
            raise SqhwError(
                f"layer {layer.name!r}: kind must be {' or '.join(CONV_KINDS)}, not {layer.kind!r}"
            )
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
    header = {
        "format": FORMAT,
        "version": VERSION,
        "sha256": digest,
        "network": description,
    }
    atomic_write_bytes(path, save(tensors, {METADATA_KEY: json.dumps(header)}))


def load_network(path: str | os.PathLike[str]) -> QuantizedNetwork:
    """Load a network that `save_network` wrote.

    Returns
    -------
    QuantizedNetwork
        Checked, and equal to the saved one in every array and number.

    Raises
    ------
    SqhwError
        If the file is missing, broken, of another kind or of a newer version, or breaks a rule of
        `sqhw.network`; the message names the file, and the layer if it is one layer's fault.
    """
    path = Path(path)
    try:
        header, tensors = _read(path)
        return _build(header, tensors)
    except SqhwError as error:
        raise SqhwError(f"{path}: {error}") from None


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    """Return the metadata entry and all tensors of a file."""
    if not path.is_file():
        raise SqhwError("this is a directory" if path.is_dir() else "no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if FLOAT_KEY in metadata:
                raise SqhwError("a network of floats; quantize it first (sqhw compress)")
            if METADATA_KEY not in metadata:
                raise SqhwError("a safetensors file, but not a network that sqhw saved")
            header = _parse(metadata[METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise SqhwError(f"not a safetensors file, or a damaged one ({error})") from None
    except OSError as error:
        raise SqhwError(f"cannot be read ({error.strerror or error})") from None
    except (KeyError, TypeError, AttributeError):  # a type that NumPy lacks, such as bfloat16
        raise SqhwError("holds a tensor of a type that sqhw does not use") from None
    return header, tensors


def _parse(text: str) -> dict[str, Any]:
    """Return the metadata entry, of the right format and version."""
    try:
        header = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise SqhwError("its metadata is damaged: not JSON") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise SqhwError(f"its format is not {FORMAT!r}")
    version = _field(header, "version", int)
    if version > VERSION:
        raise SqhwError(
            f"format version {version} is newer than this sqhw, which reads up to {VERSION}; "
            "update sqhw"
        )
    if version < 1:
        raise SqhwError(f"format version {version} does not exist")
    return header


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _describe(network: QuantizedNetwork) -> dict[str, Any]:
    """Return everything of the network that is not an array, as JSON values."""
    return {
        "name": network.name,
        "input_shape": [int(n) for n in network.input_shape],
        "input_format": _describe_format(network.input_format),
        "layers": [_describe_layer(layer) for layer in network.layers],
        "metadata": dict(network.metadata),
    }


def _describe_layer(layer: Layer) -> dict[str, Any]:
    common = {"kind": layer.kind, "name": layer.name, "source": layer.source}
    if isinstance(layer, MaxPool):
        return common | {"kernel": int(layer.kernel), "stride": int(layer.stride)}
    skip = layer.residual
    return common | {
        "groups": int(layer.groups),
        "residual": None
        if skip is None
        else {
            "source": skip.source,
            "weight": int(skip.weight),
            "stride": int(skip.stride),
            "first": int(skip.first),
        },
        "stride": int(layer.stride),
        "padding": [int(n) for n in layer.padding],
        "codebook": [int(n) for n in layer.codebook],
        "stream": {
            "gap_bits": int(layer.stream.gap_bits),
            "code_bits": int(layer.stream.code_bits),
        },
        "output": _describe_format(layer.output),
        "output_scale": float(layer.output_scale),
    }


def _describe_format(form: ActivationFormat) -> dict[str, Any]:
    return {"bits": int(form.bits), "signed": bool(form.signed)}


def _build(header: Mapping[str, Any], tensors: Tensors) -> QuantizedNetwork:
    """Return the network of a file's content."""
    description = _field(header, "network", dict)
    layers = []
    for index, record in enumerate(_field(description, "layers", list)):
        name = record.get("name") if isinstance(record, dict) else None
        where = f"layer {name!r}" if isinstance(name, str) else f"layer number {index + 1}"
        try:
            if not isinstance(record, dict):
                raise SqhwError("not a JSON object")
            layers.append(_build_layer(record, tensors))
        except (SqhwError, ValueError) as error:
            raise SqhwError(f"{where}: {error}") from None
    used = {
        f"{layer.name}.{name}" for layer in layers if isinstance(layer, Conv) for name in ARRAYS
    }
    for name in sorted(tensors.keys() - used):
        raise SqhwError(f"tensor {name!r} belongs to no layer")
    if network_digest(description, tensors) != _field(header, "sha256", str):
        raise SqhwError("damaged: its content does not match its checksum")
    metadata = _field(description, "metadata", dict)
    if not all(isinstance(value, str) for value in metadata.values()):
        raise SqhwError("'metadata' must hold texts only")
    try:
        form = _build_format(_field(description, "input_format", dict))
    except ValueError as error:
        raise SqhwError(f"input format: {error}") from None
    return QuantizedNetwork(
        name=_field(description, "name", str),
        input_shape=_integers(description, "input_shape", 3),
        input_format=form,
        layers=tuple(layers),
        metadata=metadata,
    )


def _build_layer(record: Mapping[str, Any], tensors: Tensors) -> Layer:
    kind = _field(record, "kind", str)
    name = _field(record, "name", str)
    source = _field(record, "source", str)
    stride = _field(record, "stride", int)
    if kind == "maxpool":
        return MaxPool(name, source, _field(record, "kernel", int), stride)
    if kind not in CONV_KINDS:
        raise SqhwError(f"unknown kind {kind!r}; known: {', '.join((*CONV_KINDS, 'maxpool'))}")
    stream = _field(record, "stream", dict)
    arrays = {field: _array(tensors, f"{name}.{field}", dtype) for field, dtype in ARRAYS.items()}
    return Conv(
        name=name,
        source=source,
        weight=arrays["weight"],
        bias=arrays["bias"],
        multiplier=arrays["multiplier"],
        shift=arrays["shift"],
        weight_scale=arrays["weight_scale"],
        stride=stride,
        padding=_integers(record, "padding", 4),
        codebook=_integers(record, "codebook"),
        stream=StreamFormat(_field(stream, "gap_bits", int), _field(stream, "code_bits", int)),
        output=_build_format(_field(record, "output", dict)),
        output_scale=_field(record, "output_scale", float),
        kind=kind,
        groups=_field(record, "groups", int),
        residual=_build_residual(record),
    )


def _build_residual(record: Mapping[str, Any]) -> Residual | None:
    if "residual" in record and record["residual"] is None:
        return None
    skip = _field(record, "residual", dict)
    return Residual(
        _field(skip, "source", str),
        _field(skip, "weight", int),
        _field(skip, "stride", int),
        _field(skip, "first", int),
    )


def _build_format(record: Mapping[str, Any]) -> ActivationFormat:
    return ActivationFormat(_field(record, "bits", int), _field(record, "signed", bool))


def _array(tensors: Tensors, name: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if name not in tensors:
        raise SqhwError(f"tensor {name!r} is missing")
    if tensors[name].dtype != dtype:
        raise SqhwError(f"tensor {name!r} must be {dtype}, not {tensors[name].dtype}")
    return tensors[name]


def _field(record: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return a field of exactly that JSON type: a bool is no int here, nor an int a float."""
    if name not in record:
        raise SqhwError(f"field {name!r} is missing")
    value = record[name]
    if type(value) is not kind:
        raise SqhwError(f"field {name!r} must be {kind.__name__}, not {value!r}")
    return value


def _integers(record: Mapping[str, Any], name: str, length: int | None = None) -> tuple[Any, ...]:
    values = _field(record, name, list)
    if any(type(value) is not int for value in values) or length not in (None, len(values)):
        count = "" if length is None else f"{length} "
        raise SqhwError(f"field {name!r} must be a list of {count}whole numbers, not {values!r}")
    return tuple(values)
