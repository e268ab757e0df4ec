"""The accumulator width that a network needs, proposed from its float weights."""

import math

import numpy as np

from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.names import LEAST_ACC_BITS, MOST_ACC_BITS
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.graph import INPUT
from sqhw.network.quantized import QuantizedNetwork

#: Share of the accumulator's range for weights. The rest is for biases, and for weights that grow
#: in the fine-tuning.
SHARE = 0.9
WEIGHT_TOP = 127
UNSIGNED, SIGNED = 255, 128  # largest magnitudes of 8-bit activations


def proposed_acc_bits(
    network: FloatNetwork, density: float = 1.0, ends_density: float | None = None, bits: int = 8
) -> int:
    """Return a width that leaves every layer's weights enough steps, 24 to 32 bits.

    No input may make an accumulator overflow. A layer of long sums therefore has few steps between
    0 and its largest weight, unless the accumulator is wide. Weights of 8 bits get all 127 steps.
    Weights of fewer bits get four times as many steps as there are values, so that values are
    hardly rounded. The sums are those of weights with one scale a layer. A channel with a gain has
    its own largest weight, and biases count with a fixed share of the range. Where sums relative to
    that weight or biases are larger, weights still get coarser. Notes of the network tell this
    (`sqhw quantize`).

    Parameters
    ----------
    network : FloatNetwork
    density : float, above 0, at most 1
        Share of the largest weights that count.
    ends_density : float, optional
        Such a share for the first and the last trained layer.
    bits : int, 1 to 8
        Width of a weight's code.
    """
    steps = min(WEIGHT_TOP, 4 << min(max(bits, 0), 8))
    trained = [layer for layer in network.convs if layer.trained]
    need = 0
    for layer in trained:
        end = layer is trained[0] or layer is trained[-1]
        share = ends_density if end and ends_density is not None else density
        sums = _largest_sum(layer, share) * _largest_input(network, layer)
        need = max(need, signed_bits(math.ceil(steps * sums / SHARE)))
    return min(MOST_ACC_BITS, max(EngineConfig.acc_bits, need))


def needed_acc_bits(network: QuantizedNetwork) -> int:
    """Return the width that the integers of a network need (unit: bit)."""
    return max(signed_bits(bound) for bound in network.acc_bounds().values())


def check_acc_bits(acc_bits: int | None, network: QuantizedNetwork | None = None) -> None:
    """Check a width that a user asks for; None asks for none.

    Parameters
    ----------
    acc_bits : int or None
    network : QuantizedNetwork, optional
        Network whose integers the width must hold.

    Raises
    ------
    SqhwError
        If no engine has this width, or the integers need more.
    """
    if acc_bits is None:
        return
    if not LEAST_ACC_BITS <= acc_bits <= MOST_ACC_BITS:
        raise SqhwError(
            f"acc_bits (--acc-bits) must be {LEAST_ACC_BITS} to {MOST_ACC_BITS}, not {acc_bits}"
        )
    for name, bound in network.acc_bounds().items() if network else ():
        if signed_bits(bound) > acc_bits:
            raise SqhwError(
                f"layer {name!r}: its accumulator may reach {bound}, which needs "
                f"{signed_bits(bound)} bits, not {acc_bits}; raise acc_bits (--acc-bits)"
            )


def signed_bits(magnitude: int) -> int:
    """Return the width of signed numbers up to a magnitude (unit: bit)."""
    return magnitude.bit_length() + 1


def _largest_sum(layer: FloatConv, density: float) -> float:
    """Return the largest sum of weights of a channel, in units of the largest weight."""
    size = np.abs(layer.weight).astype(np.float64)
    top = float(size.max())
    if top == 0:
        return 0.0
    count = min(size.size, max(1, round(density * size.size)))
    least = np.partition(size.reshape(-1), size.size - count)[size.size - count]
    kept = np.where(size >= least, size, 0.0)
    return float(kept.sum(axis=(1, 2, 3)).max()) / top


def _largest_input(network: FloatNetwork, layer: FloatConv) -> int:
    """Return the largest magnitude of the integers that a layer reads."""
    makers = {other.name: other for other in network.layers}
    tensor = layer.source
    while tensor != INPUT:
        maker = makers[tensor]
        if isinstance(maker, FloatConv) and (maker.trained or not maker.bare):
            return SIGNED if maker.output_format.signed else UNSIGNED
        tensor = maker.source
    return network.input_max
