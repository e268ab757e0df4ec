"""K-means in which each weight counts by the loss that its error causes."""

from dataclasses import dataclass
from typing import ClassVar

from sqhw.compress.quantizers.kmeans import KMeansQuantizer


@dataclass(frozen=True)
class HessianKMeansQuantizer(KMeansQuantizer):
    """Hessian-weighted k-means (Choi, El-Khamy and Lee, ICLR 2017): least ``sum h (w - c)**2``.

    The centroid of a cluster is ``sum h w / sum h``. Zero is not pinned, because the source
    clusters the weights that pruning leaves.
    """

    pinned_zero: bool = False
    name: ClassVar[str] = "hessian-k-means"
