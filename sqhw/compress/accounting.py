"""The account of a compression: every size on every basis, layer by layer."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sqhw.atomic import atomic_write_text
from sqhw.budget import BASES
from sqhw.compress.methods.result import CompressionResult, LayerResult, stream_bits
from sqhw.cost_models.dense import dense_sizes
from sqhw.cost_models.device import Device
from sqhw.cost_models.rom import LayerRom, RomCost, rom_cost
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.facts import FLOAT_BITS, facts_of
from sqhw.input_file import read_text
from sqhw.input_limits import MAX_COUNT, MAX_JSON_BYTES
from sqhw.network import QuantizedNetwork
from sqhw.plain import field_of, located, parse_json, typed

KIND = "sqhw account"
VERSION = 1


@dataclass(frozen=True)
class LayerAccount:
    """The account of a layer (unit: bit unless said).

    Parameters
    ----------
    name : str
    weights : int
        Before compression.
    nonzeros : int
        Weights kept.
    bits : int
        Width of a code of the layer's values; dense streams may have one for zero among them.
    payload : int
        Non-zeros times code bits.
    stream : int
        Payload, positions and codebook in the engine's cheapest format.
    rom : int or None
        Stream, channel records and descriptor in memory words; None without integers.
    own : int or None
        As the method itself encodes the layer, with its tables; None if it has no coding.
    """

    name: str
    weights: int
    nonzeros: int
    bits: int
    payload: int
    stream: int
    rom: int | None
    own: int | None


@dataclass(frozen=True)
class Account:
    """The account of a compressed network.

    Parameters
    ----------
    label, method, network, data, device : str
    layers : tuple of LayerAccount
    sizes : dict of str to (int or None)
        On the bases ``payload``, ``stream``, ``rom``, ``blocks``; ``own`` is the method's own
        coding, and ``published`` the non-zeros times the logarithm of the number of values, as SQL
        prints it. None where it does not apply.
    float32 : dict of str to int
        The network before, on the four bases.
    average_bits : float
        Code bits, mean over the non-zeros.
    density : float
        Non-zero share of the weights before.
    accuracy : dict of str to float
        By what it was measured on, 0 to 1.
    reason : str
        Why there are no integers, or nothing.
    notes : tuple of str
    options : dict
        The method's configuration.
    """

    label: str
    method: str
    network: str
    data: str
    device: str
    layers: tuple[LayerAccount, ...]
    sizes: dict[str, int | None]
    float32: dict[str, int]
    average_bits: float
    density: float
    accuracy: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    notes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def ratio(self, basis: str) -> float | None:
        """Return how many times smaller the network is than in float32 on a basis."""
        size = self.sizes[basis]
        before = self.float32["payload" if basis in ("own", "published") else basis]
        return None if size is None else before / size if size else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, the ratios included."""
        ratios = {basis: self.ratio(basis) for basis in self.sizes}
        plain = {
            basis: None if ratio is None or math.isinf(ratio) else round(ratio, 3)
            for basis, ratio in ratios.items()
        }
        return {"kind": KIND, "version": VERSION} | asdict(self) | {"ratio": plain}


def account(
    result: CompressionResult,
    engine: EngineConfig,
    device: Device,
    *,
    label: str = "",
    accuracy: Mapping[str, float] | None = None,
) -> Account:
    """Return the account of a method's result.

    With integers, ``payload``, ``stream``, ``rom`` and ``blocks`` are those of `rom_cost`, hence of
    the exported images; weights that read only dead channels are not in them. Without, ``payload``
    and ``stream`` are counted from the masks and values in the engine's formats, and the others are
    None.

    Parameters
    ----------
    result : CompressionResult
    engine : EngineConfig
    device : Device
        For the block RAMs.
    label : str
        Of the row in tables; by default the method.
    accuracy : mapping of str to float, optional
        Further accuracies.
    """
    cost = rom_cost(result.quantized, engine) if result.quantized else None
    rows = {row.name: row for row in cost.layers} if cost else {}
    convs = result.quantized.convs if result.quantized else ()
    stored = {layer.name: layer.weight for layer in convs}
    kept = [
        replace(layer, weight=stored.get(layer.name, layer.weight).astype(np.float32))
        for layer in result.layers
    ]
    layers = tuple(
        _layer(layer, rows.get(layer.name), engine, result.own_bits.get(layer.name))
        for layer in kept
    )
    original = result.original
    biases = original.float_bits // FLOAT_BITS - original.weights
    shared = sum(sum(bits.values()) for bits in result.own_bits.values())
    return _account(
        label or result.method,
        result.method,
        original.name,
        str(result.quantized.metadata.get("data", "")) if result.quantized else "",
        device,
        layers,
        cost,
        dense_sizes(original.weights, biases, FLOAT_BITS, device),
        published=math.ceil(sum(_published(layer) for layer in kept)),
        own=shared if result.own_bits else None,
        accuracy=_on_floats(result) | dict(accuracy or {}),
        reason=result.reason,
        notes=result.notes,
        options=result.options,
    )


def account_network(
    network: QuantizedNetwork, engine: EngineConfig, device: Device, label: str = ""
) -> Account:
    """Return the account of a quantized network.

    Weights before compression are those of its metadata; without them, those of its layers, and a
    note says so if some are gone.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
    device : Device
    label : str
    """
    cost = rom_cost(network, engine)
    rows = {row.name: row for row in cost.layers}
    facts = facts_of(network.metadata)
    before = facts.layer_weights
    # Entries of no bits are constants, as average pooling has, and no weights.
    results = [
        LayerResult(
            layer.name,
            layer.weight.astype(np.float32),
            before.get(layer.name, layer.weight.size),
        )
        for layer in network.convs
        if layer.stream.entry_bits
    ]
    layers = tuple(_layer(layer, rows[layer.name], engine, None) for layer in results)
    left = sum(layer.weights_before for layer in results)
    weights = left if facts.weights_before is None else facts.weights_before
    values = max(weights, facts.values_before or 0)
    notes: tuple[str, ...] = ()
    if left < weights and not before:
        said = "the file does not tell the layers' weights before compression: their "
        notes = (f"{said}{left:,} are those that are left, of {weights:,}",)
    return _account(
        label or network.name,
        network.metadata.get("method", ""),
        network.name,
        network.metadata.get("data", ""),
        device,
        layers,
        cost,
        dense_sizes(weights, values - weights, FLOAT_BITS, device),
        published=math.ceil(sum(_published(layer) for layer in results)),
        own=None,
        accuracy=facts.accuracies,
        reason="",
        notes=notes,
        options={},
    )


def save_account(found: Account, path: Path, more: Mapping[str, Any] | None = None) -> None:
    """Write an account as JSON, with further plain data; the same account gives the same bytes."""
    text = json.dumps(found.to_dict() | dict(more or {}), indent=1, sort_keys=True)
    atomic_write_text(path, text + "\n")


def read_account(path: Path) -> dict[str, Any]:
    """Read an account as plain data, with whatever else is in the file.

    Raises
    ------
    SqhwError
        If the file is missing, damaged or of another kind or version, or a field is missing, of
        another type or out of range; the message names the file and the field.
    """
    with located(path):
        found = parse_json(read_text(path, MAX_JSON_BYTES))
        if not isinstance(found, dict) or found.get("kind") != KIND:
            raise SqhwError("not an account of a compression")
        version = field_of(found, "version", int)
        if version != VERSION:
            raise SqhwError(f"account version {version}, this sqhw reads {VERSION}")
        account = typed(Account, found, more=True)
        _check_account(account)
        if field_of(found, "ratio", dict) != account.to_dict()["ratio"]:
            raise SqhwError("field 'ratio' does not follow from its sizes")
    return found


def _check_account(account: Account) -> None:
    """Check what the types of an account do not say."""
    for name, sizes in (("sizes", account.sizes), ("float32", account.float32)):
        for basis in BASES:
            if basis not in sizes:
                raise SqhwError(f"field '{name}.{basis}' is missing")
        for basis, size in sizes.items():
            if basis not in (*BASES, "own", "published"):
                raise unknown_name("basis", basis, (*BASES, "own", "published"))
            _check_range(f"{name}.{basis}", size, MAX_COUNT)
    for index, layer in enumerate(account.layers):
        for name in ("weights", "nonzeros", "payload", "stream", "rom", "own"):
            _check_range(f"layers[{index}].{name}", getattr(layer, name), MAX_COUNT)
        _check_range(f"layers[{index}].bits", layer.bits, FLOAT_BITS)
    _check_range("average_bits", account.average_bits, FLOAT_BITS)
    _check_range("density", account.density, MAX_COUNT)
    for name, accuracy in account.accuracy.items():
        _check_range(f"accuracy.{name}", accuracy, 1)


def _check_range(name: str, value: float | None, most: int) -> None:
    if value is not None and not 0 <= value <= most:
        raise SqhwError(f"field {name!r} must be 0 to {most:,}, not {shown(value)}")


def _account(
    label: str,
    method: str,
    network: str,
    data: str,
    device: Device,
    layers: tuple[LayerAccount, ...],
    cost: RomCost | None,
    float32: dict[str, int],
    *,
    published: int,
    own: int | None,
    accuracy: dict[str, float],
    reason: str,
    notes: tuple[str, ...],
    options: dict[str, Any],
) -> Account:
    sizes: dict[str, int | None]
    if cost is None:
        sizes = dict.fromkeys(BASES)
        sizes["payload"] = sum(layer.payload for layer in layers)
        sizes["stream"] = sum(layer.stream for layer in layers)
    else:
        sizes = {basis: cost.size(basis, device) for basis in BASES}
    nonzeros = sum(layer.nonzeros for layer in layers)
    before = float32["payload"] // FLOAT_BITS
    return Account(
        label,
        method,
        network,
        data,
        device.name,
        layers,
        sizes | {"own": own, "published": published},
        float32,
        average_bits=sum(layer.nonzeros * layer.bits for layer in layers) / max(1, nonzeros),
        density=nonzeros / max(1, before),
        accuracy=accuracy,
        reason=reason,
        notes=notes,
        options=options,
    )


def _layer(
    layer: LayerResult, row: LayerRom | None, engine: EngineConfig, own: dict[str, int] | None
) -> LayerAccount:
    payload = row.payload if row else layer.nonzeros * layer.bits
    return LayerAccount(
        name=layer.name,
        weights=layer.weights_before,
        nonzeros=layer.nonzeros,
        bits=payload // layer.nonzeros if layer.nonzeros else 0,
        payload=payload,
        stream=row.stream if row else stream_bits(layer, engine),
        rom=_rom_bits(row, engine) if row else None,
        own=sum(own.values()) if own else None,
    )


def _on_floats(result: CompressionResult) -> dict[str, float]:
    """Return the validation accuracy of the floats that the method ended with, if it has some."""
    if result.network is result.original:
        return {}
    return {"validation_float": result.validation_accuracy}


def _rom_bits(row: LayerRom, engine: EngineConfig) -> int:
    return (row.weight_words + row.param_words) * engine.word_bits + row.codebook


def _published(layer: LayerResult) -> float:
    levels = len(layer.levels)
    return layer.nonzeros * math.log2(levels) if levels else 0.0
