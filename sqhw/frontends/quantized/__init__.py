"""From a neutral graph of integers to a quantized network: the same weights, fitted requantization.

`fit` meets the thresholds of a runtime's requantization, `held` says how its integers lie in the
engine's maps, which have no zero points, and `lowering` walks over the graph.
"""

from sqhw.frontends.quantized.lowering import Lowered, lower

__all__ = ["Lowered", "lower"]
