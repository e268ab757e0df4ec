"""The account of a compressed network: every size on every basis, layer by layer."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sqhw.cost_models.budget import BASES
from sqhw.cost_models.dense import dense_sizes
from sqhw.cost_models.device import Device
from sqhw.cost_models.rom import LayerRom, RomCost, rom_cost
from sqhw.machine.config import EngineConfig
from sqhw.network.facts import FLOAT_BITS
from sqhw.network.quantized import QuantizedNetwork
from sqhw.size.layer_result import LayerResult

KIND = "sqhw account"
VERSION = 1


@dataclass(frozen=True)
class LayerAccount:
    """The account of a layer (unit: bit unless said).

    Parameters
    ----------
    name : str
    weights : int
        Number of weights before compression.
    nonzeros : int
        Number of weights kept.
    bits : int
        Width of a code of the layer's values; dense streams may have one for zero among them.
    payload : int
        Non-zeros times code bits.
    stream : int
        Payload, positions and codebook in the engine's cheapest format.
    rom : int or None
        Stream, channel records and descriptor in memory words; None without integers.
    own : int or None
        Size in the method's own coding, with its tables; None if it has no coding.
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
        Sizes on the bases ``payload``, ``stream``, ``rom``, ``blocks``. ``own`` is the method's own
        coding. ``published`` is the non-zeros times the logarithm of the number of values, the
        figure of the SQL paper. None marks a basis that does not apply.
    float32 : dict of str to int
        Sizes of the network before compression, on the four bases.
    average_bits : float
        Code bits of a non-zero weight on average.
    density : float
        Share of the weights before compression that are kept.
    accuracy : dict of str to float
        Accuracies by the images that they were measured on, 0 to 1.
    reason : str
        Reason why there are no integers; empty if there are.
    notes : tuple of str
    options : dict
        Configuration of the method.
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
        """Return the size in float32 over the size of the network, on a basis."""
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


def account_network(
    network: QuantizedNetwork, engine: EngineConfig, device: Device, label: str = ""
) -> Account:
    """Return the account of a quantized network.

    The numbers of weights before compression come from its metadata. Without them they are those of
    its layers, and a note says so if weights were removed.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
    device : Device
        Device whose block RAMs are counted.
    label : str
        Label of the row in tables; by default the network's name.
    """
    cost = rom_cost(network, engine)
    rows = {row.name: row for row in cost.layers}
    facts = network.facts
    before = facts.layer_weights
    # The entries of an average pooling have no bits: they are constants and no weights.
    results = [
        LayerResult(
            layer.name,
            layer.weight.astype(np.float32),
            before.get(layer.name, layer.weight.size),
        )
        for layer in network.convs
        if layer.has_stream
    ]
    layers = tuple(
        layer_account(layer, rows[layer.name], engine, rows[layer.name].stream) for layer in results
    )
    remaining = sum(layer.weights_before for layer in results)
    weights = remaining if facts.weights_before is None else facts.weights_before
    values = max(weights, facts.values_before or 0)
    notes: tuple[str, ...] = ()
    if remaining < weights and not before:
        unknown = "the file does not tell the layers' weights before compression: their "
        notes = (f"{unknown}{remaining:,} are those that are left, of {weights:,}",)
    origin = Origin(
        label=label or network.name,
        method=facts.method,
        network=network.name,
        data=facts.data,
        accuracy=facts.accuracies,
        notes=notes,
    )
    return assemble_account(
        origin,
        device,
        layers,
        cost,
        dense_sizes(weights, values - weights, FLOAT_BITS, device),
        published=math.ceil(sum(published_bits(layer) for layer in results)),
        own=None,
    )


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Origin of a compressed network: the part of an `Account` that is no size.

    The parameters are those of `Account`.
    """

    label: str
    method: str
    network: str
    data: str
    accuracy: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    notes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def assemble_account(
    origin: Origin,
    device: Device,
    layers: tuple[LayerAccount, ...],
    cost: RomCost | None,
    float32: dict[str, int],
    *,
    published: int,
    own: int | None,
) -> Account:
    """Return an account of its layers, with the sizes of the whole.

    Parameters
    ----------
    origin : Origin
    device : Device
    layers : tuple of LayerAccount
    cost : RomCost or None
        ROM cost of the integers. Without integers only payload and stream are known.
    float32 : dict of str to int
        Sizes of the network before compression, on the four bases.
    published, own : int, int or None
        The sizes on these two bases (unit: bit).
    """
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
        origin.label,
        origin.method,
        origin.network,
        origin.data,
        device.name,
        layers,
        sizes | {"own": own, "published": published},
        float32,
        average_bits=sum(layer.nonzeros * layer.bits for layer in layers) / max(1, nonzeros),
        density=nonzeros / max(1, before),
        accuracy=origin.accuracy,
        reason=origin.reason,
        notes=origin.notes,
        options=origin.options,
    )


def layer_account(
    layer: LayerResult,
    row: LayerRom | None,
    engine: EngineConfig,
    stream: int,
    own: dict[str, int] | None = None,
) -> LayerAccount:
    """Return the account of a layer.

    Parameters
    ----------
    layer : LayerResult
    row : LayerRom or None
        ROM content of the layer; None if the network has no integers.
    engine : EngineConfig
    stream : int
        Payload, positions and codebook (unit: bit).
    own : dict of str to int, optional
        Sizes of the layers in the method's own coding (unit: bit).
    """
    payload = row.payload if row else layer.nonzeros * layer.bits
    return LayerAccount(
        name=layer.name,
        weights=layer.weights_before,
        nonzeros=layer.nonzeros,
        bits=payload // layer.nonzeros if layer.nonzeros else 0,
        payload=payload,
        stream=stream,
        rom=_rom_bits(row, engine) if row else None,
        own=sum(own.values()) if own else None,
    )


def published_bits(layer: LayerResult) -> float:
    """Return the non-zeros times the logarithm of the number of values (unit: bit)."""
    levels = len(layer.levels)
    return layer.nonzeros * math.log2(levels) if levels else 0.0


def _rom_bits(row: LayerRom, engine: EngineConfig) -> int:
    return (row.weight_words + row.param_words) * engine.word_bits + row.codebook
