"""Sweeps: many points of `compress`, `quantize` or `size`, here or on a cluster.

Points are folders that are written whole or not at all and addressed by what they depend on.
"""

from sqhw.sweep.run import sweep
from sqhw.sweep.spec import parse_spec, read_spec

__all__ = ["parse_spec", "read_spec", "sweep"]
