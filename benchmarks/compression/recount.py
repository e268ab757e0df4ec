"""What published networks would take on our engine, from the shares and bits that papers print."""

import math

from sqhw.steps.options import SizeOptions
from sqhw.steps.size import size_network


def recounted(network: str, density: float, bits: float, device: str) -> dict[str, float]:
    """Return the sizes of a network with that share of weights and those bits in every layer.

    Papers print means over all weights and no positions: the expected size over random places with
    the same share everywhere stands for them. A fraction of a bit lies between whole ones.

    Parameters
    ----------
    network : str
        Name in the zoo.
    density : float, above 0, at most 1
    bits : float, 1 to 8
    device : str

    Returns
    -------
    dict of str to float
        By basis; ``payload`` without rounding, ``stream`` in whole words (unit: bit).
    """
    low, high = (_sizes(network, density, part, device) for part in _whole(bits))
    share = bits - math.floor(bits)
    mixed = {basis: (1 - share) * low[basis] + share * high[basis] for basis in low}
    return mixed | {"payload": low["weights"] * density * bits}


def _whole(bits: float) -> tuple[int, int]:
    return math.floor(bits), math.ceil(bits)


def _sizes(network: str, density: float, bits: int, device: str) -> dict[str, float]:
    found = size_network(SizeOptions(network=network, density=density, bits=bits, device=device))
    memory = found["devices"][0]["memory"]
    parts = [memory[use] for use in ("weights", "codebooks", "constants")]
    return {
        "weights": found["weights"],
        "stream": sum(part["bits"] for part in parts[:2]),
        "rom": sum(part["bits"] for part in parts),
        "blocks": sum(part["blocks"] for part in parts),
    }
