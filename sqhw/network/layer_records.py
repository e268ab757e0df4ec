"""Layers in the files of both kinds of network: JSON objects, and arrays named ``LAYER.FIELD``."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, shown
from sqhw.files.digest import network_digest
from sqhw.files.plain import field_of, located, typed
from sqhw.network.graph import CONV_KINDS, GraphConv, MaxPool

Tensors = dict[str, npt.NDArray[Any]]
Dtypes = Mapping[str, np.dtype[Any]]
L = TypeVar("L", bound=GraphConv)


def layer_record(layer: GraphConv | MaxPool) -> dict[str, Any]:
    """Return the fields that float and quantized layers share, without arrays, as JSON values."""
    common = {"kind": layer.kind, "name": layer.name, "source": layer.source}
    if isinstance(layer, MaxPool):
        high, wide = map(int, layer.window)
        record = common | {"kernel": high if high == wide else [high, wide]}
        record |= {"stride": _stride(layer)}
        if any(layer.padding):
            record |= {"padding": [int(n) for n in layer.padding]}
        return record
    skip = layer.residual and {
        name: value if isinstance(value, str) else int(value)
        for name, value in vars(layer.residual).items()
    }
    return common | {
        "groups": int(layer.groups),
        "residual": skip,
        "stride": _stride(layer),
        "padding": [int(n) for n in layer.padding],
    }


def has_pairs(layer: GraphConv | MaxPool) -> bool:
    """Whether a layer has a field that files had not from the start.

    These are a stride or a window of two numbers, and the padding of a maximum.
    """
    record = layer_record(layer)
    pairs = (record["stride"], record.get("kernel"))
    return any(isinstance(value, list) for value in pairs) or (
        isinstance(layer, MaxPool) and "padding" in record
    )


def _stride(layer: GraphConv | MaxPool) -> int | list[int]:
    down, right = map(int, layer.strides)
    return down if down == right else [down, right]


def read_layers(
    records: list[Any],
    tensors: Tensors,
    *,
    fields: type[Any],
    dtypes: Dtypes,
    make: Callable[..., L],
    later: Mapping[str, Any],
) -> tuple[L | MaxPool, ...]:
    """Return the layers of a file.

    Parameters
    ----------
    records : list
        JSON objects, one a layer.
    tensors : dict of str to ndarray
        All arrays of the file.
    fields : type
        Data class of the JSON fields of a convolution.
    dtypes : mapping of str to dtype
        Arrays of a convolution by name.
    make : callable
        Returns a convolution; called with its fields and arrays by name.
    later : mapping of str to JSON value
        Fields of a convolution that may be missing, and their defaults.

    Raises
    ------
    SqhwError
        If a field or tensor is missing, unknown or of another type; the message names the layer
        and the field, or the tensor that belongs to no layer.
    """
    layers = []
    for index, record in enumerate(records):
        name = record.get("name") if isinstance(record, dict) else None
        where = f"layer {shown(name)}" if isinstance(name, str) else f"layer number {index + 1}"
        with located(where):
            layers.append(_layer(typed(dict, record), tensors, (fields, later), dtypes, make))
    used = {
        f"{layer.name}.{name}"
        for layer in layers
        if not isinstance(layer, MaxPool)
        for name in dtypes
    }
    for name in sorted(tensors.keys() - used):
        raise SqhwError(f"tensor {shown(name)} belongs to no layer")
    return tuple(layers)


def _layer(
    record: dict[str, Any],
    tensors: Tensors,
    kinds: tuple[type[Any], Mapping[str, Any]],
    dtypes: Dtypes,
    make: Callable[..., L],
) -> L | MaxPool:
    fields, later = kinds
    kind = field_of(record, "kind", str)
    if kind == "maxpool":
        fields_of_pool = {name: value for name, value in record.items() if name != "kind"}
        return typed(MaxPool, fields_of_pool, partial=True)
    if kind not in CONV_KINDS:
        known = ", ".join((*CONV_KINDS, "maxpool"))
        raise SqhwError(f"unknown kind {shown(kind)}; known: {known}")
    found = typed(fields, {**later, **record})
    arrays = {
        name: _array(tensors, f"{found.name}.{name}", dtype) for name, dtype in dtypes.items()
    }
    return make(**vars(found), **arrays)


def _array(tensors: Tensors, name: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if name not in tensors:
        raise SqhwError(f"tensor {shown(name)} is missing")
    if tensors[name].dtype != dtype:
        raise SqhwError(f"tensor {shown(name)} must be {dtype}, not {tensors[name].dtype}")
    return tensors[name]


def check_digest(header: Mapping[str, Any], network: Mapping[str, Any], tensors: Tensors) -> None:
    """Compare the checksum of a file with its content.

    Parameters
    ----------
    header : mapping
        JSON object with the field ``sha256``.
    network : mapping
        JSON object of everything that is not an array.
    tensors : dict of str to ndarray

    Raises
    ------
    SqhwError
    """
    if network_digest(network, tensors) != field_of(header, "sha256", str):
        raise SqhwError("damaged: its content does not match its checksum")
