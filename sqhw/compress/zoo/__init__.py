"""Known networks: untrained modules, or float networks with published weights."""

from sqhw.compress.zoo.catalogue import ZOO, ZooEntry, build, entry, float_network

__all__ = ["ZOO", "ZooEntry", "build", "entry", "float_network"]
