"""Quantizers: which values the weights of a layer may take. Any method can use any of them."""

from sqhw.compress.quantizers.afp import AfpQuantizer
from sqhw.compress.quantizers.apot import ApotQuantizer
from sqhw.compress.quantizers.base import Quantizer
from sqhw.compress.quantizers.codebook import Codebook
from sqhw.compress.quantizers.dead_zone import DeadZoneQuantizer
from sqhw.compress.quantizers.entropy_constrained import EntropyConstrainedQuantizer
from sqhw.compress.quantizers.hessian_kmeans import HessianKMeansQuantizer
from sqhw.compress.quantizers.kmeans import KMeansQuantizer
from sqhw.compress.quantizers.least_squares_binary import LeastSquaresBinaryQuantizer
from sqhw.compress.quantizers.power_of_two import PowerOfTwoQuantizer
from sqhw.compress.quantizers.quantization_network import QuantizationNetwork
from sqhw.compress.quantizers.ternary import TernaryQuantizer
from sqhw.compress.quantizers.uniform import UniformQuantizer
from sqhw.compress.quantizers.uniform_means import UniformMeansQuantizer
from sqhw.errors import unknown_name

#: Every quantizer by name.
QUANTIZERS: dict[str, type[Quantizer]] = {
    kind.name: kind
    for kind in (
        AfpQuantizer,
        ApotQuantizer,
        DeadZoneQuantizer,
        EntropyConstrainedQuantizer,
        HessianKMeansQuantizer,
        KMeansQuantizer,
        LeastSquaresBinaryQuantizer,
        PowerOfTwoQuantizer,
        QuantizationNetwork,
        TernaryQuantizer,
        UniformQuantizer,
        UniformMeansQuantizer,
    )
}


def find_quantizer(name: str) -> type[Quantizer]:
    """Return the quantizer of that name.

    Raises
    ------
    SqhwError
        If there is none.
    """
    if name not in QUANTIZERS:
        raise unknown_name("quantizer", name, QUANTIZERS)
    return QUANTIZERS[name]


__all__ = [
    "QUANTIZERS",
    "AfpQuantizer",
    "ApotQuantizer",
    "Codebook",
    "DeadZoneQuantizer",
    "EntropyConstrainedQuantizer",
    "HessianKMeansQuantizer",
    "KMeansQuantizer",
    "LeastSquaresBinaryQuantizer",
    "PowerOfTwoQuantizer",
    "QuantizationNetwork",
    "Quantizer",
    "TernaryQuantizer",
    "UniformMeansQuantizer",
    "UniformQuantizer",
    "find_quantizer",
]
