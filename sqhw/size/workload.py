"""A network to size: one with its own weights, or a topology with assumed ones."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sqhw.compiler.accumulator import needed_acc_bits
from sqhw.cost_models.layer_weights import (
    LayerWeights,
    layer_weights,
    random_weights,
    record_constants,
)
from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork
from sqhw.network.graph import GraphConv
from sqhw.network.quantized import QuantizedNetwork

MAX_BITS = 8


@dataclass(frozen=True, eq=False)
class Workload:
    """A network and its weights.

    Parameters
    ----------
    network : QuantizedNetwork or FloatNetwork
        Network with its weights, or a topology.
    weights : dict of str to LayerWeights
        Weights of every layer with a weight stream.
    constant_bits : dict of str to int
        Bits of a channel record besides the entry count, of the other layers with records. A
        layer without known constants is missing.
    acc_bits : int, 16 to 32
        Width of the accumulators (unit: bit).
    """

    network: QuantizedNetwork | FloatNetwork
    weights: dict[str, LayerWeights]
    constant_bits: dict[str, int] = field(default_factory=dict)
    acc_bits: int = EngineConfig.acc_bits

    @property
    def known(self) -> bool:
        """Whether the weights are the network's own, and not assumed at random places."""
        return isinstance(self.network, QuantizedNetwork)

    @property
    def levels(self) -> int:
        """Largest number of distinct weights of a layer."""
        most = [
            max(*w.levels.nonzero, *(n + 1 for n in w.levels.dense)) for w in self.weights.values()
        ]
        return max(most, default=1)


def known_workload(network: QuantizedNetwork) -> Workload:
    """Return a quantized network as it is, free to be stored in other formats."""
    streams = {layer.name: layer for layer in network.convs if layer.has_stream}
    return Workload(
        network,
        weights={name: layer_weights(layer) for name, layer in streams.items()},
        constant_bits={
            layer.name: record_constants(layer)
            for layer in network.convs
            if layer.name not in streams
        },
        acc_bits=max(EngineConfig.acc_bits, needed_acc_bits(network)),
    )


def assumed_workload(
    topology: FloatNetwork,
    density: float,
    bits: int,
    layers: Mapping[str, tuple[float, int]] | None = None,
) -> Workload:
    """Return a topology with weights of assumed density and bits at random places.

    Parameters
    ----------
    topology : FloatNetwork
        Topology with its input stage, if it needs one.
    density : float, above 0, at most 1
        Share of non-zero weights of each layer.
    bits : int, 1 to 8
        Width of a code.
    layers : mapping of str to (float, int), optional
        Density and bits of single layers.

    Raises
    ------
    SqhwError
        If a number is out of range, or there is no such layer with a weight stream.
    """
    streams = {layer.name: layer for layer in topology.convs if layer.has_stream}
    _check("density", density, "bits", bits)
    for name, chosen in (layers or {}).items():
        if name not in streams:
            raise unknown_name("layer", name, streams)
        _check(f"layer {name!r}: density", chosen[0], f"layer {name!r}: bits", chosen[1])
    weights = {}
    for name, layer in streams.items():
        share, width = (layers or {}).get(name, (density, bits))
        weights[name] = _random(layer, share, width)
    return Workload(topology, weights)


def parse_layers(texts: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Parse ``layer=density:bits``, for example ``conv1=0.3:4``.

    Raises
    ------
    SqhwError
        If a text has another form, or a layer is named twice.
    """
    found: dict[str, tuple[float, int]] = {}
    for text in texts:
        match = re.fullmatch(r"\s*([^=]+?)\s*=\s*(-?[\d.]+(?:e-?\d+)?)\s*:\s*(-?\d+)\s*", text)
        try:
            chosen = (float(match[2]), int(match[3])) if match else None
        except ValueError:
            chosen = None
        if match is None or chosen is None:
            raise SqhwError(
                f"layer {shown(text)} must read name=density:bits, for example conv1=0.3:4"
            )
        if match[1] in found:
            raise SqhwError(f"layer {shown(match[1])} is given twice; state it once")
        found[match[1]] = chosen
    return found


def _random(layer: GraphConv, density: float, bits: int) -> LayerWeights:
    count = max(1, round(density * layer.weight.size))
    return random_weights(layer, np.array([count], dtype=np.int64), (bits,))


def _check(density_name: str, density: float, bits_name: str, bits: int) -> None:
    if not 0 < density <= 1:
        raise SqhwError(f"{density_name} must be above 0 and at most 1, not {density:g}")
    if not 1 <= bits <= MAX_BITS:
        raise SqhwError(f"{bits_name} must be 1 to {MAX_BITS}, not {shown(bits)}")
