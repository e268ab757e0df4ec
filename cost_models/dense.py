"""Sizes of an uncompressed network on the size bases."""

from sqhw.cost_models.device import Device
from sqhw.cost_models.memory import map_rom

BIAS_BITS = 32
WORD_BITS = 32


def dense_sizes(weights: int, biases: int, bits: int, device: Device) -> dict[str, int]:
    """Return the sizes of a network without compression.

    Parameters
    ----------
    weights, biases : int
        Numbers of weights and biases.
    bits : int
        Width of a weight (unit: bit); a bias has 32.
    device : Device
        Device of the block RAMs.

    Returns
    -------
    dict of str to int
        ``payload`` and ``stream`` are the weights alone, ``rom`` has the biases too (unit: bit),
        ``blocks`` are those of ``rom`` in 32-bit words.
    """
    payload = weights * bits
    rom = payload + biases * BIAS_BITS
    words = -(-rom // WORD_BITS)
    blocks = map_rom(words, WORD_BITS, device).blocks if words else 0
    return {"payload": payload, "stream": payload, "rom": rom, "blocks": blocks}
