"""Write the topologies of the zoo from its modules: ``python -m sqhw.frontends.zoo``."""

import json
from pathlib import Path

import sqhw.frontends.zoo
from sqhw.atomic import atomic_write_text
from sqhw.frontends.zoo.catalogue import ZOO, float_network
from sqhw.frontends.zoo.topologies import SUFFIX, to_plain
from sqhw.network.floats import FloatNetwork


def topology_text(network: FloatNetwork) -> str:
    """Return the topology of a network as JSON, one line a layer."""
    plain = to_plain(network)
    layers = ",\n  ".join(json.dumps(layer) for layer in plain.pop("layers"))
    head = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in plain.items())
    return f'{{{head},\n "layers": [\n  {layers}\n ]}}\n'


def write_topologies(folder: Path) -> None:
    """Write the topology of every network of the zoo to a folder."""
    for name in ZOO:
        atomic_write_text(folder / f"{name}{SUFFIX}", topology_text(float_network(name)))


if __name__ == "__main__":
    write_topologies(Path(sqhw.frontends.zoo.__file__).parent)
