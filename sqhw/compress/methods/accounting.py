"""The account of a method's result."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sqhw.compress.methods.result import CompressionResult, stream_bits
from sqhw.cost_models.dense import dense_sizes
from sqhw.cost_models.device import Device
from sqhw.cost_models.rom import LayerRom, rom_cost
from sqhw.machine.config import EngineConfig
from sqhw.network.facts import FLOAT_BITS
from sqhw.size.account import (
    Account,
    LayerAccount,
    Origin,
    assemble_account,
    layer_account,
    published_bits,
)
from sqhw.size.layer_result import LayerResult


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
    the exported images. Weights that read only dead channels are not in them. Without integers,
    ``payload`` and ``stream`` are counted from the masks and values in the engine's formats, and
    ``rom`` and ``blocks`` are None.

    Parameters
    ----------
    result : CompressionResult
    engine : EngineConfig
    device : Device
        Device whose block RAMs are counted.
    label : str
        Label of the row in tables; by default the method.
    accuracy : mapping of str to float, optional
        Further accuracies by name.
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
    origin = Origin(
        label=label or result.method,
        method=result.method,
        network=original.name,
        data=result.quantized.facts.data if result.quantized else "",
        accuracy=_on_floats(result) | dict(accuracy or {}),
        reason=result.reason,
        notes=result.notes,
        options=result.options,
    )
    return assemble_account(
        origin,
        device,
        layers,
        cost,
        dense_sizes(original.weights, biases, FLOAT_BITS, device),
        published=math.ceil(sum(published_bits(layer) for layer in kept)),
        own=shared if result.own_bits else None,
    )


def _layer(
    layer: LayerResult, row: LayerRom | None, engine: EngineConfig, own: dict[str, int] | None
) -> LayerAccount:
    stream = row.stream if row else stream_bits(layer, engine)
    return layer_account(layer, row, engine, stream, own)


def _on_floats(result: CompressionResult) -> dict[str, float]:
    """Return the validation accuracy of the method's float network, empty if it has none."""
    if result.network is result.original:
        return {}
    return {"validation_float": result.validation_accuracy}
