"""The network that masks and numbers of values stand for, before its integers are known.

The cost models price it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Mask
from sqhw.compiler.format_choice import cheapest_layers
from sqhw.compress.qat.convolution import QatConv
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.integers import WEIGHT_TOP
from sqhw.compress.qat.layer import QatLayer
from sqhw.compress.qat.network import QatNetwork
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import signed_width
from sqhw.machine.stream import Dense
from sqhw.network.floats import FloatConv
from sqhw.network.graph import MaxPool
from sqhw.network.masked import MaskedConv, MaskedNetwork
from sqhw.network.simplify import simplified


def masked_network(
    model: QatNetwork,
    masks: Sequence[Mask],
    levels: Sequence[int],
    bias_bits: int,
    engine: EngineConfig,
) -> MaskedNetwork:
    """Return the network of masks without dead channels, each layer in its cheapest stream.

    Its costs are upper bounds on those of the final integers: the weights of a layer take its
    values in turn, and biases and the multipliers of layers with gains fill their bits.

    Parameters
    ----------
    model : QatNetwork
    masks : sequence of ndarray of bool
        Weights that are kept, one array for each layer of ``model.layers()``.
    levels : sequence of int
        Largest number of distinct values of each layer, in the same order.
    bias_bits : int
        Largest width of a bias (unit: bit).
    engine : EngineConfig
    """
    chosen = iter(zip(masks, levels, strict=True))
    gain_bits: dict[str, int] = {}

    def layer_of(layer: FloatConv) -> MaskedConv:
        step = model.step(layer)
        if isinstance(step, QatInput):
            whole = step.integers(engine)
            found = _constant(layer, signed_width(int(whole.weight.max())))
            return replace(
                found,
                bias=whole.bias,
                multiplier=np.asarray(whole.multiplier).astype(np.int32),
                shift=np.asarray(whole.shift).astype(np.int32),
            )
        assert isinstance(step, QatLayer)
        if not isinstance(step, QatConv):
            return _constant(layer, signed_width(1))
        mask, values = next(chosen)
        gain_bits[layer.name] = step.gain_bits
        alive = np.logical_or(mask.any(axis=(1, 2, 3)), step.pinned)
        bias = np.where(alive, (1 << (bias_bits - 1)) - 1, 0)
        numbers = np.zeros(mask.shape, dtype=np.uint8)
        numbers[mask] = 1 + np.arange(np.count_nonzero(mask)) % values
        return replace(
            _constant(layer, signed_width(WEIGHT_TOP)),
            weight=numbers,
            bias=bias.astype(np.int32),
            stream=Dense().coded(values),
        )

    network = model.network
    layers = tuple(
        layer if isinstance(layer, MaxPool) else layer_of(layer) for layer in network.layers
    )
    whole = MaskedNetwork(network.name, network.input_shape, model.input_format, layers)
    whole = replace(whole, layers=simplified(whole))
    layers = tuple(
        layer if isinstance(layer, MaxPool) else _with_gains(layer, gain_bits.get(layer.name, 0))
        for layer in cheapest_layers(whole, engine)
    )
    return replace(whole, layers=layers)


def _constant(layer: FloatConv, width: int) -> MaskedConv:
    """Return a layer whose weights are all the same, `width` bits wide, without biases."""
    zero: npt.NDArray[np.int32] = np.zeros(len(layer.bias), dtype=np.int32)
    return MaskedConv(
        name=layer.name,
        source=layer.source,
        weight=np.ones(layer.weight.shape, dtype=np.uint8),
        width=width,
        bias=zero,
        multiplier=zero + 1,
        shift=zero,
        stride=layer.stride,
        padding=layer.padding,
        stream=Dense(),
        output=layer.output_format,
        kind=layer.kind,
        groups=layer.groups,
        residual=layer.residual,
        tabled=layer.has_table,
    )


def _with_gains(layer: MaskedConv, bits: int) -> MaskedConv:
    """Return a layer whose multipliers take `bits` bits of a record."""
    if not bits:
        return layer
    multiplier = np.where(np.arange(len(layer.multiplier)) % 2, 1 << bits, 1).astype(np.int32)
    return replace(layer, multiplier=multiplier)
