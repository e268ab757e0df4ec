"""Published results, as the papers print them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A row of a paper.

    Parameters
    ----------
    method : str
    ratio : float
        Size as float32 over the size that is claimed.
    drop : float or None
        Accuracy lost, if it is known (unit: percentage point).
    basis : str
        ``payload``: non-zeros times bits. ``stream``: with positions, or of a structure that needs
        none. ``file``: all bytes, but of a code that is decoded as a whole before use.
    source : str
    density, bits : float, optional
        Share of non-zero weights and their mean bits, where the paper says so.
    inferred : bool
        Whether `drop` is no figure of the source but the difference of its accuracy to the
        checkpoint of the benchmark.
    """

    method: str
    ratio: float
    drop: float | None
    basis: str
    source: str
    density: float | None = None
    bits: float | None = None
    inferred: bool = False


SQL = "Yang et al., CVPR 2020"
CHOI = "Choi, El-Khamy and Lee, ICLR 2017"
BAYES = "Louizos, Ullrich and Welling, NeurIPS 2017, as in " + SQL
MIRACLE = "Havasi, Peharz and Hernandez-Lobato, ICLR 2019, as others cite it"
SQS = "Yao et al. 2023"
EC2T = "Marban et al. 2020, authors' repository"
PUBLISHED = {
    "lenet5": (
        Published("SQL", 2120, 0.0, "payload", SQL, 0.01, 1.46),
        Published("ADMM", 1910, 0.1, "payload", "Ye et al. 2018, as in " + SQL, 0.006, 2.8),
        Published("MIRACLE (1.52 kB, 0.96 % error)", 1110, 0.15, "file", MIRACLE, inferred=True),
        Published("Bayesian Compression (1.0 % error)", 771, 0.19, "stream", BAYES, inferred=True),
        Published("Deep Compression, as SQL counts it", 70, 0.0, "payload", SQL, 0.083, 5.3),
        Published("uniform with Huffman", 51.25, -0.03, "stream", CHOI),
        Published("ECSQ with Huffman", 49.01, None, "stream", CHOI),
        Published("Hessian-weighted k-means with Huffman", 47.16, None, "stream", CHOI),
        Published("k-means with Huffman", 44.58, None, "stream", CHOI),
        Published("Deep Compression", 39, 0.0, "stream", "Han, Mao and Dally, ICLR 2016"),
    ),
    "resnet20": (
        Published("SQS", 72.0, 2.0, "payload", SQS, 0.103, 4.3),
        Published("SQL", 35.4, 0.14, "payload", SQL, 0.46, 1.9),
        Published("DSQ", 32, 0.5, "payload", "as in " + SQS, 1.0, 1.0),
        Published("EC2T ternary (91.01 %)", 22, 0.72, "stream", EC2T, inferred=True),
        Published("APoT", 16, 0.6, "payload", "as in " + SQS, 1.0, 2.0),
        Published("HAWQ", 13.1, 0.2, "payload", "as in " + SQS),
    ),
}  # fmt: skip
#: Saved share of each layer's weight bits, positions not counted, by network (unit: per cent):
#: figure 3 of the paper on SQS, of CIFAR-10.
SAVED = {
    "vgg16": (
        81.4, 87.55, 84.55, 97.03, 98.29, 99.15, 99.58, 99.43, 99.47, 99.47, 99.47, 99.42, 99.51,
        99.95,
    ),
}  # fmt: skip
